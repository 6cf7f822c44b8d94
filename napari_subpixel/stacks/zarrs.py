"""Movies in Zarr, version 2 or 3: an array or an OME-Zarr group, in a folder or a zip file."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeVar

from napari_subpixel.errors import InputError
from napari_subpixel.stacks.arrays import ArraySource
from napari_subpixel.stacks.axes import pixel_size_from
from napari_subpixel.stacks.stack import Stack

Result = TypeVar("Result")

#: Files of which a Zarr array or group has one.
METADATA_FILES = ("zarr.json", ".zarray", ".zgroup")
#: Axes of OME-Zarr before version 0.3, which did not name them.
OLD_OME_AXES = "TCZYX"


def is_zarr_folder(path: Path) -> bool:
    """Say whether a folder is the root of a Zarr array or group."""
    return any((path / name).is_file() for name in METADATA_FILES)


def open_zarr(path: Path, series: int) -> Stack:
    """Open a Zarr folder or zip file; `series` counts the images of an OME-Zarr group.

    Raises
    ------
    AxesError
        If it has further axes besides (T, Y, X).
    InputError
        If it is damaged, holds no such image, or zarr is not installed.
    """
    try:
        import zarr
        from zarr.storage import ZipStore
    except ImportError:
        raise InputError(f"{path}: reading Zarr needs the package zarr: pip install zarr") from None
    zipped = path.is_file()
    root = _root_in_zip(path) if zipped else ""
    files = [path] if zipped else [path / n for n in METADATA_FILES if (path / n).is_file()]
    with ExitStack() as on_error:
        store = on_error.enter_context(closing(ZipStore(path, mode="r"))) if zipped else None
        node = _opened(path, lambda: zarr.open(store or str(path), mode="r", path=root))
        array, axes, pixel_size_nm, n_series = _movie_of(path, node, series)
        source = ArraySource(array, str(path), axes=axes, files=files, closing=store)
        on_error.pop_all()
    return Stack(source, name=path.name, path=path, pixel_size_nm=pixel_size_nm, n_series=n_series, series=series)


def _opened(path: Path, open_it: Callable[[], Result]) -> Result:
    """Call `open_it`; any error of a damaged Zarr becomes an `InputError`."""
    try:
        return open_it()
    except (InputError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: not a Zarr that can be read: {reason}") from error


def _root_in_zip(path: Path) -> str:
    """Return where in the zip file the Zarr is: at the top, or in a folder that was zipped with it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: the zip file cannot be read (cut off?): {error}") from None
    roots = [n.rpartition("/")[0] for n in names if n.rpartition("/")[2] in METADATA_FILES]
    if not roots:
        raise InputError(f"{path}: no Zarr in this zip file; it holds {_abridged(names)}")
    return min(roots, key=len)


def _movie_of(path: Path, node: Any, series: int) -> tuple[Any, str | None, float | None, int]:
    """Return array, axes, pixel size and number of series of a Zarr array or group."""
    if hasattr(node, "dtype"):
        _check_series(path, series, 1)
        return node, _named_axes(node), None, 1
    images = _images(node)
    if images:
        _check_series(path, series, len(images))
        group, image = images[series]
        first = image["datasets"][0]
        array = _opened(path, lambda: group[first["path"]])
        axes, pixel_size_nm = _opened(path, lambda: _ome_axes(image, first, array.ndim))
        return array, axes, pixel_size_nm, len(images)
    arrays = dict(_opened(path, lambda: list(node.arrays())))
    if len(arrays) != 1:
        held = _abridged(list(node.keys()))
        raise InputError(f"{path}: expected one array or OME-Zarr images, the group holds {held}")
    _check_series(path, series, 1)
    array = next(iter(arrays.values()))
    return array, _named_axes(array), None, 1


def _images(group: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Return the OME-Zarr images of a group, each with the group that its paths start from.

    Version 0.4 writes them among the attributes, 0.5 under "ome" (https://ngff.openmicroscopy.org); bioformats2raw
    puts a group a series, named by its number, into an outer one.
    """
    about = group.attrs.get("ome", group.attrs)
    if "multiscales" in about:
        return [(group, image) for image in about["multiscales"]]
    if "bioformats2raw.layout" not in about:
        return []
    numbers = sorted((name for name in group.group_keys() if name.isdigit()), key=int)
    return [image for name in numbers for image in _images(group[name])]


def _ome_axes(image: dict[str, Any], dataset: dict[str, Any], ndim: int) -> tuple[str, float | None]:
    """Return a letter for every axis of an OME-Zarr image, and the pixel size in nm where it has a unit."""
    named = image.get("axes") or list(OLD_OME_AXES[-ndim:].lower())
    named = [axis if isinstance(axis, dict) else {"name": axis} for axis in named]
    axes = _letters([axis["name"] for axis in named])
    if "X" not in axes:
        return axes, None
    scale, x = 1.0, axes.index("X")
    transformations = [*image.get("coordinateTransformations", ()), *dataset.get("coordinateTransformations", ())]
    for each in transformations:
        if each.get("type") == "scale":
            scale *= float(each["scale"][x])
    return axes, pixel_size_from(scale, named[x].get("unit"))


def _named_axes(array: Any) -> str | None:
    """Return a letter for every axis where the array names them and calls two of them y and x."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not names or len(names) != array.ndim or not all(names):
        return None
    axes = _letters(names)
    return axes if axes.count("Y") == axes.count("X") == 1 else None


def _letters(names: Iterable[object]) -> str:
    return "".join(str(name)[:1].upper() for name in names)


def _check_series(path: Path, series: int, n_series: int) -> None:
    if not 0 <= series < n_series:
        raise InputError(f"{path}: series {series} asked for, the file has {n_series}, counted from 0")


def _abridged(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more if names else "nothing"
