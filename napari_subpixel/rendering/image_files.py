"""Files of super-resolution images: OME-TIFF to measure in, and PNG to look at."""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util import records
from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel.errors import InputError
from napari_subpixel.rendering.colours import ColouredImage, checked_colormap, colour_table
from napari_subpixel.rendering.marks import draw_colour_bar, draw_scale_bar
from napari_subpixel.rendering.render import SuperResolutionImage

#: A preview shows this share of the lit pixels below full brightness.
PREVIEW_QUANTILE = 0.995
#: A preview is sparse where fewer of its pixels than this share are lit: its points are widened, so that they are
#: visible when the whole picture is on a screen,
SPARSE_SHARE = 0.02
#: by a Gaussian of this share of its longer side,
WIDENING_SHARE = 1 / 1000
#: and it shows this share of the lit pixels below full brightness.
SPARSE_QUANTILE = 0.9
#: A smaller image, in pixels, gets no scale bar of its own accord.
MIN_SCALE_BAR_SIDE_PX = 64
#: A preview has no longer side than this, in pixels.
PREVIEW_SIDE_PX = 4096


def check_image_output(path: str | Path, *, overwrite: bool) -> None:
    """Raise `InputError` unless an image may and can be written there as OME-TIFF."""
    _check_suffix(path, (".tif", ".tiff"))
    check_can_write(path, overwrite=overwrite)


def check_preview_output(path: str | Path, *, overwrite: bool) -> None:
    """Raise `InputError` unless a preview may and can be written there as PNG."""
    _check_suffix(path, (".png",))
    check_can_write(path, overwrite=overwrite)


def save_image(path: str | Path, rendered: SuperResolutionImage, *, overwrite: bool = False) -> None:
    """Write an image as OME-TIFF, with its pixel size and its provenance.

    The provenance is a map annotation of the OME metadata, ``napari-subpixel/provenance``: each value is JSON.

    Parameters
    ----------
    path : path-like
        Ends in .tif or .tiff.
    rendered : SuperResolutionImage
        What to write.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists, has another suffix, or cannot be written.
    """
    import tifffile

    check_image_output(path, overwrite=overwrite)
    pixels_per_cm = 1e7 / rendered.grid.pixel_size_nm
    with atomic_output(path) as draft:
        tifffile.imwrite(
            draft,
            rendered.image,
            ome=True,
            photometric="minisblack",
            compression="zlib",
            resolution=(pixels_per_cm, pixels_per_cm),
            resolutionunit="CENTIMETER",
            metadata=_ome_metadata(rendered),
        )


def _ome_metadata(rendered: SuperResolutionImage) -> dict[str, Any]:
    size_nm = rendered.grid.pixel_size_nm
    provenance = {name: json.dumps(value, default=str) for name, value in rendered.provenance.items()}
    # Named after its contents, so that the same image gives the same bytes.
    digest = hashlib.sha256(np.ascontiguousarray(rendered.image).data)
    digest.update(json.dumps([size_nm, provenance]).encode())
    return {
        "axes": "YX",
        "PhysicalSizeX": size_nm,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": size_nm,
        "PhysicalSizeYUnit": "nm",
        "UUID": str(uuid.uuid5(uuid.NAMESPACE_OID, digest.hexdigest())),
        "MapAnnotation": {"Namespace": "napari-subpixel/provenance", **provenance},
    }


