"""The widget *Evaluate*: a table of scores, and coloured matches, false positives and misses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magicgui.widgets import CheckBox, ComboBox
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_subpixel.errors import InputError
from napari_subpixel.evaluation.scores import Evaluation, Match
from napari_subpixel.widgets.background.evaluation import (
    EvaluationRequest,
    EvaluationResult,
    describe_evaluation,
    warnings_beyond,
)
from napari_subpixel.widgets.background.latest_request import LatestWork
from napari_subpixel.widgets.controls.command_line import CommandLine, CommandLineRow
from napari_subpixel.widgets.controls.evaluation_form import EvaluationForm
from napari_subpixel.widgets.controls.messages import reported, show_warning
from napari_subpixel.widgets.controls.preferences import results_path
from napari_subpixel.widgets.controls.progress import ProgressRow
from napari_subpixel.widgets.controls.refusals import Refusal, reason_first
from napari_subpixel.widgets.controls.saving import ask_and_save
from napari_subpixel.widgets.controls.scores import SCORES, save_scores
from napari_subpixel.widgets.controls.staleness import POINTS, SETTINGS, Outdated
from napari_subpixel.widgets.controls.table import ReadOnlyTable
from napari_subpixel.widgets.controls.words import Colour, Words, background_now
from napari_subpixel.widgets.layers.files import LayerFile, span_text, table_file, whole_table_file
from napari_subpixel.widgets.layers.hidden import HiddenLayers
from napari_subpixel.widgets.layers.matches import FALSE_POSITIVES, KINDS, MISSES, TRUE_POSITIVES, show_matches
from napari_subpixel.widgets.layers.points import notes_of
from napari_subpixel.widgets.layers.results import (
    ground_of,
    is_foreign,
    movie_of,
    nothing_to,
    on_movie,
)

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Points

# What may change after the scores were made, besides the form and the points.
#: The threshold of the result.
THRESHOLD = "the threshold"
#: Its filter, or that of the truth.
FILTER = "the filter"
#: Colours of the legend; those of the markers are made for dark images.
LEGEND_COLOURS = {TRUE_POSITIVES: Colour.DONE, FALSE_POSITIVES: Colour.FALSE_POSITIVES, MISSES: Colour.MISSES}
#: The scores follow the threshold once that has not moved for this long, in milliseconds.
REST_MS = 150


class EvaluateAgainstTruth(EvaluationForm):
    """Scores a result against ground truth, and shows true positives, false positives and misses.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._shown: tuple[EvaluationRequest, EvaluationResult] | None = None
        self._matches: list[Points] = []
        self._hidden = HiddenLayers()
        self._links = self.new_links()
        self._rest = self.rest_timer(REST_MS, self._follow)
        self._follow_form()
        self._build_actions()
        self._build_scores()
        self.reset_choices()
        self._truth_changed()

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _follow_form(self) -> None:
        """Say that the scores are out of date once the form changes."""
        for choice in (
            self.result,
            self.truth,
            self.truth_file,
            self.tolerances,
            self.pairing,
            self.border_nm,
            self.remove_offset,
        ):
            choice.changed.connect(self._settings_changed)
        for box in (self.first, self.last):
            box.valueChanged.connect(self._settings_changed)
        self.follow.changed.connect(self._follow_changed)

    def _build_actions(self) -> None:
        self.evaluate_button = QPushButton("Evaluate")
        self.evaluate_button.setToolTip("Match the result with the truth, frame by frame and one to one, and score it")
        self.evaluate_button.clicked.connect(self.evaluate_now)
        self.progress = ProgressRow()
        self.progress.cancel.setToolTip("Leave the scores as they are")
        self.latest: LatestWork[EvaluationRequest] = LatestWork(self, self.progress)
        self.latest.began.connect(self._began)
        self.latest.returned.connect(self._deliver)
        self.refusal = Refusal()
        self.latest.failed.connect(self._refuse)
        self.column.addWidget(self.evaluate_button)
        self.column.addWidget(self.refusal)
        self.command_row = CommandLineRow(self.command_line)
        self.column.addWidget(self.command_row)
        self.column.addWidget(self.progress)

    def _build_scores(self) -> None:
        self.scores = QWidget()
        self.summary = Words()
        self.outdated = Outdated()
        self.table = ReadOnlyTable()
        self.warnings = Words(colour=Colour.WARNING)
        self.show_matches = CheckBox(
            text="Show matches, hide result and truth",
            value=True,
            tooltip="True positives, false positives and misses as three coloured layers; the layers they come from "
            "are hidden meanwhile",
        )
        self.shown_tolerance = ComboBox(
            label="Matches within", choices=[], tooltip="The tolerance whose matches are shown"
        )
        self.legend = _Legend()
        self.save_button = QPushButton("Save scores...")
        self.save_button.setToolTip("Write the scores as csv or JSON")
        self.save_button.clicked.connect(self.ask_and_save)
        tolerance = QHBoxLayout()
        tolerance.addWidget(QLabel(self.shown_tolerance.label))
        tolerance.addWidget(self.shown_tolerance.native, stretch=1)
        rows = QVBoxLayout(self.scores)
        rows.setContentsMargins(0, 0, 0, 0)
        for widget in (self.summary, self.outdated, self.table, self.warnings, self.show_matches.native):
            rows.addWidget(widget)
        rows.addLayout(tolerance)
        rows.addWidget(self.legend)
        rows.addWidget(self.save_button)
        self.column.addWidget(self.scores)
        self.scores.hide()
        for part in (self.table, self.legend, self.save_button):
            self.outdated.current_changed.connect(part.setEnabled)
        self.show_matches.changed.connect(self._show_matches_changed)
        self.shown_tolerance.changed.connect(self._tolerance_changed)

    # -- what is chosen -----------------------------------------------------------------------------------------------

    def _settings_changed(self, _: object = None) -> None:
        self.outdated.note(SETTINGS)

    @property
    def evaluation(self) -> Evaluation | None:
        """The shown scores, unless they are out of date."""
        return self._shown[1].evaluation if self._shown is not None and self.outdated.current else None

    # -- evaluating ---------------------------------------------------------------------------------------------------

    def evaluate_now(self) -> None:
        """Score the shown points with the settings of the form."""
        with self.refusal.shown(lambda _: None):
            self.latest.ask(self._new_request())

    def _refuse(self, error: Exception) -> None:
        """Show why there are no scores."""
        self.refusal.say(reason_first(error))

    def dock_closed(self) -> None:
        """Stop, no longer follow the threshold, hide the match, and show again the layers that it replaced."""
        super().dock_closed()
        self.latest.cancel()
        self._uncover()

    def _new_request(self) -> EvaluationRequest:
        result = self.result.value
        if result is None:
            raise nothing_to("score")
        truth = self.truth.value if self.truth.value is not None else self._truth_path()
        if truth is result:
            raise InputError(f"{result.name}: result and truth are the same layer; choose another for one of them")
        layers = self.viewer.layers
        ground = truth_ground = ground_of(result, layers)
        if not isinstance(truth, Path):
            if not len(truth.data):
                raise InputError(f"{truth.name}: there are no molecules to score against")
            movie = movie_of(result, layers)
            drawn_on = movie if is_foreign(truth) else None
            truth_ground = on_movie(truth, drawn_on) if drawn_on is not None else ground_of(truth, layers)
        return EvaluationRequest(result, ground, truth, truth_ground, self.settings, by_hand=True)

    def command_line(self) -> CommandLine:
        """Return the call of the command `evaluate` with the settings of the form.

        Raises
        ------
        InputError
            If there is nothing to score, or a setting is no number.
        """
        request = self._new_request()
        found, settings = table_file(request.result, request.ground), dict(request.settings)
        if isinstance(request.truth, Path):
            truth = LayerFile(str(request.truth.absolute()), {})
        else:
            truth = whole_table_file(request.truth, request.truth_ground)
        settings |= {"frames": span_text(settings["frames"]), "shape_px": request.ground.frame_shape}
        tolerances = {"tolerance_nm": list(settings.pop("tolerances_nm")), "json": True}
        return CommandLine("evaluate", (found, truth), tolerances | settings)

    def _began(self, request: EvaluationRequest) -> None:
        """Follow the changes from now on, which make the scores out of date."""
        self.outdated.began()
        self._listen(request)

    def _deliver(self, request: EvaluationRequest, outcome: EvaluationResult) -> None:
        self._shown = request, outcome
        self.refusal.clear()
        self._show_scores(request, outcome)
        self.outdated.delivered()
        if self.show_matches.value:
            self._show_layers(hide=request.by_hand)
        if request.by_hand:
            for warning in outcome.evaluation.warnings:
                show_warning(warning)

    # -- scores -------------------------------------------------------------------------------------------------------

    def _show_scores(self, request: EvaluationRequest, outcome: EvaluationResult) -> None:
        evaluation = outcome.evaluation
        self.summary.setText(describe_evaluation(request, outcome))
        self.table.show_rows(
            [f"{m.tolerance_nm:g} nm" for m in evaluation],
            [[score.written(m) for m in evaluation] for score in SCORES],
            row_names=[score.heading for score in SCORES],
            row_tips=[score.meaning for score in SCORES],
        )
        warnings = (*evaluation.warnings, *warnings_beyond(request, outcome))
        self.warnings.setText("\n".join(f"Warning: {warning}" for warning in warnings))
        self.warnings.setVisible(bool(warnings))
        before = self.shown_tolerance.value
        tolerances = [m.tolerance_nm for m in evaluation]
        with self.shown_tolerance.changed.blocked():
            self.shown_tolerance.choices = [(f"{tolerance:g} nm", tolerance) for tolerance in tolerances]
            self.shown_tolerance.value = before if before in tolerances else tolerances[-1]
        self.scores.show()

    @property
    def _match(self) -> Match:
        """The match whose layers are shown."""
        assert self._shown is not None
        return next(m for m in self._shown[1].evaluation if m.tolerance_nm == self.shown_tolerance.value)

    # -- layers -------------------------------------------------------------------------------------------------------

    def _tolerance_changed(self, _: object = None) -> None:
        if self._shown is not None and self.show_matches.value:
            self._show_layers(hide=False)

    def _show_matches_changed(self, on: bool) -> None:
        self.shown_tolerance.enabled = on
        if self._shown is None:
            return
        if not on:
            self._uncover()
            return
        self._show_layers(hide=True)
        for layer in self._matches:
            layer.visible = True

    def _uncover(self) -> None:
        """Hide the match, and show again the layers that it replaced."""
        for layer in self._matches:
            layer.visible = False
        self._hidden.show()

    def _show_layers(self, *, hide: bool) -> None:
        """Show the match, and hide the layers that it comes from, which would cover it."""
        assert self._shown is not None
        request, outcome = self._shown
        self._matches = show_matches(self.viewer, request.result, outcome.found, outcome.truth, self._match)
        if hide:
            self._hidden.hide(*request.layers)

    # -- following the threshold --------------------------------------------------------------------------------------

    def _listen(self, request: EvaluationRequest) -> None:
        """Follow everything that would change the scores."""
        self._links.clear()
        for layer in request.layers:
            self._links.connect(notes_of(layer).threshold_changed, self._threshold_changed)
            self._links.connect(notes_of(layer).filter_changed, self._filter_changed)
            self._links.connect(layer.events.data, self._points_changed)
            self._links.connect(layer.events.scale, self._points_changed)

    def _threshold_changed(self, _: object = None) -> None:
        self.outdated.note(THRESHOLD)
        self._follow_changed()

    def _filter_changed(self) -> None:
        self.outdated.note(FILTER)
        self._follow_changed()

    def _points_changed(self, _: object = None) -> None:
        self.outdated.note(POINTS)

    def _follow_changed(self, _: object = None) -> None:
        self._rest.start()

    def _follow(self) -> None:
        """Score again what was scored, where nothing but threshold and filter are others."""
        request, changed = self.latest.request, self.outdated.since_latest
        if request is None and self._shown is not None:
            request, changed = self._shown[0], self.outdated.since_shown
        if request is not None and self.follow.value and changed and {*changed} <= {THRESHOLD, FILTER}:
            self.latest.ask(request._replace(by_hand=False))

    # -- files --------------------------------------------------------------------------------------------------------

    def ask_and_save(self) -> None:
        """Ask for the name of a file, and write the scores to it."""
        ask_and_save(self, "Save scores", results_path("scores.csv"), "csv (*.csv);;JSON (*.json)", self.save)

    def save(self, path: str | Path) -> None:
        """Write the scores: as csv, a row per tolerance, or as JSON, as the command line prints them."""
        with reported():
            if self.evaluation is None:
                raise InputError("there are no up-to-date scores to save: evaluate first")
            save_scores(path, self.evaluation)


class _Legend(Words):
    """What the colours and symbols of a match are, in colours that are legible on the theme."""

    def _recolour(self) -> None:
        background = background_now()
        words = (f"<b>{kind.sign}</b>&nbsp;{kind.role}".replace(" ", "&nbsp;") for kind in KINDS)
        colours = (LEGEND_COLOURS[kind].on(background) for kind in KINDS)
        pairs = zip(colours, words, strict=True)
        text = " &nbsp;".join(f'<span style="color:{colour}">{words}</span>' for colour, words in pairs)
        if text != self.text():
            self.setText(text)
