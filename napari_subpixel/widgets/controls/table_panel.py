"""What those panels share that analyse the localizations of one points layer."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.widgets.background.latest_request import LatestWork
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.command_line import CommandLine, CommandLineRow
from napari_subpixel.widgets.controls.panel import Panel, Row
from napari_subpixel.widgets.controls.pixel_size import SET_PIXEL_SIZE, ask_pixel_size_under
from napari_subpixel.widgets.controls.progress import ProgressRow
from napari_subpixel.widgets.controls.refusals import Refusal, reason_first
from napari_subpixel.widgets.controls.staleness import POINTS, SETTINGS, SHOWN_POINTS, Outdated
from napari_subpixel.widgets.controls.words import Colour, Words
from napari_subpixel.widgets.layers.filtering import all_hidden
from napari_subpixel.widgets.layers.points import notes_of
from napari_subpixel.widgets.layers.results import Ground, ground_of, is_measured, is_table, nothing_to, snapshot

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points


class TableRequest(NamedTuple):
    """What to do with the points that are shown when the work begins.

    Attributes
    ----------
    points : napari.layers.Points
    ground : Ground
        What they lie on.
    function : callable
        Takes a function that makes the table, the ground and the settings; returns a generator.
    settings : dict
    words : str
        What is being done, for the progress text.
    """

    points: Points
    ground: Ground
    function: Callable[..., Generator[Any, None, Any]]
    settings: dict[str, Any]
    words: str
    by_hand: bool = True

    def work(self) -> Work:
        """Return the work, on the points shown now."""
        return Work(self.function, snapshot(self.points), self.ground, self.settings)


class TablePanel(Panel):
    """A choice of localizations, settings, a button, why it cannot be done, progress, and the results.

    A panel of this kind adds its settings with `build`, and its results to `rows`; it says what to do in `request` and
    shows what comes back in `deliver`.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    points : magicgui.widgets.ComboBox
        The localizations.
    button : QPushButton
    refusal : Refusal
    progress : ProgressRow
    latest : LatestWork
    results : QWidget
        Hidden until there are any.
    rows : QVBoxLayout
        Where its parts go.
    summary, warnings : Words
        What was done, and what to know before it is used: the first and the last of the results.
    outdated : Outdated
    """

    #: What is done, as in "there is no points layer to link".
    verb: ClassVar[str]

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self.points = self.layer_choice(
            "Localizations",
            is_table,
            prefers=is_measured,
            tooltip=f"The points layer to {self.verb}; hidden points are left out",
        )
        self._shown_links = self.new_links()

    def build(self, *rows: Row, button: str, tooltip: str, cancelled: str) -> None:
        """Lay the panel out: its settings, the button, and what comes below.

        Parameters
        ----------
        *rows : magicgui.widgets.Widget, or (str, QWidget or QLayout)
            The settings.
        button, tooltip : str
        cancelled : str
            Tooltip of *Cancel*.
        """
        self.form = self.add_form(self.points, *rows)
        self.button = QPushButton(button)
        self.button.setToolTip(tooltip)
        self.button.clicked.connect(self.act)
        self.refusal = Refusal()
        self.progress = ProgressRow()
        self.progress.cancel.setToolTip(cancelled)
        self.latest: LatestWork[TableRequest] = LatestWork(self, self.progress)
        self.latest.began.connect(self._began)
        self.latest.said.connect(lambda step: self.progress.text.setText(f"{step} ..."))
        self.latest.returned.connect(self._returned)
        self.latest.failed.connect(self.refuse)
        self.summary, self.warnings = Words(), Words(colour=Colour.WARNING)
        self.outdated = Outdated(f"{button} again")
        self.results = QWidget()
        self.rows = QVBoxLayout(self.results)
        self.rows.setContentsMargins(0, 0, 0, 0)
        for part in (self.summary, self.outdated, self.warnings):
            self.rows.addWidget(part)
        self.results.hide()
        self.command_row = CommandLineRow(self.command_line)
        for widget in (self.button, self.refusal, self.command_row, self.progress, self.results):
            self.column.addWidget(widget)

    def add_result(self, *parts: QWidget) -> None:
        """Add parts of the results, below those that are there."""
        for part in parts:
            self.rows.addWidget(part)

    # -- what is to be done -------------------------------------------------------------------------------------------

    def request(self, points: Points, ground: Ground) -> TableRequest:
        """Return what to do with these points.

        Raises
        ------
        InputError
            If it cannot be done.
        """
        raise NotImplementedError

    def deliver(self, request: TableRequest, result: Any) -> str:
        """Show what came back, and return what was done in words."""
        raise NotImplementedError

    def warnings_of(self, result: Any) -> tuple[str, ...]:
        """Return what to know before a result is used."""
        return tuple(result.warnings)

    def command(self, request: TableRequest) -> CommandLine:
        """Return the call of the command line that does the same."""
        raise NotImplementedError

    def command_line(self) -> CommandLine:
        """Return the call of the command line for the points that are shown now.

        Raises
        ------
        InputError
            If it cannot be done.
        """
        points = self.chosen_points()
        return self.command(self.request(points, ground_of(points, self.viewer.layers)))

    def act(self) -> None:
        """Do it with the points that are shown now."""
        with self.refusal.shown(self.cure_of):
            points = self.chosen_points()
            self.latest.ask(self.request(points, ground_of(points, self.viewer.layers)))

    def chosen_points(self) -> Points:
        """Return the chosen layer.

        Raises
        ------
        InputError
            If there is none, or it shows no points.
        """
        points = self.points.value
        if points is None:
            raise nothing_to(self.verb)
        if not len(points.data):
            raise InputError(f"{points.name}: there are no points to {self.verb}")
        if not points.shown.any():
            raise all_hidden(points)
        return points

    # -- refusals -----------------------------------------------------------------------------------------------------

    def refuse(self, error: BaseException) -> None:
        """Show why it was not done."""
        self.refusal.say(reason_first(error), self.cure_of(error))

    def cure_of(self, error: BaseException) -> tuple[str, Callable[[], object]] | None:
        """Return the text of a button and what it does about an error, where there is something."""
        return (SET_PIXEL_SIZE, self.set_pixel_size) if isinstance(error, PixelSizeError) else None

    def set_pixel_size(self) -> None:
        """Ask for the pixel size of the movie or of the points, set it, and do what was asked for."""
        points = self.points.value
        if points is None:
            return
        if ask_pixel_size_under(self, points, self.viewer.layers) is not None:
            self.viewer.reset_view()
            self.act()

    # -- results ------------------------------------------------------------------------------------------------------

    def dock_closed(self) -> None:
        """Stop, and follow nothing more."""
        super().dock_closed()
        self.latest.cancel()

    def note_settings(self, _: object = None) -> None:
        """Say that the results are not those of the present settings."""
        self.outdated.note(SETTINGS)

    def _began(self, request: TableRequest) -> None:
        """Follow from now on what makes the results out of date."""
        self.outdated.began()
        self._shown_links.clear()
        points = request.points
        for signal in (notes_of(points).threshold_changed, notes_of(points).filter_changed):
            self._shown_links.connect(signal, self._shown_changed)
        self._shown_links.connect(points.events.data, self._points_changed)
        self._shown_links.connect(points.events.scale, self._points_changed)

    def _returned(self, request: TableRequest, result: Any) -> None:
        self.refusal.clear()
        self.summary.setText(self.deliver(request, result))
        warnings = self.warnings_of(result)
        self.warnings.setText("\n".join(f"Warning: {warning}" for warning in warnings))
        self.warnings.setVisible(bool(warnings))
        self.results.show()
        self.outdated.delivered()

    def _shown_changed(self, _: object = None) -> None:
        self.outdated.note(SHOWN_POINTS)

    def _points_changed(self, _: object = None) -> None:
        self.outdated.note(POINTS)