def save_preview(
    path: str | Path,
    rendered: SuperResolutionImage | ColouredImage,
    *,
    colormap: str = "hot",
    scale_bar_nm: float | None = None,
    full_at: float | None = None,
    overwrite: bool = False,
) -> None:
    """Write an 8-bit PNG for viewing: bright, in false colours; not for measurement.

    Where points are few, they are drawn wider than they are. A picture whose points have the colours of a quantity gets
    a colour bar in the lower left corner, where it is large enough.

    Parameters
    ----------
    path : path-like
        Ends in .png.
    rendered : SuperResolutionImage or ColouredImage
        What to show; an image of more than 4096 pixels a side is shown smaller.
    colormap : str
        Colours from dark to bright, one of `colours.COLORMAPS`; an image that has colours keeps them.
    scale_bar_nm : float, optional
        Length of a white bar in the lower right corner, in nm.
    full_at : float, optional
        Contrast: the quantile of the lit pixels, above 0 and at most 1, that is shown fully bright; 0.995 if not given,
        0.9 where points are few.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists, has another suffix or cannot be written, the colours are unknown, the contrast is no
        quantile, or the bar does not fit.
    """
    import imagecodecs

    check_preview_output(path, overwrite=overwrite)
    colours = checked_colormap(colormap)
    if full_at is not None and not 0 < records.number("preview", "full_at", full_at) <= 1:
        raise InputError(f"the contrast is a quantile above 0 and at most 1, got {full_at:g}")
    whole = rendered.points if isinstance(rendered, ColouredImage) else rendered.image
    shrink = -(-max(whole.shape) // PREVIEW_SIDE_PX)
    image = _shrunk(whole, shrink)
    light = _shrunk(rendered.light, shrink) if isinstance(rendered, ColouredImage) else None
    sparse = _is_sparse(image)
    if sparse:
        image = _widened(image)
        light = None if light is None else np.stack([_widened(light[..., k]) for k in range(3)], axis=-1)
    if full_at is None:
        full_at = SPARSE_QUANTILE if sparse else PREVIEW_QUANTILE
    level = _level(image, full_at)
    picture = _in_colours(level, colours) if light is None else _in_own_colours(level, image, light)
    if isinstance(rendered, ColouredImage):
        draw_colour_bar(picture, colour_table(checked_colormap(rendered.colormap)), rendered.value_range)
    if scale_bar_nm is not None:
        draw_scale_bar(picture, scale_bar_nm, rendered.grid.pixel_size_nm * shrink)
    with atomic_output(path) as draft:
        draft.write_bytes(imagecodecs.png_encode(picture, level=1))


def preview_png(
    rendered: SuperResolutionImage, *, colormap: str = "hot", full_at: float | None = None, side_px: int = 1640
) -> tuple[bytes, float]:
    """Return an 8-bit PNG for viewing, and how many points per pixel of the image are shown fully bright.

    Where points are few, they are drawn wider than they are, as by `save_preview`.

    Parameters
    ----------
    rendered : SuperResolutionImage
        What to show; an image of more than `side_px` pixels a side is shown smaller.
    colormap : str
        Colours from dark to bright, one of `colours.COLORMAPS`.
    full_at : float, optional
        The quantile of the lit pixels that is shown fully bright; 0.995 if not given, 0.9 where points are few.
    side_px : int
        Longest side of the picture, in pixels.
    """
    import imagecodecs

    shrink = -(-max(rendered.image.shape) // side_px)
    image = _shrunk(rendered.image, shrink)
    sparse = _is_sparse(image)
    if sparse:
        image = _widened(image)
    if full_at is None:
        full_at = SPARSE_QUANTILE if sparse else PREVIEW_QUANTILE
    picture = _in_colours(_level(image, full_at), checked_colormap(colormap))
    return bytes(imagecodecs.png_encode(picture, level=6)), _full_level(image, full_at) / shrink**2


def fitting_scale_bar_nm(rendered: SuperResolutionImage | ColouredImage) -> float | None:
    """Return a round length for a scale bar, up to a fifth of an image's width; None where the image is tiny.

    Parameters
    ----------
    rendered : SuperResolutionImage or ColouredImage
    """
    height, width = rendered.grid.shape
    if min(height, width) < MIN_SCALE_BAR_SIDE_PX:
        return None
    longest_nm = width * rendered.grid.pixel_size_nm / 5
    power = 10.0 ** math.floor(math.log10(longest_nm))
    return max(step * power for step in (1, 2, 5) if step * power <= longest_nm)


def _check_suffix(path: str | Path, suffixes: tuple[str, ...]) -> None:
    if Path(path).suffix.lower() not in suffixes:
        raise InputError(f"{path}: the image's name must end in {' or '.join(suffixes)}")


def _shrunk(image: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Return the sums over blocks of `factor` x `factor` pixels; the last ones may be cut."""
    starts = [np.arange(0, n, factor) for n in image.shape[:2]]
    return image if factor == 1 else np.add.reduceat(np.add.reduceat(image, starts[0], axis=0), starts[1], axis=1)


def _lit(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values of the pixels that are lit."""
    return image[image > 1e-3 * image.max()]


def _is_sparse(image: NDArray[np.float32]) -> bool:
    """Say whether so few pixels are lit that the points are widened."""
    return bool(np.count_nonzero(_lit(image)) < SPARSE_SHARE * image.size)


def _widened(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image whose points are visible when the whole of it is on a screen."""
    from scipy import ndimage

    wide: NDArray[np.float32] = ndimage.gaussian_filter(image, WIDENING_SHARE * max(image.shape), mode="constant")
    return wide


def _level(image: NDArray[np.float32], full_at: float) -> NDArray[np.float32]:
    """Return brightness from 0 to 1, which is that of a quantile of the lit pixels."""
    return np.clip(image / np.float32(_full_level(image, full_at)), 0, 1)


def _in_colours(level: NDArray[np.float32], colours: Sequence[Sequence[float]]) -> NDArray[np.uint8]:
    """Return an RGB picture, shape (height, width, 3), of brightness from 0 to 1."""
    return np.rint(colour_table(colours) * 255).astype(np.uint8)[np.rint(level * 255).astype(np.uint8)]


def _in_own_colours(
    level: NDArray[np.float32], points: NDArray[np.float32], light: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return an RGB picture, shape (height, width, 3): the mean colour of a pixel's points, as bright as its level."""
    share = level / np.where(points > 0, points, 1)
    return np.rint(np.clip(light * share[..., None], 0, 1) * 255).astype(np.uint8)


def _full_level(image: NDArray[np.float32], full_at: float) -> float:
    """Return the points per pixel that are shown fully bright."""
    lit = _lit(image)
    return float(np.quantile(lit, full_at)) if lit.size else 1.0
