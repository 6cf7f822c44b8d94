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
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.rendering.render import SuperResolutionImage

#: Colours at equal steps from dark to bright, red, green and blue from 0 to 1.
COLORMAPS = {
    "hot": ((0, 0, 0), (0.7, 0, 0), (1, 0.45, 0), (1, 0.85, 0.1), (1, 1, 1)),
    "gray": ((0, 0, 0), (1, 1, 1)),
}
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
    rendered: SuperResolutionImage,
    *,
    colormap: str = "hot",
    scale_bar_nm: float | None = None,
    full_at: float | None = None,
    overwrite: bool = False,
) -> None:
    """Write an 8-bit PNG for viewing: bright, in false colours; not for measurement.

    Where points are few, they are drawn wider than they are.

    Parameters
    ----------
    path : path-like
        Ends in .png.
    rendered : SuperResolutionImage
        What to show; an image of more than 4096 pixels a side is shown smaller.
    colormap : {"hot", "gray"}
        Colours from dark to bright.
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
    if colormap not in COLORMAPS:
        hint = suggest(str(colormap), COLORMAPS)
        raise InputError(f"colormap must be one of {', '.join(COLORMAPS)}, got {colormap!r}{hint}")
    if full_at is not None and not 0 < records.number("preview", "full_at", full_at) <= 1:
        raise InputError(f"the contrast is a quantile above 0 and at most 1, got {full_at:g}")
    shrink = -(-max(rendered.image.shape) // PREVIEW_SIDE_PX)
    image = _shrunk(rendered.image, shrink)
    if sparse := bool(np.count_nonzero(_lit(image)) < SPARSE_SHARE * image.size):
        image = _widened(image)
    if full_at is None:
        full_at = SPARSE_QUANTILE if sparse else PREVIEW_QUANTILE
    picture = _coloured(image, COLORMAPS[colormap], full_at)
    if scale_bar_nm is not None:
        _draw_scale_bar(picture, scale_bar_nm, rendered.grid.pixel_size_nm * shrink)
    with atomic_output(path) as draft:
        draft.write_bytes(imagecodecs.png_encode(picture, level=1))


def preview_png(
    rendered: SuperResolutionImage, *, colormap: str = "hot", full_at: float = PREVIEW_QUANTILE, side_px: int = 1640
) -> tuple[bytes, float]:
    """Return an 8-bit PNG for viewing, and how many points per pixel of the image are shown fully bright.

    Parameters
    ----------
    rendered : SuperResolutionImage
        What to show; an image of more than `side_px` pixels a side is shown smaller.
    colormap : {"hot", "gray"}
        Colours from dark to bright.
    full_at : float
        The quantile of the lit pixels that is shown fully bright.
    side_px : int
        Longest side of the picture, in pixels.
    """
    import imagecodecs

    shrink = -(-max(rendered.image.shape) // side_px)
    image = _shrunk(rendered.image, shrink)
    picture = _coloured(image, COLORMAPS[colormap], full_at)
    return bytes(imagecodecs.png_encode(picture, level=6)), _full_level(image, full_at) / shrink**2


def fitting_scale_bar_nm(rendered: SuperResolutionImage) -> float | None:
    """Return a round length for a scale bar, up to a fifth of an image's width; None where the image is tiny.

    Parameters
    ----------
    rendered : SuperResolutionImage
    """
    height, width = rendered.image.shape
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
    starts = [np.arange(0, n, factor) for n in image.shape]
    return image if factor == 1 else np.add.reduceat(np.add.reduceat(image, starts[0], axis=0), starts[1], axis=1)


def _lit(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values of the pixels that are lit."""
    return image[image > 1e-3 * image.max()]


def _widened(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image whose points are visible when the whole of it is on a screen."""
    from scipy import ndimage

    wide: NDArray[np.float32] = ndimage.gaussian_filter(image, WIDENING_SHARE * max(image.shape), mode="constant")
    return wide


def _coloured(image: NDArray[np.float32], colours: Sequence[Sequence[float]], full_at: float) -> NDArray[np.uint8]:
    """Return an RGB picture, shape (height, width, 3), full bright at a quantile of the lit pixels."""
    level = np.rint(np.clip(image / _full_level(image, full_at), 0, 1) * 255).astype(np.uint8)
    places = np.linspace(0, 255, len(colours))
    table = np.column_stack([np.interp(np.arange(256), places, channel) for channel in zip(*colours, strict=True)])
    return np.rint(table * 255).astype(np.uint8)[level]


def _full_level(image: NDArray[np.float32], full_at: float) -> float:
    """Return the points per pixel that are shown fully bright."""
    lit = _lit(image)
    return float(np.quantile(lit, full_at)) if lit.size else 1.0


def _draw_scale_bar(picture: NDArray[np.uint8], length_nm: float, pixel_size_nm: float) -> None:
    height, width, _ = picture.shape
    length = round(records.number("preview", "scale_bar_nm", length_nm) / pixel_size_nm)
    thickness = max(1, height // 100)
    margin = max(2, min(height, width) // 40)
    if length < 1 or length + 2 * margin > width or thickness + 2 * margin > height:
        raise InputError(f"a scale bar of {length_nm:g} nm does not fit a picture of {height} x {width} pixels")
    picture[-margin - thickness : -margin, -margin - length : -margin] = 255
