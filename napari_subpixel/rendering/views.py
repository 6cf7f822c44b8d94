"""Images of a part of the frames for a viewer, drawn as fast as one pans and zooms.

A part is drawn from its own molecules, which an index has at hand, each in its place and as wide as in an image of the
whole frames. Where that would take too long, pixels are larger; and where these are no smaller than the cells of the
index, the molecules in the cells are summed: then each still counts, once, but widths are left out. Pixels that the
last images had are not drawn again.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_subpixel._util.compiled import compiled
from napari_subpixel._util.generators import exhausted
from napari_subpixel.coordinates import HALF_PIXEL, checked_frame_shape, whole_pixel
from napari_subpixel.errors import FrameShapeError
from napari_subpixel.grids import ViewGrid, whole_shape
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import TRUNCATE_SIGMA
from napari_subpixel.rendering.cells import CellIndex, block_sums
from napari_subpixel.rendering.colours import BY_VALUE, STEPS, checked_colormap, colour_range, colour_table
from napari_subpixel.rendering.view_style import SpotWidths, ViewStyle

#: Work between two places at which drawing can be stopped, in units of a pixel that a molecule is added to.
STEP_WORK = 1e8
#: Work of drawing a molecule, apart from its pixels, in units of the work for one pixel.
POINT_WORK = 1000.0
#: Work of counting a molecule, in the same units.
COUNT_WORK = 75.0
#: Images that are kept, whose pixels need not be drawn again: sharp ones, and ones with larger pixels.
KEPT_IMAGES = 3
#: What is left to draw next to such an image may take this share of the most work, where all of it would take more: it
#: is drawn again and again.
KEPT_SHARE = 1 / 3
_whole_pixel = compiled(whole_pixel)


@dataclass(frozen=True, eq=False)
class View:
    """An image of a part of the frames, whose arrays may be read only.

    Attributes
    ----------
    image : ndarray of float32, shape (height, width)
        Molecules per pixel.
    light : ndarray of float32, shape (3, height, width), optional
        The same, times the red, green and blue of their colours, where these are those of a quantity.
    grid : ViewGrid
        Where its pixels lie over the frames.
    is_sharp : bool
        Whether it has the pixels that were asked for and all molecules are as wide as the style says.
    work : float
        About the work that drawing it took, as `MoleculeViews.work` estimates it; 0 for sums over cells.
    """

    image: NDArray[np.float32]
    light: NDArray[np.float32] | None
    grid: ViewGrid
    is_sharp: bool
    work: float


class _Kept(NamedTuple):
    """An image that was drawn."""

    style: ViewStyle
    grid: ViewGrid
    images: NDArray[np.float32]


class MoleculeViews:
    """Molecules of a table, of which any part of the frames can be drawn.

    Parameters
    ----------
    points : Localizations
        Not copied.
    frame_shape : (int, int), optional
        (height, width) of the frames in camera pixels; without it, the table's.

    Raises
    ------
    InputError
        If the frame shape is not known.

    Attributes
    ----------
    index : CellIndex
    value_range : (float, float), optional
        Quantity of the first and of the last colour.

    Examples
    --------
    >>> table = Localizations({"frame": [0, 9], "y": [1.0, 1.0], "x": [1.0, 3.0]}, frame_shape=(3, 5))
    >>> grid = ViewGrid.covering((-0.5, 2.0), (2.5, 4.5), zoom=(1.0, 1.0), frame_shape=(3, 5))
    >>> MoleculeViews(table).draw(grid, ViewStyle("histogram")).image.tolist()
    [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, points: Localizations, *, frame_shape: Sequence[int] | None = None) -> None:
        shape = points.frame_shape if frame_shape is None else checked_frame_shape(frame_shape)
        if shape is None:
            raise FrameShapeError("the shape of the frames is not known")
        self.points = points
        self.index = CellIndex.of(points.y, points.x, shape)
        self.value_range: tuple[float, float] | None = None
        self._chosen: NDArray[np.bool_] | None = None
        self._known: NDArray[np.bool_] | None = None
        self._step: NDArray[np.uint8] | None = None
        self._colours: NDArray[np.float32] | None = None
        self._cell_sums: NDArray[np.float32] | None = None
        self._widths = SpotWidths(points, self.index)
        self._kept: deque[_Kept] = deque(maxlen=KEPT_IMAGES)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(height, width) of the frames, in camera pixels."""
        return self.index.frame_shape

    def set_rows(self, rows: ArrayLike | None) -> None:
        """Draw only the rows that a mask or an array of indices names; None: all of them."""
        chosen = None if rows is None else np.asarray(rows)
        if chosen is not None and chosen.dtype != bool:
            mask = np.zeros(len(self.points), np.bool_)
            mask[chosen] = True
            chosen = mask
        if chosen is not None and chosen.shape != (len(self.points),):
            raise ValueError(f"a mask must have shape ({len(self.points)},), got {chosen.shape}")
        self._chosen = None if chosen is None or chosen.all() else chosen
        self._cell_sums = None
        self._kept.clear()

    def set_colours(
        self,
        values: NDArray[Any] | None,
        colormap: str = BY_VALUE,
        value_range: tuple[float | None, float | None] = (None, None),
    ) -> None:
        """Give molecules the colour of a quantity; those without it, which are no numbers, are left out.

        Parameters
        ----------
        values : ndarray, shape (N,), optional
            One for each row of the table; None: no colours.
        colormap : str
            One of `napari_subpixel.rendering.colours.COLORMAPS`.
        value_range : (float or None, float or None)
            Quantity of the first and of the last colour; None: the 1% and the 99% quantile of the chosen rows.

        Raises
        ------
        InputError
            If there is no such colormap, or the range has no width.
        """
        self._cell_sums = self._step = self._colours = self._known = self.value_range = None
        self._kept.clear()
        if values is None:
            return
        values = np.asarray(values, np.float64)
        known = np.isfinite(values)
        counted = known if self._chosen is None else known & self._chosen
        low, high = self.value_range = colour_range(values[counted], value_range)
        with np.errstate(invalid="ignore"):
            step = np.clip((values - low) / (high - low) * STEPS, 0, STEPS - 1)
        self._step = np.where(known, step, 0).astype(np.uint8)
        self._known = None if known.all() else known
        colours = colour_table(checked_colormap(colormap), STEPS)
        self._colours = np.column_stack([np.ones(STEPS), colours]).astype(np.float32)

    def draw(self, grid: ViewGrid, style: ViewStyle | None = None, *, most_work: float | None = None) -> View:
        """Draw a part of the frames.

        Parameters
        ----------
        grid : ViewGrid
            Its pixels.
        style : ViewStyle, optional
            How.
        most_work : float, optional
            Where drawing a part anew may take more than this, as estimated by `work`, and what the last images lack
            of it more than a third, draw larger pixels, or sums over cells.
        """
        return exhausted(self.drawing(grid, style, most_work=most_work))

    def drawing(
        self, grid: ViewGrid, style: ViewStyle | None = None, *, most_work: float | None = None
    ) -> Generator[int, None, View]:
        """Draw as `draw` does; yields how many molecules are drawn, and can be stopped there."""
        style, asked = style or ViewStyle(), grid
        yield 0
        while True:
            kept = self._kept_for(grid, style)
            parts = [grid] if kept is None else grid.without(kept.grid)
            work = sum(self.work(part, style) for part in parts)
            if most_work is None or work <= KEPT_SHARE * most_work or self.work(grid, style) <= most_work:
                break
            if style.method == "histogram" or min(grid.zoom) <= 2 * self.index.per_px:
                return self._from_sums(grid)
            grid = self._coarser(grid)
        images = np.empty((self._n_channels, *grid.shape), np.float32)
        if kept is not None and (common := grid.overlap(kept.grid)) is not None:
            images[:, *grid.place_of(common)] = kept.images[:, *kept.grid.place_of(common)]
        n_drawn = 0
        for part in parts:
            drawn = np.zeros((len(images), *part.shape), np.float32)
            for n in self._adding(drawn, part, style):
                yield (n_drawn := n_drawn + n)
            images[:, *grid.place_of(part)] = drawn
        images.flags.writeable = False
        self._kept.appendleft(_Kept(style, grid, images))
        return _view(images, grid, is_sharp=grid == asked, work=work)

    def _kept_for(self, grid: ViewGrid, style: ViewStyle) -> _Kept | None:
        """Return the image that has the most pixels of a part, if there is one that has any."""
        most, best = 0, None
        for kept in self._kept:
            common = grid.overlap(kept.grid) if kept.style == style else None
            if common is not None and math.prod(common.shape) > most:
                most, best = math.prod(common.shape), kept
        return best

    def _adding(self, images: NDArray[np.float32], part: ViewGrid, style: ViewStyle) -> Generator[int, None, None]:
        """Draw the molecules of a part; yields how many at a time."""
        rows = self.index.rows_within(part, self._widths.margin_px(part, style), self._drawn_rows)
        n = max(int(STEP_WORK / self._work_each(part, style)), 1)
        for start in range(0, len(rows), n):
            some = rows[start : start + n]
            self._add(images, some, part, style)
            yield len(some)

    def work(self, grid: ViewGrid, style: ViewStyle) -> float:
        """Return an estimate of the work of drawing a part, in units of a pixel that a molecule is added to.

        All molecules of the table count, chosen or not.
        """
        return self.index.count_within(grid, self._widths.margin_px(grid, style)) * self._work_each(grid, style)

    def _work_each(self, grid: ViewGrid, style: ViewStyle) -> float:
        """Return about the work of drawing one molecule."""
        if style.method == "histogram":
            return COUNT_WORK * self._n_channels
        windows = [
            min(2 * TRUNCATE_SIGMA * self._widths.typical(axis, grid, style) + 8, length)
            for axis, length in enumerate(grid.shape)
        ]
        return POINT_WORK + self._n_channels * windows[0] * windows[1]

    @property
    def _n_channels(self) -> int:
        return 1 if self._colours is None else int(self._colours.shape[1])

    def _coarser(self, grid: ViewGrid) -> ViewGrid:
        """Return larger pixels, a power of 2 to a camera pixel, so that they are the same at zooms that are near."""
        zoom_y, zoom_x = (2.0 ** math.ceil(math.log2(zoom) - 1) for zoom in grid.zoom)
        return self._covering(grid, (zoom_y, zoom_x))

    def _covering(self, grid: ViewGrid, zoom: tuple[float, float]) -> ViewGrid:
        """Return other pixels of the same part."""
        low, high = grid.corners_px
        covering = ViewGrid.covering(low, high, zoom=zoom, frame_shape=self.frame_shape)
        assert covering is not None, "a grid lies on the frames"
        return covering

    @property
    def _drawn_rows(self) -> NDArray[np.bool_] | None:
        if self._chosen is None or self._known is None:
            return self._known if self._chosen is None else self._chosen
        return self._chosen & self._known

    def _from_sums(self, grid: ViewGrid) -> View:
        """Return an image whose pixels are blocks of cells, about as large as those of the grid."""
        if self._cell_sums is None:
            weights = None if self._colours is None else self._colours[:, 1:]
            self._cell_sums = self.index.sums(self._drawn_rows, self._step, weights)
        per_px = self.index.per_px
        tall, wide = (max(1, round(per_px / zoom)) for zoom in grid.zoom)
        blocks = self._covering(grid, (per_px / tall, per_px / wide))
        return _view(block_sums(self._cell_sums, (tall, wide), blocks), blocks, is_sharp=False, work=0.0)

    def _add(
        self, images: NDArray[np.float32], rows: NDArray[np.integer[Any]], grid: ViewGrid, style: ViewStyle
    ) -> None:
        """Draw some rows."""
        from napari_subpixel.rendering.kernels import add_coloured_gaussians, add_unit_gaussians

        placed = zip((self.index.y, self.index.x), grid.zoom, grid.first, strict=True)
        y, x = (_placed(values, rows, zoom, first) for values, zoom, first in placed)
        step = None if self._step is None else self._step[rows]
        if style.method == "histogram":
            whole = whole_shape(self.frame_shape, grid.zoom)
            last = [n - 1 - first for n, first in zip(whole, grid.first, strict=True)]
            colours = np.ones((1, 1), np.float32) if self._colours is None else self._colours
            _add_counts(images, y, x, last[0], last[1], np.empty(0, np.uint8) if step is None else step, colours)
            return
        sigma_y, sigma_x = (self._widths.of_rows(axis, rows, grid, style) for axis in range(2))
        if step is None or self._colours is None:
            add_unit_gaussians(images[0], y, x, sigma_y, sigma_x)
        else:
            add_coloured_gaussians(images, y, x, sigma_y, sigma_x, step, self._colours)


def _view(images: NDArray[np.float32], grid: ViewGrid, *, is_sharp: bool, work: float) -> View:
    return View(images[0], images[1:] if len(images) > 1 else None, grid, is_sharp, work)


@compiled
def _placed(
    values: NDArray[np.float64], rows: NDArray[np.integer[Any]], zoom: float, first: int
) -> NDArray[np.float64]:
    """Return the positions of some rows in pixels of a part."""
    out = np.empty(len(rows))
    for i in range(len(rows)):
        out[i] = (values[rows[i]] + HALF_PIXEL) * zoom - HALF_PIXEL - first
    return out


@compiled
def _add_counts(
    images: NDArray[np.float32],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    last_row: int,
    last_column: int,
    steps: NDArray[np.uint8],
    colours: NDArray[np.float32],
) -> None:
    """Add the colours of points to their pixels; those beyond the image are left out."""
    for i in range(len(y)):
        # At the far edge of the frames the last bit may have rounded a point out of its pixel.
        row, column = min(_whole_pixel(y[i]), last_row), min(_whole_pixel(x[i]), last_column)
        if row >= 0 and column >= 0 and row < images.shape[1] and column < images.shape[2]:
            step = steps[i] if len(steps) else 0
            for channel in range(len(images)):
                images[channel, np.int64(row), np.int64(column)] += colours[step, channel]
