"""Files of what *Render* shows: pictures with scale bar and bar of colours, and values to measure in."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.files import atomic_output
from napari_subpixel.coordinates import Roi, home_pixel
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.colours import BY_VALUE, COLORMAPS, colour_table, render_coloured
from napari_subpixel.rendering.image_files import fitting_scale_bar_nm, save_image
from napari_subpixel.rendering.render import render
from napari_subpixel.widgets.background.view_pictures import GAMMA, QUANTITIES, Appearance, brightness, in_colours
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.export_dialog import PICTURES, VALUES
from napari_subpixel.widgets.controls.picture_marks import ColourBar, with_marks
from napari_subpixel.widgets.layers.renderings import contrast_limits_of
from napari_subpixel.widgets.layers.results import Ground
from napari_subpixel.widgets.layers.view_image import InView, ViewImage

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class PictureExport:
    """What to write.

    Attributes
    ----------
    path : Path
    table : callable
        Returns the table of the points that are shown.
    ground : Ground
        What they lie on.
    appearance : Appearance
    pixel_size_nm : float
    roi : Roi, optional
        The part of the frames; None for all of them.
    colours : ndarray of float, shape (256, 3)
        Those of the density.
    limit : float, optional
        Molecules per square micrometre that are fully bright, and
    gamma : float
        how they get there; as in the viewer.
    value_range : (float, float), optional
        Quantity of the first and of the last colour.
    """

    path: Path
    table: Callable[[], Localizations]
    ground: Ground
    appearance: Appearance
    pixel_size_nm: float
    roi: Roi | None
    colours: NDArray[np.float64]
    limit: float | None
    gamma: float
    value_range: tuple[float, float] | None
    by_hand: bool = True

    @property
    def words(self) -> str:
        """What is being done, for the progress text."""
        return f"writing {self.path.name}"

    def work(self) -> Work:
        """Return the work."""
        return Work(exported, self)

    @classmethod
    def of(
        cls,
        path: Path,
        table: Callable[[], Localizations],
        ground: Ground,
        appearance: Appearance,
        pixel_size_nm: float,
        view: ViewImage | None,
        *,
        whole: bool,
        colormap: str,
    ) -> PictureExport:
        """Return what to write of the layer of what is in view, or of the whole field as it would appear.

        Raises
        ------
        InputError
            If the file's name ends in something else, or nothing of the frames is in view.
        """
        from napari.utils.colormaps import ensure_colormap

        if path.suffix.lower() not in (*VALUES, *PICTURES):
            raise InputError(f"{path}: the picture's name must end in {', '.join((*PICTURES, *VALUES))}")
        roi, limit, gamma, value_range = None, None, GAMMA, None
        if view is not None:
            appearance = view.drawing.appearance
            if not view.rgb:
                colormap, gamma = view.colormap, view.gamma
            if view.drawing.picture is not None:
                value_range = view.drawing.picture.value_range
        if not whole:
            if view is None or ground.frame_shape is None:
                raise InputError("nothing is drawn of what is in view: render it first")
            roi = roi_in_view(view.drawing.in_view, ground.frame_shape)
            if not view.rgb:
                limit = float(view.contrast_limits[1])
            elif view.drawing.picture is not None:
                limit = view.drawing.picture.limit
        colours = ensure_colormap(colormap).map(np.linspace(0, 1, 256))[:, :3].astype(np.float64)
        return cls(path, table, ground, appearance, pixel_size_nm, roi, colours, limit, gamma, value_range)


def roi_in_view(in_view: InView, frame_shape: tuple[int, int]) -> Roi:
    """Return the camera pixels that are in view, in part or whole.

    Raises
    ------
    InputError
        If there are none.
    """
    ends = zip(home_pixel(in_view.low).tolist(), home_pixel(in_view.high).tolist(), frame_shape, strict=True)
    (y0, y1), (x0, x1) = ((min(max(low, 0), n), max(min(high + 1, n), 0)) for low, high, n in ends)
    if y0 >= y1 or x0 >= x1:
        raise InputError("nothing of the frames is in view")
    return (y0, y1), (x0, x1)


def exported(export: PictureExport) -> Generator[float | None, None, None]:
    """Write a file; yields the share of the points that are drawn, and can be stopped there."""
    yield None
    points = export.ground.table(export.table())
    yield None
    sigma = export.appearance.sigma_nm if export.appearance.method == "gaussian" else None
    options: dict[str, Any] = {
        "pixel_size_nm": export.pixel_size_nm,
        "method": export.appearance.method,
        "sigma_nm": sigma,
    }
    options["roi"] = export.roi
    if export.path.suffix.lower() in VALUES:
        image = yield from _shares(render.steps(points, **options), len(points))
        save_image(export.path, image, overwrite=True)
        return
    drawn = yield from (_coloured if export.appearance.colour_by else _by_density)(points, export, options)
    yield None
    try:
        picture = with_marks(*drawn)
    except InputError as error:
        raise InputError(f"{export.path}: {error}") from error
    with atomic_output(export.path) as draft:
        draft.write_bytes(picture)


def _shares(steps: Generator[int, None, Result], n_points: int) -> Generator[float, None, Result]:
    """Run a rendering; yields the share of the points that are drawn."""
    while True:
        try:
            n_drawn = next(steps)
        except StopIteration as end:
            return cast(Result, end.value)
        yield n_drawn / max(n_points, 1)


def _by_density(
    points: Localizations, export: PictureExport, options: dict[str, Any]
) -> Generator[float, None, tuple[NDArray[np.uint8], float | None, float, ColourBar]]:
    rendered = yield from _shares(render.steps(points, **options), len(points))
    density, limit = _density(rendered.image, export)
    level = brightness(density, limit, export.gamma)
    colours = np.rint(export.colours * 255).astype(np.uint8)
    bar = ColourBar("molecules per µm²", colours, (0.0, limit), export.gamma)
    return colours[np.rint(level * 255).astype(np.uint8)], fitting_scale_bar_nm(rendered), export.pixel_size_nm, bar


def _coloured(
    points: Localizations, export: PictureExport, options: dict[str, Any]
) -> Generator[float, None, tuple[NDArray[np.uint8], float | None, float, ColourBar]]:
    quantity = QUANTITIES[export.appearance.colour_by]
    asked = export.value_range or (None, None)
    steps = render_coloured.steps(points, quantity.values(points), value_range=asked, **options)
    rendered = yield from _shares(steps, len(points))
    density, limit = _density(rendered.points, export)
    picture = in_colours(density, rendered.points, np.moveaxis(rendered.light, -1, 0), limit)
    colours = np.rint(colour_table(COLORMAPS[BY_VALUE]) * 255).astype(np.uint8)
    bar = ColourBar(quantity.label, colours, rendered.value_range)
    return picture, fitting_scale_bar_nm(rendered), export.pixel_size_nm, bar


def _density(image: NDArray[np.float32], export: PictureExport) -> tuple[NDArray[np.float32], float]:
    """Return molecules per square micrometre, and how many of them are fully bright."""
    density = image / np.float32((export.pixel_size_nm / 1e3) ** 2)
    return density, contrast_limits_of(density)[1] if export.limit is None else export.limit
