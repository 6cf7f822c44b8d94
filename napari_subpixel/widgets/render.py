"""The widget *Render*: an image over the movie that follows the threshold."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton

from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.rendering.image_files import save_image
from napari_subpixel.rendering.render import METHODS, SuperResolutionImage
from napari_subpixel.widgets.background.latest_request import LatestWork
from napari_subpixel.widgets.background.rendering import RenderRequest, settings_of
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE, ask_pixel_size
from napari_subpixel.widgets.controls.progress import ProgressRow
from napari_subpixel.widgets.controls.refusals import Refusal
from napari_subpixel.widgets.controls.saving import with_suffix
from napari_subpixel.widgets.controls.words import Words
from napari_subpixel.widgets.layers.movies import MovieLayer, is_movie
from napari_subpixel.widgets.layers.points import notes_of
from napari_subpixel.widgets.layers.renderings import fill, rendered_image, rendering_layer_data, rendering_of
from napari_subpixel.widgets.layers.results import Ground, ground_of, is_result, is_table, movie_of, needs_movie

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Points

#: Colormaps offered here; the layer's own controls offer all of napari's.
COLORMAPS = ("inferno", "hot", "magma", "fire", "viridis", "turbo", "gray", "green", "magenta", "cyan")
#: The image follows the threshold once that has not moved for this long, in milliseconds.
REST_MS = 150


class RenderSuperResolution(Panel):
    """Renders localizations into an image layer exactly over their movie.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._links = self.new_links()
        self._rest = self.rest_timer(REST_MS, self._follow)
        self._build_form()
        self._build_actions()
        self._method_changed()
        self._points_changed()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _build_form(self) -> None:
        self._build_choices()
        self._build_settings()
        self._form = self.add_form(
            self.points,
            self.frames_of,
            self.pixel_size_nm,
            self.method,
            self.sigma_nm,
            self.colormap,
            self.follow,
        )
        self.points.changed.connect(self._points_changed)
        self.method.changed.connect(self._method_changed)
        self.colormap.changed.connect(self._colormap_changed)
        self.follow.changed.connect(self._threshold_changed)

    def _build_choices(self) -> None:
        """Make the choices of layers."""
        self.points = self.layer_choice(
            "Localizations",
            is_table,
            prefers=is_result,
            tooltip="The points layer to render; hidden points are left out",
        )
        self.frames_of = self.layer_choice(
            "On the frames of",
            is_movie,
            tooltip="The movie that these points lie on, since they do not record the size of its frames",
        )

    def _build_settings(self) -> None:
        """Make the controls of how to render."""
        self.pixel_size_nm = FloatSpinBox(
            label="Pixel size [nm]",
            value=10.0,
            min=0.01,
            max=10_000.0,
            step=1.0,
            tooltip="Width of a pixel of the image; 10 nm suits most results. It need not divide the camera's",
        )
        self.method = ComboBox(
            label="Method",
            choices=METHODS,
            tooltip="gaussian: every point is a spot of sum 1, as wide as its uncertainty\n"
            "histogram: the number of points in each pixel",
        )
        self.sigma_nm = FloatSpinBox(
            label="Sigma [nm]",
            value=0.0,
            min=0.0,
            max=10_000.0,
            step=1.0,
            tooltip="Standard deviation of the spots. auto: each point's own uncertainty if it was measured, else "
            "one pixel of the image",
        )
        self.sigma_nm.native.setSpecialValueText("auto")
        self.colormap = ComboBox(
            label="Colormap", choices=COLORMAPS, tooltip="Colours from no points to many; applied at once"
        )
        self.follow = CheckBox(
            text="Follow the threshold",
            value=True,
            tooltip="Render again when the threshold or the filter of these localizations changes",
        )

    def _build_actions(self) -> None:
        self.render_button = QPushButton("Render")
        self.render_button.setToolTip("Render the shown points; replaces an earlier rendering of them")
        self.render_button.clicked.connect(self.render_now)
        self.save_button = QPushButton("Save image...")
        self.save_button.setToolTip("Write the image as OME-TIFF, with its pixel size and provenance")
        self.save_button.clicked.connect(self.ask_and_save)
        row = QHBoxLayout()
        row.addWidget(self.render_button, stretch=2)
        row.addWidget(self.save_button, stretch=1)
        self.column.addLayout(row)
        self.progress = ProgressRow()
        self.progress.cancel.setToolTip("Leave the image as it is")
        self.latest: LatestWork[RenderRequest] = LatestWork(self, self.progress)
        self.latest.returned.connect(self._deliver)
        self.status = Words()
        self.refusal = Refusal()
        for widget in (self.refusal, self.progress, self.status):
            self.column.addWidget(widget)

    # -- what is chosen -----------------------------------------------------------------------------------------------

    def reset_choices(self, *_: object) -> None:
        """List the layers again, and show the choice of a movie if the points need one."""
        super().reset_choices()
        self._layers_changed()

    def _points_changed(self, _: object = None) -> None:
        self._listen()
        image = self.image
        if image is not None and image.colormap.name in COLORMAPS:
            with self.colormap.changed.blocked():
                self.colormap.value = image.colormap.name
        self._layers_changed()

    def _layers_changed(self) -> None:
        points = self.points.value
        foreign = points is not None and needs_movie(points, self.viewer.layers)
        self._form.setRowVisible(self.frames_of.native, foreign)
        self.save_button.setEnabled(self.image is not None)

    def _method_changed(self, _: object = None) -> None:
        self.sigma_nm.enabled = self.method.value == "gaussian"

    def _colormap_changed(self, name: str) -> None:
        if (image := self.image) is not None:
            image.colormap = name

    @property
    def image(self) -> Image | None:
        """The image that was rendered from the chosen points, if it is in the viewer."""
        points = self.points.value
        return None if points is None else rendering_of(points, self.viewer.layers)

    @property
    def settings(self) -> dict[str, Any]:
        """How to render: keyword arguments of `napari_subpixel.rendering.render.render`."""
        wide = self.method.value == "gaussian" and self.sigma_nm.value > 0
        return {
            "pixel_size_nm": self.pixel_size_nm.value,
            "method": self.method.value,
            "sigma_nm": self.sigma_nm.value if wide else None,
        }

    # -- rendering ----------------------------------------------------------------------------------------------------

    def render_now(self) -> None:
        """Render the shown points with the settings of the form."""
        with self.refusal.shown(self._cure_of):
            points = self._chosen_points()
            if not len(points.data):
                raise InputError(f"{points.name}: there are no points to render")
            ground = ground_of(points, self.viewer.layers, self.frames_of.value)
            ground.check_known(points)
            self._listen()
            self.latest.ask(RenderRequest(points, ground, self.settings, by_hand=True))

    def _cure_of(self, error: BaseException) -> tuple[str, Callable[[], object]] | None:
        return (SET_PIXEL_SIZE, self.set_pixel_size) if isinstance(error, PixelSizeError) and self._movie() else None

    def _movie(self) -> MovieLayer | None:
        """Return the movie of the chosen points."""
        points = self.points.value
        movie = movie_of(points, self.viewer.layers) if points is not None else None
        chosen = self.frames_of.value
        return MovieLayer(chosen) if movie is None and chosen is not None else movie

    def set_pixel_size(self) -> None:
        """Ask for the pixel size of the movie of the chosen points, set it, and render."""
        movie = self._movie()
        if movie is not None and ask_pixel_size(self, movie, self.viewer.layers) is not None:
            self.viewer.reset_view()
            self.render_now()

    def dock_closed(self) -> None:
        """Stop, and no longer follow the threshold."""
        super().dock_closed()
        self.latest.cancel()

    def _chosen_points(self) -> Points:
        points = self.points.value
        if points is None:
            raise InputError("there is no points layer to render: detect molecules, or open a table of localizations")
        return points

    def _deliver(self, request: RenderRequest, rendered: SuperResolutionImage) -> None:
        image = rendering_of(request.points, self.viewer.layers)
        if image is not None:
            fill(image, rendered, request.points, over=request.ground.layer)
        elif request.by_hand:
            self._add(rendered, request.points, request.ground)
        else:
            return  # the user removed it, and did not ask for another
        self.status.setText(_describe(request.points.name, rendered))

    def _add(self, rendered: SuperResolutionImage, points: Points, ground: Ground) -> None:
        """Insert a new image below its points."""
        from napari.layers import Layer

        layers = self.viewer.layers
        name = f"{points.name}, super-resolution"
        data = rendering_layer_data(rendered, points, name=name, colormap=self.colormap.value, over=ground.layer)
        place = layers.index(points) if points in layers else len(layers)
        layers.insert(place, Layer.create(*data))

    # -- following the threshold --------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Follow the threshold and the filter of the chosen points."""
        self._links.clear()
        if self.points.value is not None:
            notes = notes_of(self.points.value)
            for signal in (notes.threshold_changed, notes.filter_changed):
                self._links.connect(signal, self._threshold_changed)

    def _threshold_changed(self, _: object = None) -> None:
        if self.follow.value:
            self._rest.start()

    def _follow(self) -> None:
        """Render again with the settings of the image, if it still exists or is being rendered."""
        points = self.points.value
        if points is None or not self.follow.value:
            return
        image, running = self.image, self.latest.request
        if running is not None and running.points is points:
            self.latest.ask(running._replace(by_hand=False))
        elif image is not None and (settings := settings_of(image)) is not None:
            with reported():
                ground = ground_of(points, self.viewer.layers, self.frames_of.value)
                self.latest.ask(RenderRequest(points, ground, settings, by_hand=False))

    # -- files --------------------------------------------------------------------------------------------------------

    def ask_and_save(self) -> None:
        """Ask for the name of a file, and write the image to it."""
        with reported():
            image = self._image_to_save()
            path, _ = QFileDialog.getSaveFileName(self, "Save image", f"{image.name}.tif", "OME-TIFF (*.tif *.tiff)")
            if path:
                self.save(path)

    def save(self, path: str | Path) -> None:
        """Write the image of the chosen points as OME-TIFF with its provenance, in the background."""
        with reported():
            image = self._image_to_save()
            path = with_suffix(path, ".tif")
            work = Work(_saved, path, rendered_image(image))
            work.returned.connect(lambda _: self.status.setText(f"Saved {path.name}."))
            self.begin(work)

    def _image_to_save(self) -> Image:
        points = self._chosen_points()
        image = self.image
        if image is None:
            raise InputError(f"{points.name}: no image of these points was rendered")
        return image


def _saved(path: Path, image: SuperResolutionImage) -> Generator[None, None, None]:
    yield
    save_image(path, image, overwrite=True)


def _describe(name: str, rendered: SuperResolutionImage) -> str:
    height, width = rendered.image.shape
    n_points, n_outside = rendered.provenance["render"]["points"], rendered.n_outside
    words = f"{n_points:,} points of {name} in {height:,} x {width:,} pixels of {rendered.grid.pixel_size_nm:g} nm."
    return words if not n_outside else f"{words} {n_outside:,} outside the frames were left out."
