"""Pictures of what is in view, drawn in the background: values or colours, and how bright they are shown."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import PixelSize, pixel_length, pixel_size_yx
from napari_subpixel.grids import ViewGrid
from napari_subpixel.localizations import REQUIRED, Localizations
from napari_subpixel.rendering.view_style import ViewStyle
from napari_subpixel.rendering.views import MoleculeViews, View
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.layers.points import has_column
from napari_subpixel.widgets.layers.renderings import contrast_limits_of
from napari_subpixel.widgets.layers.results import Ground
from napari_subpixel.widgets.layers.view_image import InView

if TYPE_CHECKING:
    from napari.layers import Points

#: Pictures while one pans and zooms take about as long as it takes to add molecules to this many pixels.
QUICK_WORK = 1.5e8
#: Least standard deviation of a molecule on the screen, in its pixels: smaller ones would flicker.
LEAST_SIGMA_PX = 0.7
#: A picture is larger than what is in view by this share on each side, so that there is something there to pan to.
MARGIN_SHARE = 0.08
#: Pixels are no smaller than this, in camera pixels: larger ones are smooth already.
LEAST_PIXEL_PX = 1 / 256
#: The contrast is kept until what is in view needs one that differs by this factor.
KEPT_WITHIN = 2.0
#: Pixels that the contrast comes from.
CONTRAST_PIXELS = 1 << 18
#: Brightness is the density to this power: faint structures are visible next to bright ones.
GAMMA = 0.7


class ColourQuantity(NamedTuple):
    """A quantity that molecules can have the colour of.

    Attributes
    ----------
    label : str
        What it is called, with its unit.
    columns : tuple of str
        What a table needs.
    values : callable
        Returns it for all rows of a table.
    """

    label: str
    columns: tuple[str, ...]
    values: Callable[[Localizations], NDArray[Any]]


def _uncertainty_nm(table: Localizations) -> NDArray[np.float64]:
    """Return the root mean square of both uncertainties."""
    size = table.known_pixel_size_nm()
    y, x = (table[f"{axis}_uncertainty"].astype(np.float64) * pixel_length(axis, size) for axis in "yx")
    return np.asarray(np.sqrt((y**2 + x**2) / 2))


#: By the word that the user chooses.
QUANTITIES = {
    "frame": ColourQuantity("frame", ("frame",), lambda table: table.frame),
    "photons": ColourQuantity("photons", ("photons",), lambda table: table["photons"]),
    "uncertainty": ColourQuantity("uncertainty [nm]", ("y_uncertainty", "x_uncertainty"), _uncertainty_nm),
    "z": ColourQuantity("z [nm]", ("z_nm",), lambda table: table["z_nm"]),
}


def can_colour(points: Points, name: str) -> bool:
    """Say whether the molecules of a layer have a quantity."""
    return all(column in REQUIRED or has_column(points, column) for column in QUANTITIES[name].columns)


class Appearance(NamedTuple):
    """How molecules are drawn.

    Attributes
    ----------
    method : str
    sigma_nm : float, optional
        As for `napari_subpixel.rendering.render.render`.
    colour_by : str
        One of `QUANTITIES`; empty: the density.
    """

    method: str = "gaussian"
    sigma_nm: float | None = None
    colour_by: str = ""

    def style(self, pixel_size_nm: PixelSize, least_sigma_px: float = LEAST_SIGMA_PX) -> ViewStyle:
        """Return the style of the views of frames with this pixel size."""
        height, width = pixel_size_yx(pixel_size_nm)
        sigma = None if self.sigma_nm is None else (self.sigma_nm / height, self.sigma_nm / width)
        return ViewStyle(self.method, sigma, least_sigma_px)


class Picture(NamedTuple):
    """What a layer shows.

    Attributes
    ----------
    values : ndarray of float32, shape (height, width); or of uint8, shape (height, width, 3)
        Molecules per square micrometre; or colours.
    view : View
        The molecules per pixel that these were made from.
    limit : float
        Molecules per square micrometre that are shown fully bright.
    value_range : (float, float), optional
        Quantity of the first and of the last colour.
    pixel_size_nm : float or (float, float)
        Of the frames.
    """

    values: NDArray[Any]
    view: View
    limit: float
    value_range: tuple[float, float] | None
    pixel_size_nm: PixelSize


class Drawn:
    """The molecules that pictures are made of, prepared by the first that needs them; for one thread at a time."""

    def __init__(self) -> None:
        self._source: object = None
        self._rows: tuple[object, ...] = ()
        self._colours: tuple[object, ...] = ()
        self._views: MoleculeViews | None = None

    def views(self, request: ViewRequest) -> MoleculeViews:
        """Return the molecules of a request: its table, rows and colours."""
        if self._views is None or self._source is not request.source:
            self._views, self._rows, self._colours = None, (), ()
            self._views = MoleculeViews(request.source(), frame_shape=request.frame_shape)
            self._source = request.source
        views = self._views
        if not _same(self._rows, request.rows):
            views.set_rows(common_rows(request.rows, len(views.points)))
            self._rows = request.rows
        colours = (request.appearance.colour_by, views)
        if not _same(self._colours, colours):
            quantity = QUANTITIES.get(request.appearance.colour_by)
            views.set_colours(None if quantity is None else quantity.values(views.points))
            self._colours = colours
        return views


@dataclass(frozen=True, eq=False)
class ViewRequest:
    """A picture to draw of what is in view.

    Attributes
    ----------
    drawn : Drawn
    source : callable
        Returns the table, hidden molecules included, in pixels of the frames; another one where that has changed.
    rows : tuple
        Masks, or arrays of indices, that a row must be in all of; entries that are None name all rows.
    ground : Ground
        What the points lie on.
    frame_shape : (int, int)
        Of the frames.
    pixel_size_nm : float or (float, float)
        Of the frames.
    in_view : InView
    appearance : Appearance
    limit : float, optional
        The present contrast, which is kept if that is possible; None: another one is chosen.
    sharp : bool
        Whether to take as long as it takes.
    """

    drawn: Drawn
    source: Callable[[], Localizations]
    rows: tuple[Any, ...]
    ground: Ground
    frame_shape: tuple[int, int]
    pixel_size_nm: PixelSize
    in_view: InView
    appearance: Appearance
    limit: float | None
    sharp: bool
    by_hand: bool = False

    @property
    def words(self) -> str:
        """What is being done, for the progress text."""
        return "drawing what is in view"

    def work(self) -> Work:
        """Return the work, which returns a `Picture`, or None where nothing of the frames is in view."""
        return Work(_drawn, self)


def grid_of(in_view: InView, frame_shape: tuple[int, int]) -> ViewGrid | None:
    """Return the pixels of a picture: those of the screen, with a margin."""
    zoom = min(in_view.zoom[0], 1 / LEAST_PIXEL_PX), min(in_view.zoom[1], 1 / LEAST_PIXEL_PX)
    margins = [MARGIN_SHARE * (high - low) for low, high in zip(in_view.low, in_view.high, strict=True)]
    low = [start - margin for start, margin in zip(in_view.low, margins, strict=True)]
    high = [stop + margin for stop, margin in zip(in_view.high, margins, strict=True)]
    return ViewGrid.covering(low, high, zoom=zoom, frame_shape=frame_shape)


def _drawn(request: ViewRequest) -> Generator[None, None, Picture | None]:
    yield
    grid = grid_of(request.in_view, request.frame_shape)
    if grid is None:
        return None
    views = request.drawn.views(request)
    yield
    most = None if request.sharp else QUICK_WORK
    steps = views.drawing(grid, request.appearance.style(request.pixel_size_nm), most_work=most)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return _picture(end.value, request, views.value_range)
        yield


def _picture(view: View, request: ViewRequest, value_range: tuple[float, float] | None) -> Picture:
    lengths = pixel_size_yx(request.pixel_size_nm)
    pixel_um = [length / zoom / 1e3 for length, zoom in zip(lengths, view.grid.zoom, strict=True)]
    density = view.image / np.float32(pixel_um[0] * pixel_um[1])
    limit = contrast_limits_of(density, CONTRAST_PIXELS)[1]
    if request.limit is not None and 1 / KEPT_WITHIN <= limit / request.limit <= KEPT_WITHIN:
        limit = request.limit
    if view.light is None:
        return Picture(density, view, limit, None, request.pixel_size_nm)
    return Picture(in_colours(density, view.image, view.light, limit), view, limit, value_range, request.pixel_size_nm)


def brightness(density: NDArray[np.float32], limit: float, gamma: float = GAMMA) -> NDArray[np.float32]:
    """Return from 0 to 1 how bright a density is shown."""
    return np.clip(density / np.float32(limit), 0, 1) ** np.float32(gamma)


def in_colours(
    density: NDArray[np.float32], points: NDArray[np.float32], light: NDArray[np.float32], limit: float
) -> NDArray[np.uint8]:
    """Return the mean colours of the molecules of each pixel, as bright as these are dense.

    Parameters
    ----------
    density, points : ndarray of float32, shape (height, width)
        Molecules per square micrometre, and per pixel.
    light : ndarray of float32, shape (3, height, width)
        Sums of their colours.
    limit : float
        Density that is fully bright.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    share = brightness(density, limit) * np.float32(255) / np.where(points > 0, points, 1)
    colours = np.empty((*density.shape, 3), np.uint8)
    for channel in range(3):
        colours[..., channel] = np.rint(np.clip(light[channel] * share, 0, 255))
    return colours


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(
        a is b or (isinstance(a, str) and a == b) for a, b in zip(one, other, strict=True)
    )


def common_rows(rows: tuple[Any, ...], n: int) -> NDArray[np.bool_] | None:
    """Return which of n rows are in all of these masks and arrays of indices."""
    common: NDArray[np.bool_] | None = None
    for named in rows:
        if named is None:
            continue
        mask = np.asarray(named)
        if mask.dtype != bool:
            mask = np.zeros(n, np.bool_)
            mask[named] = True
        common = mask if common is None else common & mask
    return common
