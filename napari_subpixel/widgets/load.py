"""The widget *Load*: a movie with its pixel size and camera, from a file or an open layer."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton, QWidget

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import pixel_size_text
from napari_subpixel.stacks import Stack, open_stack
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.advice import advised
from napari_subpixel.widgets.controls.camera_form import CameraForm
from napari_subpixel.widgets.controls.messages import reported
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.preferences import preferences
from napari_subpixel.widgets.controls.words import Words
from napari_subpixel.widgets.layers.movies import LayerData, MovieLayer, is_movie, movie_layer_data
from napari_subpixel.widgets.pairing import keep_paired
from napari_subpixel.widgets.readers import match_tables

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

#: The choice of no layer.
FROM_FILE = "a file or folder"
#: Filter of the dialog for files.
MOVIE_FILTER = "Movies (*.tif *.tiff *.btf *.tf2 *.tf8 *.lsm *.stk *.zip);;All files (*)"
#: What the numbers of the camera are for.
CAMERA_HELP = (
    "The pixel size converts pixels to nm. Leave the rest as it is if you do not know it: the models estimate it from "
    "the movie."
)


class LoadStack(Panel):
    """Loads a movie as a lazy layer in nm with its camera, or sets the camera of an open layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer

    Attributes
    ----------
    source : magicgui.widgets.ComboBox
        A file, or one of the layers.
    path : QLineEdit
        The file or folder.
    form : CameraForm
        Pixel size and camera.
    button : QPushButton
        *Load*, or *Apply to layer*.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._chosen = ""
        self._stack: Stack | None = None
        self._work: Work | None = None
        self.form = CameraForm()
        self._build_form()
        self.button = QPushButton("Load")
        self.button.clicked.connect(self.act)
        self.status = Words()
        for widget in (Words(CAMERA_HELP), self.button, self.status):
            self.column.addWidget(widget)
        self.form.recall()
        self._source_changed()

    def _build_form(self) -> None:
        self.source = self.layer_choice(
            "Movie", is_movie, none=FROM_FILE, tooltip="Load a file, or set the pixel size and camera of a layer"
        )
        self.source.value = None
        self.source.changed.connect(self._source_changed)
        self.path = QLineEdit(placeholderText="TIFF, Zarr, or a folder of frames")
        self.path.setToolTip("The movie; its frames stay in the file until they are viewed")
        self.path.editingFinished.connect(self._path_typed)
        self.about = Words()
        source = QHBoxLayout()
        source.addWidget(QLabel("Movie"))
        source.addWidget(self.source.native, stretch=1)
        self._file_rows = self._build_file_rows()
        form = self.add_form()
        for row in (source, self._file_rows, self.about):
            form.addRow(row)
        self.form.add_to(form)

    def _build_file_rows(self) -> QWidget:
        self.file_button, self.folder_button = QPushButton("File..."), QPushButton("Folder...")
        self.file_button.setToolTip("Choose a TIFF file of any kind, or a zipped Zarr")
        self.folder_button.setToolTip("Choose a Zarr folder, or a folder of TIFF files with one frame each")
        self.file_button.clicked.connect(self._file_dialog)
        self.folder_button.clicked.connect(self._folder_dialog)
        rows = QWidget()
        grid = QGridLayout(rows)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.path, 0, 0, 1, 2)
        grid.addWidget(self.file_button, 1, 0)
        grid.addWidget(self.folder_button, 1, 1)
        return rows

    # -- the movie ---------------------------------------------------------------------------------------------------

    def choose(self, path: str | Path) -> None:
        """Open a file or folder, and show its shape and the pixel size in its metadata."""
        path = str(path).strip().strip('"')
        if path == self._chosen:  # the cursor left the line, but nothing changed
            return
        self._chosen = path
        self.path.setText(path)
        self.source.value = None
        self._stop()
        self._stack = None
        self.status.setText("")
        self._say("reading the file ..." if path else "")
        if path:
            work = Work(_open, path)
            work.returned.connect(self._opened)
            work.failed.connect(self._not_loaded)
            self._start(work)
        self._update_button()

    def _path_typed(self) -> None:
        self.choose(self.path.text())

    def _say(self, text: str) -> None:
        """Show what the movie is, or why it cannot be loaded."""
        self.about.setText(text)
        self.about.setVisible(bool(text))

    def _opened(self, stack: Stack) -> None:
        self._stack = stack
        self._say(describe_stack(stack))
        self.form.show_reported_pixel_size(stack.pixel_size_nm, "the file")

    def _source_changed(self, _: object = None) -> None:
        layer = self.source.value
        self._file_rows.setVisible(layer is None)
        self.button.setText("Load" if layer is None else "Apply to layer")
        self.button.setToolTip(
            "Add the movie to the viewer, in nm; its frames are read when they are viewed"
            if layer is None
            else "Set the pixel size and camera of this layer; points and images made from it follow"
        )
        self._say("")
        self.status.setText("")
        with reported():
            if layer is not None:
                self._show_layer(MovieLayer(layer))
            elif self._stack is not None:
                self._opened(self._stack)
            else:
                self.form.show_reported_pixel_size(None, "")
        self._update_button()

    def _show_layer(self, movie: MovieLayer) -> None:
        self._say(describe_stack(movie.stack()))
        camera = movie.camera
        if camera != Camera(pixel_size_nm=camera.pixel_size_nm):
            self.form.show_camera(camera, "from the layer")
        self.form.show_reported_pixel_size(camera.pixel_size_nm, "the layer")

    def _file_dialog(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Movie", _last_folder(), MOVIE_FILTER)
        self._choose_from_dialog(path)

    def _folder_dialog(self) -> None:
        self._choose_from_dialog(QFileDialog.getExistingDirectory(self, "Folder of frames, or Zarr", _last_folder()))

    def _choose_from_dialog(self, path: str) -> None:
        from napari.utils.history import update_open_history

        if path:
            update_open_history(path)
            self._chosen = ""  # chosen again, it is opened again
            self.choose(path)

    # -- loading ------------------------------------------------------------------------------------------------------

    def act(self) -> None:
        """Load the file, or apply the camera to the layer."""
        if self.source.value is not None:
            with reported():
                self._apply(self.source.value)
        elif self._stack is not None and self._work is None:
            work = Work(_load, self._stack, self.form.camera)
            work.returned.connect(self._loaded)
            work.failed.connect(self._not_loaded)
            self.status.setText("loading ...")
            self._file_rows.setEnabled(False)
            self.source.enabled = False
            self._start(work)
            self._update_button()

    def _apply(self, layer: Layer) -> None:
        movie, camera = MovieLayer(layer), self.form.camera
        if camera.pixel_size_nm is None:
            camera = replace(camera, pixel_size_nm=movie.camera.pixel_size_nm)
        movie.set_camera(camera, self.viewer.layers)
        match_tables(self.viewer.layers)
        self.viewer.reset_view()
        self.form.show_reported_pixel_size(camera.pixel_size_nm, "the layer")
        self._end_with(layer, camera)

    def _loaded(self, data: LayerData) -> None:
        from napari.layers import Layer

        keep_paired(self.viewer)
        is_first = not self.viewer.layers
        layer = self.viewer.add_layer(Layer.create(*data))
        if is_first:
            self.viewer.dims.set_point(0, 0)
        self.choose("")
        self._end_with(layer, MovieLayer(layer).camera)

    def _end_with(self, layer: Layer, camera: Camera) -> None:
        size = camera.pixel_size_nm
        self.viewer.canvas.overlays.scale_bar.visible = True
        self.status.setText(f"{layer.name}: {f'{pixel_size_text(size)} per pixel' if size else 'pixel size not known'}")
        self.form.remember()

    def _not_loaded(self, error: Exception) -> None:
        self._say(advised(error))
        self.status.setText("")

    # -- work ---------------------------------------------------------------------------------------------------------

    def _start(self, work: Work) -> None:
        self._work = work
        work.cancelled.connect(self._forget)
        work.finished.connect(self._finished)
        self.begin(work)

    def _stop(self) -> None:
        """Stop the present work, and ignore what it still delivers."""
        if self._work is not None:
            work, self._work = self._work, None
            work.cancel()
            for signal in (work.returned, work.failed, work.cancelled):
                signal.disconnect()
            work.finished.disconnect(self._finished)
            self._finished()

    def dock_closed(self) -> None:
        """Cancel the present work, and release an opened file."""
        super().dock_closed()
        if self._work is None:
            self._forget()
            self._update_button()

    def _forget(self) -> None:
        """Forget the opened file, which is closed unless it is in use."""
        self._chosen, self._stack = "", None
        self._say("")
        self.status.setText("")

    def _finished(self) -> None:
        self._work = None
        self._file_rows.setEnabled(True)
        self.source.enabled = True
        self._update_button()

    def _update_button(self) -> None:
        """Enable the button if there is something to do and no work is under way."""
        self.button.setEnabled(self._work is None and (self.source.value is not None or self._stack is not None))


def describe_stack(stack: Stack) -> str:
    """Describe a movie: frames, pixels, type and size."""
    height, width = stack.frame_shape
    frames = f"{stack.n_frames:,} frame{'s'[: stack.n_frames != 1]}"
    words = f"{frames} of {height} x {width} px, {stack.dtype}, {_format_bytes(stack.nbytes)}"
    return "; ".join([words, *stack.warnings])


def _format_bytes(n_bytes: int) -> str:
    thousands = min((len(str(n_bytes)) - 1) // 3, 4)
    size, unit = n_bytes / 1000**thousands, ("bytes", "kB", "MB", "GB", "TB")[thousands]
    return f"{size:.1f} {unit}" if thousands and size < 10 else f"{size:.0f} {unit}"


def _open(path: str) -> Generator[None, None, Stack]:
    """Open a movie, on the thread: a long chain of pages or a slow disk takes time.

    Its file is closed when nothing refers to it any more, whether or not it was loaded.
    """
    stack = open_stack(Path(path).expanduser()).close_when_unused()
    yield  # stops here if it is no longer wanted
    return stack


def _load(stack: Stack, camera: Camera) -> Generator[None, None, LayerData]:
    """Make a movie's layer, on the thread: a few frames are read for the contrast."""
    data = movie_layer_data(stack, camera)
    yield  # stops here if it is no longer wanted
    return data


def _last_folder() -> str:
    from napari.utils.history import get_open_history

    preferred = preferences().movies.strip()
    return str(Path(preferred).expanduser()) if preferred else get_open_history()[0]
