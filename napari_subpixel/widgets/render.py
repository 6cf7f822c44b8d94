"""The widget *Render*: an image over the movie of what is in view, or of the whole field."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QHBoxLayout, QPushButton

from napari_subpixel.coordinates import pixel_length
from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.rendering.image_files import save_image
from napari_subpixel.rendering.render import SuperResolutionImage
from napari_subpixel.widgets.background.latest_request import LatestWork
from napari_subpixel.widgets.background.picture_export import PictureExport, roi_in_view
from napari_subpixel.widgets.background.rendering import RenderRequest, settings_of
from napari_subpixel.widgets.background.view_drawing import ViewDrawing, described_picture
from napari_subpixel.widgets.background.view_pictures import Picture
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.command_line import CommandLine, CommandLineRow
from napari_subpixel.widgets.controls.export_dialog import ask_export
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE, ask_pixel_size, ask_pixel_size_of_points
from napari_subpixel.widgets.controls.preferences import results_path
from napari_subpixel.widgets.controls.progress import ProgressRow
from napari_subpixel.widgets.controls.refusals import Refusal
from napari_subpixel.widgets.controls.render_form import COLORMAPS, WHOLE_FIELD, RenderForm
from napari_subpixel.widgets.controls.saving import ask_and_save, with_suffix
from napari_subpixel.widgets.controls.words import Words
from napari_subpixel.widgets.layers.files import roi_text, table_file
from napari_subpixel.widgets.layers.hidden import HiddenLayers
from napari_subpixel.widgets.layers.movies import MovieLayer
from napari_subpixel.widgets.layers.points import notes_of
from napari_subpixel.widgets.layers.renderings import fill, rendered_image, rendering_layer_data, rendering_of
from napari_subpixel.widgets.layers.results import (
    Ground,
    ground_of,
    movie_of,
    needs_movie,
    nothing_to,
    snapshot,
)
from napari_subpixel.widgets.layers.view_image import ViewImage, view_image_of

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image, Layer, Points

#: The image follows the threshold once that has not moved for this long, in milliseconds.
REST_MS = 150


class RenderSuperResolution(RenderForm):
    """Renders localizations into an image layer exactly over their movie.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._links = self.new_links()
        self._hidden = HiddenLayers()
        self._rest = self.rest_timer(REST_MS, self._follow)
        self._build_actions()
        self.points.changed.connect(self._points_changed)
        self.colormap.changed.connect(self._colormap_changed)
        self.follow.changed.connect(self._threshold_changed)
        self.extent.changed.connect(self._layers_changed)
        self.frames_of.changed.connect(self._frames_changed)
        for control in (self.method, self.sigma_nm, self.colour_by):
            control.changed.connect(self._appearance_changed)
        self.hide_others.changed.connect(self._hide_others_changed)
        self._points_changed()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _build_actions(self) -> None:
        self.render_button = QPushButton("Render")
        self.render_button.setToolTip("Render the shown points; replaces an earlier rendering of them")
        self.render_button.clicked.connect(self.render_now)
        self.save_button = QPushButton("Save image...")
        self.save_button.setToolTip("Write the image as OME-TIFF, with its pixel size and provenance")
        self.save_button.clicked.connect(self.ask_and_save)
        self.export_button = QPushButton("Export picture...")
        self.export_button.setToolTip(
            "Write the view or the whole field: as PNG with scale bar and bar of colours, or its values as OME-TIFF"
        )
        self.export_button.clicked.connect(self.ask_and_export)
        row = QHBoxLayout()
        row.addWidget(self.render_button, stretch=2)
        row.addWidget(self.export_button, stretch=1)
        row.addWidget(self.save_button, stretch=1)
        self.column.addLayout(row)
        self.progress = ProgressRow()
        self.progress.cancel.setToolTip("Leave the image as it is")
        self.latest: LatestWork[RenderRequest] = LatestWork(self, self.progress)
        self.latest.returned.connect(self._deliver)
        self.export_progress = ProgressRow()
        self.export_progress.cancel.setToolTip("Write no file")
        self.exports: LatestWork[PictureExport] = LatestWork(self, self.export_progress)
        self.exports.returned.connect(self._exported)
        self.status = Words()
        self.refusal = Refusal()
        self.command_row = CommandLineRow(self.command_line)
        for widget in (self.refusal, self.command_row, self.progress, self.export_progress, self.status):
            self.column.addWidget(widget)

    # -- what is chosen -----------------------------------------------------------------------------------------------

    def reset_choices(self, *_: object) -> None:
        """List the layers again, and show the choice of a movie if the points need one."""
        super().reset_choices()
        self._layers_changed()

    def _points_changed(self, _: object = None) -> None:
        self._listen()
        shown = self.image or self.view_image
        if shown is not None and not shown.rgb and shown.colormap.name in COLORMAPS:
            with self.colormap.changed.blocked():
                self.colormap.value = shown.colormap.name
        with self.colour_by.changed.blocked():
            self.colour_by.reset_choices()
        view = self.view_image
        drawn = None if view is None else view.drawing.picture
        self.status.setText("" if view is None or drawn is None else described_picture(drawn, view.drawing))
        self._layers_changed()

    def _layers_changed(self, _: object = None) -> None:
        points = self.points.value
        foreign = points is not None and needs_movie(points, self.viewer.layers)
        self._form.setRowVisible(self.frames_of.native, foreign)
        self.save_button.setEnabled(self.image is not None)
        self.save_button.setVisible(self.extent.value == WHOLE_FIELD)

    def _colormap_changed(self, name: str) -> None:
        for image in (self.image, self.view_image):
            if image is not None and not image.rgb:
                image.colormap = name

    @property
    def image(self) -> Image | None:
        """The image of the whole field that was rendered from the chosen points, if it is in the viewer."""
        points = self.points.value
        return None if points is None else rendering_of(points, self.viewer.layers)

    @property
    def view_image(self) -> ViewImage | None:
        """The image of what is in view of the chosen points, if it is in the viewer."""
        points = self.points.value
        return None if points is None else view_image_of(points, self.viewer.layers)

    # -- rendering ----------------------------------------------------------------------------------------------------

    def render_now(self) -> None:
        """Render the shown points with the settings of the form."""
        self.remember()
        with self.refusal.shown(self._cure_of):
            points = self._chosen_points()
            if not len(points.data):
                raise InputError(f"{points.name}: there are no points to render")
            ground = self._ground(points)
            if self.extent.value == WHOLE_FIELD:
                self._listen()
                self.latest.ask(RenderRequest(points, ground, self.settings, by_hand=True))
            else:
                self._draw_view(points)

    def _cure_of(self, error: BaseException) -> tuple[str, Callable[[], object]] | None:
        return (SET_PIXEL_SIZE, self.set_pixel_size) if isinstance(error, PixelSizeError) else None

    def _movie(self) -> MovieLayer | None:
        """Return the movie of the chosen points."""
        points = self.points.value
        movie = movie_of(points, self.viewer.layers) if points is not None else None
        chosen = self.frames_of.value
        return MovieLayer(chosen) if movie is None and chosen is not None else movie

    def set_pixel_size(self) -> None:
        """Ask for the pixel size of the movie of the chosen points, or of these where it is not open, and render."""
        points, movie = self.points.value, self._movie()
        if points is None:
            return
        if movie is None:
            size = ask_pixel_size_of_points(self, points)
        else:
            size = ask_pixel_size(self, movie, self.viewer.layers)
        if size is not None:
            self.viewer.reset_view()
            self.render_now()

    def dock_closed(self) -> None:
        """Stop, and no longer follow the threshold."""
        super().dock_closed()
        self.latest.cancel()
        self.exports.cancel()

    def _chosen_points(self) -> Points:
        points = self.points.value
        if points is None:
            raise nothing_to("render")
        return points

    def _ground(self, points: Points) -> Ground:
        """Return what points lie on, or raise `InputError` unless its shape and pixel size are known."""
        ground = ground_of(points, self.viewer.layers, self.frames_of.value)
        ground.check_known(points)
        return ground

    # -- what is in view ----------------------------------------------------------------------------------------------

    def _draw_view(self, points: Points) -> None:
        """Draw what is in view from now on, in place of an earlier rendering of these points."""
        old, shape = self.view_image, self._ground(points).frame_shape
        if old is not None and old.rgb == bool(self.appearance.colour_by) and old.frame_shape == shape:
            old.drawing.set_ground(self._finding_ground(points))
            old.drawing.set_appearance(self.appearance)
        else:
            drawing = self._new_drawing(points)
            self._insert(drawing.layer, points, old or self.image)
        self._listen()

    def _new_drawing(self, points: Points) -> ViewDrawing:
        find = self._finding_ground(points)
        drawing = ViewDrawing(self.viewer, points, find, self.appearance, colormap=self.colormap.value)
        drawing.set_follows(self.follow.value)
        return drawing

    def _finding_ground(self, points: Points) -> Callable[[], Ground]:
        return partial(ground_of, points, self.viewer.layers, self.frames_of.value)

    def _appearance_changed(self, _: object = None) -> None:
        """Draw what is in view in another way at once."""
        points, image = self.points.value, self.view_image
        if points is not None and image is not None and image.drawing.appearance != self.appearance:
            with self.refusal.shown(self._cure_of):
                self._draw_view(points)

    def _frames_changed(self, movie: Image | None) -> None:
        """Draw points that do not know their frames on those that are chosen now, at once."""
        points = self.points.value
        if movie is None or points is None or self.view_image is None or not needs_movie(points, self.viewer.layers):
            return
        with self.refusal.shown(self._cure_of):
            self._draw_view(points)

    def _view_drawn(self, picture: Picture) -> None:
        image = self.view_image
        if image is not None and picture is image.drawing.picture:
            self.status.setText(described_picture(picture, image.drawing))

    def _insert(self, image: Layer, points: Points, instead_of: Layer | None) -> None:
        """Put an image below its points or in place of another, with a scale bar, and hide what would cover it."""
        layers = self.viewer.layers
        place = layers.index(instead_of or points) if (instead_of or points) in layers else len(layers)
        layers.insert(place, image)
        if instead_of is not None:
            layers.remove(instead_of)
            image.name = f"{points.name}, super-resolution"  # without napari's number, now that the other is gone
        self.viewer.canvas.overlays.scale_bar.visible = True
        if self.hide_others.value and instead_of is None:
            self._hide_others(points)

    def _hide_others(self, points: Points) -> None:
        movie = self._movie()
        self._hidden.hide(points, *([] if movie is None else [movie.layer]))

    def _hide_others_changed(self, hide: bool) -> None:
        self._hidden.show()
        if hide and self.points.value is not None and (self.image or self.view_image) is not None:
            self._hide_others(self.points.value)

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

        name = f"{points.name}, super-resolution"
        data = rendering_layer_data(rendered, points, name=name, colormap=self.colormap.value, over=ground.layer)
        self._insert(Layer.create(*data), points, view_image_of(points, self.viewer.layers))

    # -- following the threshold --------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Follow the threshold and the filter of the chosen points."""
        self._links.clear()
        if self.points.value is not None:
            notes = notes_of(self.points.value)
            for signal in (notes.threshold_changed, notes.filter_changed):
                self._links.connect(signal, self._threshold_changed)
        if (image := self.view_image) is not None:
            self._links.connect(image.drawing.drawn, self._view_drawn)

    def _threshold_changed(self, _: object = None) -> None:
        if (image := self.view_image) is not None:
            image.drawing.set_follows(self.follow.value)
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
            ask_and_save(self, "Save image", results_path(f"{image.name}.tif"), "OME-TIFF (*.tif *.tiff)", self.save)

    def save(self, path: str | Path) -> None:
        """Write the image of the chosen points as OME-TIFF with its provenance, in the background."""
        with reported():
            image = self._image_to_save()
            path = with_suffix(path, ".tif")
            work = Work(_saved, path, rendered_image(image))
            work.returned.connect(lambda _: self.status.setText(f"Saved {path.name}."))
            self.begin(work)

    def ask_and_export(self) -> None:
        """Ask what to write and where, and write it."""
        with reported():
            points, view = self._chosen_points(), self.view_image
            ground = self._ground(points)
            screen_nm = (
                None if view is None else pixel_length("x", ground.pixel_size_nm or 1.0) / view.drawing.in_view.zoom[1]
            )
            choice = ask_export(self, screen_nm, points.name)
            if choice is not None:
                self.export(choice.path, choice.pixel_size_nm, whole=choice.whole)

    def export(self, path: str | Path, pixel_size_nm: float, *, whole: bool) -> None:
        """Write the whole field or what is in view, in the background.

        Parameters
        ----------
        path : path-like
            Ends in .png, for a picture with scale bar and bar of colours, or in .tif, for values.
        pixel_size_nm : float
            Width of a pixel.
        whole : bool
            Whether to write the whole field.
        """
        with reported():
            points, view = self._chosen_points(), self.view_image
            if (running := self.exports.request) is not None:
                raise InputError(f"{running.path}: is being written: export the next picture after it")
            ground = self._ground(points) if view is None or whole else view.drawing.ground()
            ground.check_known(points)
            path = with_suffix(path, ".png")
            export = PictureExport.of(
                path,
                snapshot(points) if view is None else view.drawing.snapshot(),
                ground,
                self.appearance,
                pixel_size_nm,
                view,
                whole=whole,
                colormap=self.colormap.value,
            )
            self.exports.ask(export)

    def _exported(self, export: PictureExport, _: object) -> None:
        self.status.setText(f"Saved {export.path.name}.")

    def command_line(self) -> CommandLine:
        """Return the call of the command `render` that writes the image: the whole field, or what is in view.

        Raises
        ------
        InputError
            If it cannot be drawn.
        """
        points, view = self._chosen_points(), self.view_image
        ground = ground_of(points, self.viewer.layers, self.frames_of.value)
        ground.check_known(points)
        assert ground.frame_shape is not None
        file = table_file(points, ground, pixel_size="camera_pixel_size_nm")
        flags: dict[str, Any] = {"output": file.output("rendered", ".tif"), **self.settings}
        read = notes_of(points).file
        if read is None or read.table.frame_shape != ground.frame_shape:
            flags["shape_px"] = ground.frame_shape
        if self.extent.value == WHOLE_FIELD or view is None:
            flags["whole_frame"] = True
        else:
            in_view, pixel_nm = view.drawing.in_view, pixel_length("x", ground.pixel_size_nm or 1.0)
            flags["roi"] = roi_text(roi_in_view(in_view, ground.frame_shape))
            flags["pixel_size_nm"] = f"{pixel_nm / in_view.zoom[1]:.4g}"
        if self.extent.value != WHOLE_FIELD and self.appearance.colour_by:
            flags |= {"preview": file.output("rendered", ".png"), "color_by": self.appearance.colour_by}
        return CommandLine("render", (file,), flags)

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
