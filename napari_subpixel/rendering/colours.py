"""Colours of pictures: a few colormaps, and images whose colour is a quantity of the points, such as their frame."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.generators import stepwise
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.grids import SuperResolutionGrid
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import PIXEL_SIZE_NM, check_image_size, render

#: Colours at equal steps from dark to bright or from low to high, red, green and blue from 0 to 1.
COLORMAPS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "hot": ((0, 0, 0), (0.7, 0, 0), (1, 0.45, 0), (1, 0.85, 0.1), (1, 1, 1)),
    "gray": ((0, 0, 0), (1, 1, 1)),
    "magma": (
        (0.001, 0, 0.014), (0.079, 0.054, 0.212), (0.232, 0.06, 0.438), (0.39, 0.1, 0.502), (0.55, 0.161, 0.506),
        (0.716, 0.215, 0.475), (0.868, 0.288, 0.409), (0.967, 0.44, 0.36), (0.995, 0.624, 0.427), (0.996, 0.813, 0.573),
        (0.987, 0.991, 0.75),
    ),
    "viridis": (
        (0.267, 0.005, 0.329), (0.283, 0.141, 0.458), (0.254, 0.265, 0.53), (0.207, 0.372, 0.553),
        (0.164, 0.471, 0.558), (0.128, 0.567, 0.551), (0.135, 0.659, 0.518), (0.267, 0.749, 0.441),
        (0.478, 0.821, 0.318), (0.741, 0.873, 0.15), (0.993, 0.906, 0.144),
    ),
    "rainbow": ((0.25, 0.3, 1), (0, 0.75, 1), (0.15, 0.9, 0.35), (1, 0.9, 0.1), (1, 0.25, 0.1)),
}  # fmt: skip
#: Colours of a picture by a quantity, unless others are asked for: none is dark.
BY_VALUE = "rainbow"
#: Steps of the quantity, each of one colour.
STEPS = 32
#: Without a range, the colours end at these quantiles of the quantity.
QUANTILES = (0.01, 0.99)
#: Images that are held while one is drawn: its three channels, the points, those of one step, and one of its channels.
IMAGES_HELD = 6


@dataclass(frozen=True, eq=False)
class ColouredImage:
    """An image in which points have the colour of a quantity.

    Attributes
    ----------
    light : ndarray of float32, shape (height, width, 3)
        Points per pixel, times the red, green and blue of their colours.
    points : ndarray of float32, shape (height, width)
        Points per pixel.
    grid : SuperResolutionGrid
        Where its pixels lie over the frames.
    value_range : (float, float)
        Quantity of the first and of the last colour; beyond, points have these.
    n_without : int
        Points without the quantity, which were left out.
    colormap : str
        Its colours, one of `COLORMAPS`.
    """

    light: NDArray[np.float32]
    points: NDArray[np.float32]
    grid: SuperResolutionGrid
    value_range: tuple[float, float]
    n_without: int = 0
    colormap: str = BY_VALUE


def checked_colormap(name: str) -> tuple[tuple[float, float, float], ...]:
    """Return the colours of a colormap, or raise `InputError` if it is unknown."""
    if name not in COLORMAPS:
        hint = suggest(str(name), COLORMAPS)
        raise InputError(f"colormap must be one of {', '.join(COLORMAPS)}, got {name!r}{hint}")
    return COLORMAPS[name]


def colour_table(colours: Sequence[Sequence[float]], n: int = 256) -> NDArray[np.float64]:
    """Return colours between those of a colormap, shape (n, 3), from 0 to 1."""
    places = np.linspace(0, n - 1, len(colours))
    return np.column_stack([np.interp(np.arange(n), places, channel) for channel in zip(*colours, strict=True)])


@stepwise
def render_coloured(
    localizations: Localizations,
    values: NDArray[Any],
    *,
    colormap: str = BY_VALUE,
    value_range: tuple[float | None, float | None] = (None, None),
    pixel_size_nm: float = PIXEL_SIZE_NM,
    frame_shape: Sequence[int] | None = None,
    **options: Any,
) -> Generator[int, None, ColouredImage]:
    """Render localizations, each in the colour of a quantity.

    `render_coloured.steps` yields the number of points drawn so far.

    Parameters
    ----------
    localizations : Localizations
        Its pixel size must be known.
    values : ndarray, shape (len(localizations),)
        The quantity.
    colormap : str
        One of `COLORMAPS`.
    value_range : (float or None, float or None)
        Quantity of the first and of the last colour; None: the 1% and the 99% quantile.
    pixel_size_nm : float
        Width of a pixel of the image, in nm.
    frame_shape : (int, int), optional
        (height, width) of the frames in camera pixels; without it, the table's.
    **options
        Further ones of `render`: method, sigma_nm.

    Returns
    -------
    ColouredImage

    Raises
    ------
    InputError
        If the colours are unknown, or the range is none; and as from `render`.

    Examples
    --------
    >>> table = Localizations({"frame": [0, 9], "y": [1, 1], "x": [1, 3]}, pixel_size_nm=100, frame_shape=(3, 5))
    >>> image = render_coloured(table, table.frame, pixel_size_nm=100, method="histogram", value_range=(0, 9))
    >>> (100 * image.light[1, [1, 3]]).round().astype(int).tolist()
    [[25, 30, 100], [100, 25, 10]]
    """
    colours = colour_table(checked_colormap(colormap), STEPS)
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    low, high = colour_range(values[known], value_range)
    step = np.zeros(len(values), np.int64)
    step[known] = np.clip((values[known] - low) / (high - low) * STEPS, 0, STEPS - 1)
    step[~known] = -1
    grid = render(localizations[:0], pixel_size_nm=pixel_size_nm, frame_shape=frame_shape, **options).grid
    check_image_size(grid, n_images=IMAGES_HELD, kind="a coloured image")
    light, points = np.zeros((*grid.shape, 3), np.float32), np.zeros(grid.shape, np.float32)
    n_drawn = 0
    for k in np.unique(step[known]):
        chosen = localizations.select(step == k)
        part = render(chosen, pixel_size_nm=pixel_size_nm, frame_shape=frame_shape, **options)
        points += part.image
        for channel in range(3):
            light[..., channel] += part.image * np.float32(colours[k, channel])
        n_drawn += len(chosen)
        yield n_drawn
    return ColouredImage(light, points, grid, (low, high), int(len(values) - known.sum()), colormap)


def colour_range(values: NDArray[np.float64], asked: tuple[float | None, float | None]) -> tuple[float, float]:
    """Return the values of the first and of the last colour; a range of a single value is widened.

    Parameters
    ----------
    values : ndarray, shape (N,)
        What is to be coloured, in finite numbers.
    asked : (float or None, float or None)
        What is given for them; None: the 1% and the 99% quantile.

    Raises
    ------
    InputError
        If they are not finite, or the first is not below the last.
    """
    ends = np.quantile(values, QUANTILES) if len(values) else np.array([0.0, 1.0])
    low, high = (float(end) if given is None else float(given) for given, end in zip(asked, ends, strict=True))
    if not (np.isfinite(low) and np.isfinite(high)) or (None not in asked and low >= high):
        raise InputError(f"the colours are from a lower to a higher value, got {low:g} and {high:g}")
    return (low, high) if low < high else (low - 0.5, low + 0.5)
