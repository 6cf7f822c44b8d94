"""Movies in Zarr, version 2 or 3: an array or an OME-Zarr group, in a folder or a zip file."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from napari_subpixel.coordinates import PixelSize
from napari_subpixel.errors import IncompleteMovieError, InputError
from napari_subpixel.stacks.arrays import ArraySource
from napari_subpixel.stacks.axes import chosen_channel, pixel_sizes_from
from napari_subpixel.stacks.selection import Selection
from napari_subpixel.stacks.stack import Stack
from napari_subpixel.stacks.zarr_chunks import chunks_there

Result = TypeVar("Result")

#: Files of which a Zarr array or group has one.
METADATA_FILES = ("zarr.json", ".zarray", ".zgroup")
#: Axes of OME-Zarr before version 0.3, which did not name them.
OLD_OME_AXES = "TCZYX"


def is_zarr_folder(path: Path) -> bool:
    """Say whether a folder is the root of a Zarr array or group."""
    return any((path / name).is_file() for name in METADATA_FILES)


def open_zarr(path: Path, which: Selection, *, growing: bool = False) -> Stack:
    """Open a Zarr folder or zip file.

    Parameters
    ----------
    path : Path
    which : Selection
        Which image of an OME-Zarr group, and which channel.
    growing : bool
        The movie is still being written: what was not written yet is as it is.

    Raises
    ------
    SeriesError, ChannelsError
        If it holds several images or channels, and none was chosen.
    AxesError
        If it has further axes besides (T, Y, X).
    IncompleteMovieError
        If its last frames were never written.
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
        array, axes, pixel_size_nm, n_series, names = _opened(path, lambda: _movie_of(path, node, which))
        channel = chosen_channel(str(path), axes, array.shape, which.channel, names) if axes else None
        if axes is None:
            which.check_no_channel(path)
        source = ArraySource(array, str(path), axes=axes, files=files, closing=store, fixed=channel)
        warnings = () if zipped or growing else _missing_chunks(path, array, source)
        on_error.pop_all()
    return Stack(
        source,
        name=path.name,
        path=path,
        pixel_size_nm=pixel_size_nm,
        n_series=n_series,
        series=which.series or 0,
        warnings=warnings,
    )


def _missing_chunks(path: Path, array: Any, source: ArraySource) -> tuple[str, ...]:
    """Return what is to be said of chunks that were never written.

    Raises
    ------
    IncompleteMovieError
        If those are the last ones, as of an acquisition that was stopped.
    """
    chunks = chunks_there(path, array, source.time)
    if chunks is None or chunks.n_there == chunks.n:
        return ()
    value = getattr(array, "fill_value", 0)
    missing = f"{chunks.n - chunks.n_there:,} of its {chunks.n:,} chunks are not there, and read as {value}"
    if chunks.n_frames == source.shape[0]:
        return (missing,)
    raise IncompleteMovieError(
        f"{path}: it announces {source.shape[0]:,} frames, but nothing was written after frame {chunks.n_frames - 1:,}",
        chunks.n_frames,
    )


def _opened(path: Path, open_it: Callable[[], Result]) -> Result:
    """Call `open_it`; any error of a damaged Zarr becomes an `InputError`."""
    try:
        return open_it()
    except (InputError, MemoryError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = f"no entry {reason}" if isinstance(error, KeyError) else reason
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


class _Movie(NamedTuple):
    """A Zarr array, its axes, its pixel size in nm, how many images there are, and names of channels."""

    array: Any
    axes: str | None
    pixel_size_nm: PixelSize | None = None
    n_series: int = 1
    channels: Sequence[str] = ()


def _movie_of(path: Path, node: Any, which: Selection) -> _Movie:
    """Return the array that is chosen of a Zarr array or group."""
    if hasattr(node, "dtype"):
        which.series_of(path, 1, tuple)
        return _Movie(node, _named_axes(node))
    images = _images(node)
    if images:
        series = which.series_of(path, len(images), lambda: [_summary(path, *image) for image in images])
        group, image = images[series]
        first = image["datasets"][0]
        array = _opened(path, lambda: group[first["path"]])
        axes, pixel_size_nm = _opened(path, lambda: _ome_axes(image, first, array.ndim))
        return _Movie(array, axes, pixel_size_nm, len(images), _channel_names(group))
    arrays = dict(_opened(path, lambda: list(node.arrays())))
    if len(arrays) != 1:
        held = _abridged(list(node.keys()))
        raise InputError(f"{path}: expected one array or OME-Zarr images, the group holds {held}")
    which.series_of(path, 1, tuple)
    array = next(iter(arrays.values()))
    return _Movie(array, _named_axes(array))


def _summary(path: Path, group: Any, image: dict[str, Any]) -> str:
    """Return an image's name and shape."""
    array = _opened(path, lambda: group[image["datasets"][0]["path"]])
    name = image.get("name")
    return (f"{name!r} " if name else "") + "x".join(map(str, array.shape))


def _channel_names(group: Any) -> list[str]:
    """Return the labels of channels that OME-Zarr keeps for displaying them."""
    about = group.attrs.get("ome", group.attrs).get("omero", {})
    channels = about.get("channels", ()) if isinstance(about, dict) else ()
    return [str(each.get("label", "")) if isinstance(each, dict) else "" for each in channels or ()]


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


def _ome_axes(image: dict[str, Any], dataset: dict[str, Any], ndim: int) -> tuple[str, PixelSize | None]:
    """Return a letter for every axis of an OME-Zarr image, and the pixel size in nm where it has a unit."""
    named = image.get("axes") or list(OLD_OME_AXES[-ndim:].lower())
    named = [axis if isinstance(axis, dict) else {"name": axis} for axis in named]
    axes = _letters([axis["name"] for axis in named])
    if "X" not in axes or "Y" not in axes:
        return axes, None
    y, x = axes.index("Y"), axes.index("X")
    scale = {y: 1.0, x: 1.0}
    transformations = [*image.get("coordinateTransformations", ()), *dataset.get("coordinateTransformations", ())]
    for each in transformations:
        if each.get("type") == "scale":
            scale = {axis: size * float(each["scale"][axis]) for axis, size in scale.items()}
    return axes, pixel_sizes_from(scale[y], named[y].get("unit"), scale[x], named[x].get("unit"))


def _named_axes(array: Any) -> str | None:
    """Return a letter for every axis where the array names them and calls two of them y and x."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not names or len(names) != array.ndim or not all(names):
        return None
    axes = _letters(names)
    return axes if axes.count("Y") == axes.count("X") == 1 else None


def _letters(names: Iterable[object]) -> str:
    return "".join(str(name)[:1].upper() for name in names)


def _abridged(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more if names else "nothing"
