"""How the molecules of a view are drawn: as what, and how wide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.grids import ViewGrid
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import TRUNCATE_SIGMA
from napari_subpixel.rendering.cells import CellIndex
from napari_subpixel.rendering.render import DEFAULT_SIGMA_PX, MAX_SIGMA_CAMERA_PX, METHODS, MIN_SIGMA_PX

#: A typical width comes from about this many molecules.
SAMPLED_WIDTHS = 100_000


@dataclass(frozen=True)
class ViewStyle:
    """How molecules are drawn.

    Attributes
    ----------
    method : {"gaussian", "histogram"}
        As for `napari_subpixel.rendering.render.render`.
    sigma_px : (float, float), optional
        Standard deviation of all Gaussians along y and x, in camera pixels; without it, their own uncertainties.
    least_sigma_px : float
        Least standard deviation that a Gaussian is drawn with, in pixels of the image, where that of an image of the
        whole frames is smaller.
    """

    method: str = METHODS[0]
    sigma_px: tuple[float, float] | None = None
    least_sigma_px: float = 0.0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            hint = suggest(str(self.method), METHODS)
            raise InputError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}{hint}")


class SpotWidths:
    """Standard deviations of the Gaussians that molecules are drawn as.

    Parameters
    ----------
    points : Localizations
        The table.
    index : CellIndex
        Of its molecules.
    """

    def __init__(self, points: Localizations, index: CellIndex) -> None:
        known = "y_uncertainty" in points and "x_uncertainty" in points
        self._own = [_OwnWidths.of(points[f"{axis}_uncertainty"], index) for axis in "yx"] if known else None

    def typical(self, axis: int, grid: ViewGrid, style: ViewStyle) -> float:
        """Return about how wide Gaussians are, in pixels of the image."""
        zoom = grid.zoom[axis]
        if style.sigma_px is not None:
            sigma = style.sigma_px[axis] * zoom
        else:
            sigma = DEFAULT_SIGMA_PX if self._own is None else self._own[axis].typical * zoom
        return max(sigma, style.least_sigma_px)

    def margin_px(self, grid: ViewGrid, style: ViewStyle) -> float:
        """Return how far beyond a part molecules lie whose Gaussians reach into it, in camera pixels."""
        if style.method == "histogram":
            return 0.0
        widest = [max(style.least_sigma_px, MIN_SIGMA_PX) / zoom for zoom in grid.zoom]
        if style.sigma_px is not None:
            widest += style.sigma_px
        elif self._own is not None:
            widest += [width.widest for width in self._own]
        else:
            widest += [DEFAULT_SIGMA_PX / zoom for zoom in grid.zoom]
        return TRUNCATE_SIGMA * max(widest)

    def of_rows(
        self, axis: int, rows: NDArray[np.integer[Any]], grid: ViewGrid, style: ViewStyle
    ) -> NDArray[np.float64]:
        """Return the widths of some rows along an axis, in pixels of the image."""
        zoom, least = grid.zoom[axis], style.least_sigma_px
        if style.sigma_px is not None or self._own is None:
            sigma = DEFAULT_SIGMA_PX if style.sigma_px is None else style.sigma_px[axis] * zoom
            return np.full(len(rows), max(sigma, least))
        own = self._own[axis]
        substitute = DEFAULT_SIGMA_PX / zoom if own.median is None else own.median
        least = max(least, MIN_SIGMA_PX)
        return _own_sigmas(own.uncertainty, rows, zoom, substitute, least, MAX_SIGMA_CAMERA_PX * zoom)


@dataclass(frozen=True, eq=False)
class _OwnWidths:
    """Uncertainties along an axis, in camera pixels.

    Attributes
    ----------
    uncertainty : ndarray of float32, shape (N,)
    median : float, optional
        Of those that are usable, if some are not: what these are drawn with.
    widest, typical : float
        The largest and the middle one that are drawn.
    """

    uncertainty: NDArray[np.float32]
    median: float | None
    widest: float
    typical: float

    @classmethod
    def of(cls, uncertainty: NDArray[np.float32], index: CellIndex) -> _OwnWidths:
        sample = uncertainty[:: max(1, len(uncertainty) // SAMPLED_WIDTHS)]
        sample = sample[np.isfinite(sample) & (sample > 0)]
        typical = min(float(np.median(sample)), MAX_SIGMA_CAMERA_PX) if sample.size else MAX_SIGMA_CAMERA_PX
        # NaN fails this too: the minimum is NaN then.
        if uncertainty.size and uncertainty.min() > 0 and uncertainty.max() < np.inf:
            return cls(uncertainty, None, min(float(uncertainty.max()), MAX_SIGMA_CAMERA_PX), typical)
        on_frames = uncertainty[index.rows]
        usable = on_frames[np.isfinite(on_frames) & (on_frames > 0)]
        median = float(np.median(usable.astype(np.float64))) if usable.size else None
        return cls(uncertainty, median, MAX_SIGMA_CAMERA_PX, typical)


@compiled
def _own_sigmas(
    uncertainty: NDArray[np.float32],
    rows: NDArray[np.integer[Any]],
    zoom: float,
    substitute: float,
    least: float,
    most: float,
) -> NDArray[np.float64]:
    """Return the uncertainties of some rows in pixels of the image, within limits; others for those not usable."""
    out = np.empty(len(rows))
    for i in range(len(rows)):
        value = np.float64(uncertainty[rows[i]])
        usable = value > 0 and value < np.inf
        out[i] = max(min(value * zoom if usable else substitute * zoom, most), least)
    return out
