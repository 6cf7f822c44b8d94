"""The widget *Train*: a model of the user's own, trained further on what their movies look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_subpixel.errors import ChangedRunError, InputError, OutputExistsError, PixelSizeError, UnfinishedRunError
from napari_subpixel.training.request import RequestError
from napari_subpixel.training.train_model import check_can_train
from napari_subpixel.widgets.background.training import Begun, Happened, TrainingCall, train
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.command_line import CommandLine, CommandLineRow
from napari_subpixel.widgets.controls.frame_pairs import FramePairs
from napari_subpixel.widgets.controls.napari_task import NapariTask
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE, ask_pixel_size
from napari_subpixel.widgets.controls.progress import ProgressRow
from napari_subpixel.widgets.controls.refusals import Refusal, reason_first
from napari_subpixel.widgets.controls.training_curves import TrainingCurves
from napari_subpixel.widgets.controls.training_form import TrainingForm
from napari_subpixel.widgets.controls.words import Colour, Words
from napari_subpixel.widgets.layers.movies import MovieLayer

if TYPE_CHECKING:
    from napari import Viewer

# What the buttons say that cure a refusal, and those under a training that was stopped.
CONTINUE = "Continue it"
REPLACE = "Replace what is there"
START_AGAIN = "Start again"
SAVE = "Save as it is"
#: What to do where a field of the request is missing.
ADVICE = {
    "camera": "choose one at 'Camera'",
    "pixel_size": "type it at 'Pixel size [nm]'",
    "psf": "give it at 'PSF sigma [nm]'",
}


class TrainModel(Panel):
    """Trains a model further: on simulations like a movie, on simulations in ranges, or on a movie with its truth.

    Parameters
    ----------
    napari_viewer : napari.Viewer

    Attributes
    ----------
    form : TrainingForm
        What to train, and what on.
    curves : TrainingCurves
    pairs : FramePairs
        Simulated frames next to the user's own.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._work: Work | None = None
        self._call: TrainingCall | None = None
        self._begun: Begun | None = None
        self._kept = 0
        self.form = TrainingForm(self)
        self.settings = QWidget()
        self.form.add_to(self.settings)
        self.column.addWidget(self.settings)
        self.form.changed.connect(self._offer)
        self._build_run()
        self._offer()

    def _build_run(self) -> None:
        self.button = QPushButton("Train")
        self.button.setToolTip("Train in a process of its own, while the viewer can be used")
        self.button.clicked.connect(lambda _: self.run())
        self.refusal = Refusal()
        self.command_row = CommandLineRow(self.command_line)
        self.progress = ProgressRow()
        self.progress.cancel.setText("Stop")
        self.progress.cancel.setToolTip("Stop; the steps that are done are kept, to be continued or saved")
        self.progress.cancel_clicked.connect(self.stop)
        NapariTask(self.progress, self.viewer, "training a model")
        self.status, self.warnings, self.notes = Words(), Words(colour=Colour.WARNING), Words()
        self.continue_button, self.save_button = QPushButton(CONTINUE), QPushButton(SAVE)
        self.continue_button.setToolTip("Continue this training up to the number of steps that is chosen")
        self.save_button.setToolTip("Save the model as it is now, so that Detect lists it")
        self.continue_button.clicked.connect(lambda _: self.run(resume=True))
        self.save_button.clicked.connect(lambda _: self.save())
        self.after = QWidget()
        buttons = QHBoxLayout(self.after)
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.continue_button)
        buttons.addWidget(self.save_button)
        self.curves, self.pairs = TrainingCurves(), FramePairs()
        over = (self.button, self.refusal, self.command_row, self.progress, self.status, self.after, self.curves)
        for widget in (*over, self.pairs, self.warnings, self.notes):
            self.column.addWidget(widget)
        self._say_nothing()

    # -- the run ------------------------------------------------------------------------------------------------------

    def run(self, *, resume: bool = False, overwrite: bool = False, steps: int | None = None) -> None:
        """Train.

        Parameters
        ----------
        resume : bool
            Continue an earlier training of this name.
        overwrite : bool
            Replace the model, and drop an earlier training of this name.
        steps : int, optional
            In place of the chosen number.
        """
        if self._work is not None:
            return
        with self.refusal.shown(self._cure_of, "train"):
            with _in_words():
                call = self.form.call(resume=resume, overwrite=overwrite)
            check_can_train(self.form.output(), resume=resume, overwrite=overwrite)
            if steps is not None:
                call = call._replace(flags={**call.flags, "iterations": steps})
            self._begin(call)

    def stop(self) -> None:
        """Stop; the steps that are done are kept."""
        if self._call is not None:
            self._call.stop.set()

    def save(self) -> None:
        """Save the model as it was when its training was stopped."""
        if self._kept:
            self.run(resume=True, steps=self._kept)

    def command_line(self) -> CommandLine:
        """Return the call of the command `train`.

        Raises
        ------
        InputError
            If something is missing, or does not go together.
        """
        with _in_words():
            return self.form.command_line()

    def _begin(self, call: TrainingCall) -> None:
        self._call, self._begun, self._kept = call, None, 0
        self._say_nothing()
        self.curves.clear()
        self.pairs.show_frames(None, are_pairs=False)
        # Before napari's bar is made, which lets another click through.
        self._work = work = Work(train, call, widget="train")
        self._set_running(True)
        self.progress.begin(0, "", "starting: estimating, simulating ...")
        work.yielded.connect(self._arrived)
        work.returned.connect(self._ended)
        work.failed.connect(self._failed)
        work.cancelled.connect(self._cancelled)
        work.finished.connect(self._finished)
        self.begin(work)

    def _arrived(self, event: Begun | Happened | None) -> None:
        if isinstance(event, Begun):
            self._show_start(event)
        elif event is not None and event.name == "base":
            self.curves.show_base(event.fields["name"], event.fields["jaccard"])
            self.progress.restart()
        elif event is not None and event.name == "progress":
            self._show_progress(event)

    def _show_start(self, begun: Begun) -> None:
        self._begun = begun
        self.curves.begin(begun.n_iterations, begun.log)
        self.pairs.show_frames(begun.frames, are_pairs=self.form.imitates)
        self.form.show_domain(begun.domain)
        self.notes.setText("\n".join(begun.notes))
        self.notes.setVisible(bool(begun.notes))
        self._warn(begun.warnings)
        if self.progress.cancel.isEnabled():
            left = begun.n_iterations - begun.n_done
            self.progress.begin(left, "steps", f"measuring {self.form.base.value} as it is ...")

    def _show_progress(self, event: Happened) -> None:
        self.curves.add(event.fields)
        if self._begun is not None and self.progress.cancel.isEnabled():
            done = event.fields["iteration"]
            self.progress.update_to(done - self._begun.n_done, f"step {done:,} of {self._begun.n_iterations:,}")

    # -- its end ------------------------------------------------------------------------------------------------------

    def _ended(self, event: Happened) -> None:
        if event.name == "model":
            self._show_model(event)
            return
        self._kept = int(event.fields["n_done"])
        if self._kept:
            self._say(f"Stopped. {self._kept:,} steps are kept.", None)
        else:
            self._say("Stopped before the first step.", None)

    def _show_model(self, event: Happened) -> None:
        """Say how good the model is, and list it in the other panels."""
        name, fields = self.form.model_name, event.fields
        now, before = fields["jaccard"], fields["base_jaccard"]
        words, is_better = f"{name} is saved: Detect lists it.", True
        if now is not None:
            words += f" Jaccard index on held-out frames: {now:.3f}"
            if before is not None:
                is_better = now > before
                words += f", of {self.form.base.value} as it is {before:.3f}"
            words += "." if is_better else f": no better, use {self.form.base.value}."
        self._say(words, Colour.DONE if is_better else Colour.WARNING)
        self._warn([*(self._begun.warnings if self._begun is not None else ()), *fields["warnings"]])
        window = getattr(self.viewer, "window", None)
        for panel in window._qt_window.findChildren(Panel) if window is not None else ():
            panel.reset_choices()

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, InputError):
            error = _worded(error)
        self.refusal.say(reason_first(error, "train"), self._cure_of(error))

    def _cancelled(self) -> None:
        self._say("Stopped.", None)

    def _finished(self) -> None:
        self._work = None
        self.progress.end()
        self._set_running(False)

    def _say(self, words: str, colour: Colour | None) -> None:
        self.status.set_colour(colour)
        self.status.setText(words)
        self.status.setVisible(bool(words))

    def _warn(self, warnings: Sequence[str]) -> None:
        self.warnings.setText("\n".join(f"Warning: {warning}" for warning in warnings))
        self.warnings.setVisible(bool(warnings))

    def _say_nothing(self) -> None:
        for words in (self.status, self.warnings, self.notes):
            words.hide()

    def _set_running(self, running: bool) -> None:
        """Give the room of what cannot be changed now to what is happening."""
        for widget in (self.settings, self.button, self.command_row):
            widget.setVisible(not running)
        self._offer()

    def _offer(self) -> None:
        """Offer to continue or to save a training that was stopped, while its name is chosen."""
        call = self._call
        is_chosen = call is not None and call.flags["output"] == self.form.model_name
        self.after.setVisible(self._work is None and self._kept > 0 and is_chosen)

    # -- refusals -----------------------------------------------------------------------------------------------------

    def _cure_of(self, error: BaseException) -> tuple[str, Callable[[], object]] | None:
        if isinstance(error, PixelSizeError) and self.form.movie.value is not None:
            return SET_PIXEL_SIZE, self.set_pixel_size
        if isinstance(error, ChangedRunError):
            return START_AGAIN, lambda: self.run(overwrite=True)
        if isinstance(error, UnfinishedRunError):
            return CONTINUE, lambda: self.run(resume=True)
        if isinstance(error, OutputExistsError):
            return REPLACE, lambda: self.run(overwrite=True)
        return None

    def set_pixel_size(self) -> None:
        """Ask for the pixel size of the movie, set it, and train."""
        movie = MovieLayer(self.form.movie.value)
        if ask_pixel_size(self, movie, self.viewer.layers) is not None:
            self.viewer.reset_view()
            self.run()


@contextmanager
def _in_words() -> Iterator[None]:
    """Name the controls for what is missing."""
    try:
        yield
    except RequestError as error:
        raise _worded(error) from None


def _worded(error: InputError) -> InputError:
    """Return an error of a request with the control that cures it; any other as it is."""
    field = getattr(error, "field", "") if isinstance(error, RequestError) else ""
    return InputError(f"{error}: {ADVICE[field]}") if field in ADVICE else error
