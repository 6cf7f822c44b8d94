"""*Evaluate* in a viewer: the function's numbers, the colours, what is out of date, refusals."""

from __future__ import annotations

import csv
import json
import sys
import threading

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtWidgets import QFileDialog

from napari_subpixel import formats
from napari_subpixel._util.generators import stepwise
from napari_subpixel.camera import Camera
from napari_subpixel.evaluation import coverage
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.background import evaluation as module
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.panel import Panel
from napari_subpixel.widgets.controls.scores import SCORES
from napari_subpixel.widgets.evaluate import EvaluateAgainstTruth
from napari_subpixel.widgets.layers.matches import FALSE_POSITIVES, KINDS, MISSES, TRUE_POSITIVES, match_layers
from napari_subpixel.widgets.layers.movies import KEY, MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import points_layer, set_threshold, table_of

SHAPE = (30, 44)
MOVIE = np.random.default_rng(0).poisson(20, (5, *SHAPE)).astype(np.uint16)
ABOUT = {"pixel_size_nm": 110.0, "frame_shape": SHAPE, "n_frames": 5}


def tables(n=120, shift_px=0.0):
    """A truth and a result of it: perturbed, some missed, some made up."""
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 5, n)
    y, x = rng.uniform(0, SHAPE[0] - 1, n), rng.uniform(0, SHAPE[1] - 1, n)
    truth = Localizations({"frame": frame, "y": y, "x": x}, **ABOUT)
    kept = slice(0, 90)
    made_up = 20
    found = Localizations(
        {
            "frame": [*frame[kept], *rng.integers(0, 5, made_up)],
            "y": [*(y[kept] + rng.normal(0, 0.25, 90) + shift_px), *rng.uniform(0, SHAPE[0] - 1, made_up)],
            "x": [*(x[kept] + rng.normal(0, 0.25, 90)), *rng.uniform(0, SHAPE[1] - 1, made_up)],
            "probability": rng.permutation(np.linspace(0.05, 0.95, 110)),
        },
        **ABOUT,
    )
    return found, truth


@pytest.fixture
def movie(viewer):
    return viewer.add_layer(Layer.create(*movie_layer_data(open_stack(MOVIE), Camera(pixel_size_nm=110))))


@pytest.fixture
def add(viewer, movie):
    """Add a table as a points layer on the movie."""

    def add(table, name, on=movie):
        return viewer.add_layer(points_layer(table, on and MovieLayer(on), name=name))

    return add


@pytest.fixture
def layers(add):
    """The layers of a result and of its truth, the truth on top."""
    found, truth = tables()
    return add(found, "found"), add(truth, "truth")


@pytest.fixture
def make_widget(viewer):
    def make():
        widget = EvaluateAgainstTruth(viewer)
        viewer.window.add_dock_widget(widget, name="Evaluate")
        return widget

    return make


def settle(qtbot, widget):
    """Wait until no work is under way or about to begin."""
    qtbot.waitUntil(lambda: widget.latest.request is None and not widget._rest.isActive(), timeout=20_000)


def evaluated(qtbot, widget):
    widget.evaluate_now()
    settle(qtbot, widget)
    return widget.evaluation


def cells(widget):
    """What the table says: a column of texts for each tolerance."""
    table = widget.table
    return [
        [table.item(row, column).text() for row in range(table.rowCount())] for column in range(table.columnCount())
    ]


def places(table):
    """The points of a table or of a layer, whatever their order."""
    return sorted(zip(table.frame, table.y.round(6), table.x.round(6), strict=True))


# -- scores -------------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_function(make_widget, qtbot, layers):
    found, truth = tables()
    widget = make_widget()
    assert (widget.result.value, widget.truth.value) == layers
    for settings in ({}, {"border_nm": 450.0}, {"frames": (1, 4), "remove_offset": True}):
        widget.border_nm.value = settings.get("border_nm", 0.0)
        widget.remove_offset.value = settings.get("remove_offset", False)
        first, stop = settings.get("frames", (0, 0))
        widget.first.setValue(first)
        widget.last.setValue(stop - 1)
        expected = evaluate(found, truth, (25, 50), **settings)
        assert evaluated(qtbot, widget).to_dict() == expected.to_dict()
        for shown, match in zip(cells(widget), expected, strict=True):
            assert float(shown[0]) == pytest.approx(match.jaccard, abs=5e-4)
            assert float(shown[4]) == pytest.approx(match.rmse_nm, abs=0.05)
            assert [int(text) for text in shown[-3:]] == [
                match.true_positives,
                match.false_positives,
                match.false_negatives,
            ]
    assert f"{expected.n_frames} frames" in widget.summary.text()
    assert "found: " in widget.summary.text()
    assert "of truth" in widget.summary.text()
    assert "after removing an offset" in widget.summary.text()


def test_the_numbers_are_those_of_the_function_on_the_demos_truth(make_widget, qtbot, viewer, data_folder):
    path = data_folder / "deepstorm_demo1" / "train_truth.csv"
    truth = formats.read(path, pixel_size_nm=100.0)
    rng = np.random.default_rng(4)
    some = truth.select(rng.random(len(truth)) < 0.8)
    moved = {"y": some.y + rng.normal(0, 0.3, len(some)), "x": some.x + rng.normal(0, 0.3, len(some))}
    found = some.with_columns(**moved).with_about(frame_shape=(64, 64))
    viewer.add_layer(points_layer(found, name="perturbed"))
    widget = make_widget()
    assert widget.truth.value is None  # the only layer is the result
    widget.truth_file.value = path
    expected = evaluate(found, truth, (25, 50))
    assert evaluated(qtbot, widget).to_dict() == expected.to_dict()
    assert expected[1].true_positives > 2000


def test_it_scores_what_is_shown_and_follows_the_threshold(make_widget, qtbot, layers):
    found, truth = tables()
    widget = make_widget()
    evaluated(qtbot, widget)
    for threshold in (0.3, 0.8):
        set_threshold(layers[0], threshold)
        assert widget.evaluation is None
        settle(qtbot, widget)
        assert widget.evaluation.to_dict() == evaluate(found.above(threshold), truth).to_dict()
        assert f"probability from {threshold:.2f}" in widget.summary.text()
        assert len(match_layers(widget.viewer.layers)) == 3


def test_a_truth_in_a_file_in_nm_takes_the_pixel_size_of_the_result(make_widget, qtbot, add, tmp_path):
    found, truth = tables()
    add(found, "found")
    path = tmp_path / "truth.csv"
    nm = (truth.yx + 0.5) * 110.0
    rows = [f"{i + 1},{truth.frame[i] + 1},{nm[i, 1]:.6f},{nm[i, 0]:.6f},0,1000 " for i in range(len(truth))]
    path.write_text("\n".join(["Ground-truth,frame,xnano,ynano,znano,intensity ", *rows, ""]))
    widget = make_widget()
    assert widget.truth.value is None
    widget.truth_file.value = path
    assert evaluated(qtbot, widget)[1].true_positives == evaluate(found, truth)[1].true_positives
    assert "truth.csv" in widget.summary.text()


def test_a_truth_drawn_by_hand_counts_where_the_viewer_shows_it(make_widget, qtbot, viewer, add):
    found, truth = tables()
    add(found, "found")
    data = np.column_stack([truth.frame, truth.yx * 11])
    drawn = viewer.add_points(data, name="drawn", scale=(1, 10, 10), units=("pixel", "nm", "nm"))
    widget = make_widget()
    assert widget.truth.value is drawn
    assert evaluated(qtbot, widget)[1].true_positives == evaluate(found, truth)[1].true_positives
    misses = match_layers(viewer.layers)[MISSES.role]
    assert misses.extent.world[1][1] <= SHAPE[0] * 110


def test_warnings_are_shown_and_stay_under_the_table(make_widget, qtbot, add, shown):
    found, truth = tables(shift_px=0.4)
    add(truth, "truth")
    add(found, "found")
    widget = make_widget()
    evaluation = evaluated(qtbot, widget)
    assert shown() == [("WARNING", evaluation.warnings[0])]
    assert evaluation.warnings[0] in widget.warnings.text()
    widget.remove_offset.value = True
    evaluated(qtbot, widget)
    assert widget.warnings.isHidden()
    assert len(shown()) == 1


def test_a_result_of_nothing_is_scored(make_widget, qtbot, layers):
    widget = make_widget()
    widget.tolerances.value = "25"
    evaluated(qtbot, widget)
    set_threshold(layers[0], 1.0)
    settle(qtbot, widget)
    [scores] = cells(widget)
    assert scores[0] == "0.000"
    assert scores[[score.heading for score in SCORES].index("RMSE [nm]")] == "-"
    assert scores[-1] == "120"


def test_result_and_truth_are_distinguished_in_whichever_order_they_come(make_widget, viewer, add):
    found, truth = tables()
    widget = make_widget()
    assert (widget.result.value, widget.truth.value) == (None, None)
    given = add(truth, "truth")
    assert (widget.result.value, widget.truth.value) == (given, None)
    result = add(found, "found")
    assert (widget.result.value, widget.truth.value) == (result, given)
    viewer.layers.remove(given)
    assert (widget.result.value, widget.truth.value) == (result, None)
    given = add(truth, "another truth")
    assert (widget.result.value, widget.truth.value) == (result, given)


# -- a part of the movie ------------------------------------------------------------------------------------------


def with_provenance(found, **provenance):
    return found.with_about(provenance=provenance)


@pytest.fixture
def partial(add):
    """The layers of a result that covers frames 1 and 2 of 5, and of its truth."""
    found, truth = tables()
    found = with_provenance(found.in_frames(1, 3), frames=[1, 3])
    return found, truth, add(found, "found"), add(truth, "truth")


def test_of_a_partial_result_only_the_frames_that_were_detected_are_scored(make_widget, qtbot, partial):
    found, truth, *_ = partial
    widget = make_widget()
    assert evaluated(qtbot, widget).to_dict() == evaluate(found, truth, frames=(1, 3)).to_dict()
    assert evaluate(found, truth, frames=(0, 5))[1].false_negatives > widget.evaluation[1].false_negatives
    assert "in the 2 frames that were detected" in widget.summary.text()
    assert widget.warnings.isHidden()
    set_threshold(widget.result.value, 0.5)
    settle(qtbot, widget)
    assert widget.evaluation.to_dict() == evaluate(found.above(0.5), truth, frames=(1, 3)).to_dict()


def test_frames_that_are_asked_for_are_scored_and_what_was_not_detected_is_reported(make_widget, qtbot, partial):
    found, truth, *_ = partial
    widget = make_widget()
    widget.last.setValue(3)
    assert evaluated(qtbot, widget).to_dict() == evaluate(found, truth, frames=(1, 4)).to_dict()
    assert widget.warnings.text() == (
        "Warning: only frames 1 to 2 were detected; molecules of the others count as missed"
    )
    assert "that were detected" not in widget.summary.text()
    widget.last.setValue(-1)
    widget.first.setValue(2)
    assert evaluated(qtbot, widget).to_dict() == evaluate(found, truth, frames=(2, 3)).to_dict()
    assert "in 1 of the 2 frames that were detected" in widget.summary.text()
    assert widget.warnings.isHidden()
    widget.first.setValue(3)
    assert evaluated(qtbot, widget).to_dict() == evaluate(found, truth, frames=(3, None)).to_dict()
    assert "only frames 1 to 2 were detected" in widget.warnings.text()


def test_a_whole_movie_or_a_note_that_makes_no_sense_leaves_no_frame_out():
    found, _ = tables()
    for frames in ([0, 5], None, [0, 2.5], [2, 1], "01", [0], [-1, 2], {"0": 1, "1": 2}):
        assert coverage.detected_frames(with_provenance(found, frames=frames)) is None
    assert coverage.frames_to_score(found, None) == (0, 5)
    assert coverage.frames_to_score(found.with_about(n_frames=None), None) is None


def test_a_truth_beyond_the_movies_end_is_left_out_and_reported():
    found, truth = tables()
    assert coverage.left_out(found, truth, (0, 5)) == ()
    longer = truth.with_columns(frame=truth.frame + 3)
    (words,) = coverage.left_out(found, longer, (0, 5))
    assert words.startswith("the truth continues to frame 7, the movie ends at 4: the rest is left out")
    assert coverage.frames_to_score(found, (2, None)) == (2, 5)
    assert coverage.gaps(found, None) == ()


def test_a_result_of_a_region_is_scored_there(make_widget, qtbot, add):
    found, truth = tables()
    part = with_provenance(found, roi=[[4, 20], [10, 40]])
    add(part, "found")
    add(truth, "truth")
    widget = make_widget()
    assert evaluated(qtbot, widget).to_dict() == evaluate(part, truth, roi=((4, 20), (10, 40))).to_dict()
    assert "in the region y 4 to 19, x 10 to 39 px" in widget.summary.text()
    assert widget.warnings.isHidden()
    for nothing in ([[0, SHAPE[0]], [0, SHAPE[1]]], None, [4, 20], [[4, 20], [40, 10]]):
        assert coverage.gaps(with_provenance(found, roi=nothing), None) == ()


def test_the_pairing_is_chosen_in_the_form(make_widget, qtbot, add):
    found, truth = tables()
    add(found, "found")
    add(truth, "truth")
    widget = make_widget()
    widget.pairing.value = "greedy"
    assert evaluated(qtbot, widget).to_dict() == evaluate(found, truth, pairing="greedy").to_dict()
    assert "by greedy pairing" in widget.summary.text()


# -- out of date --------------------------------------------------------------------------------------------------


def test_scores_of_something_else_are_marked_and_cannot_be_saved(make_widget, qtbot, layers, tmp_path, shown):
    widget = make_widget()
    widget.follow.value = False
    changes = {
        "the threshold": lambda: set_threshold(layers[0], 0.4),
        "the settings above": lambda: setattr(widget.border_nm, "value", 200.0),
        "the points": lambda: setattr(layers[1], "data", layers[1].data[:-3]),
    }
    for what, change in changes.items():
        evaluated(qtbot, widget)
        assert widget.outdated.isHidden()
        assert widget.table.isEnabled()
        change()
        qtbot.wait(20)
        assert widget.outdated.text() == f"Out of date: {what} changed. Evaluate again."
        assert not widget.outdated.isHidden()
        assert not widget.table.isEnabled()
        assert not widget.save_button.isEnabled()
        assert widget.evaluation is None
    widget.save(tmp_path / "scores.csv")
    assert "evaluate first" in shown()[0][1]
    assert not list(tmp_path.iterdir())


def test_a_threshold_that_changes_during_the_evaluation_is_not_lost(make_widget, qtbot, layers, monkeypatch):
    found, truth = tables()
    widget = make_widget()
    gate, begun = threading.Event(), threading.Event()

    @stepwise
    def slow(*arguments, **options):
        begun.set()
        gate.wait(5)
        return (yield from evaluate.steps(*arguments, **options))

    monkeypatch.setattr(module, "evaluate", slow)
    widget.evaluate_now()
    begun.wait(5)
    set_threshold(layers[0], 0.6)
    with qtbot.waitSignal(widget.latest.returned):
        gate.set()
    assert widget.evaluation is None
    settle(qtbot, widget)
    assert widget.evaluation.to_dict() == evaluate(found.above(0.6), truth).to_dict()


def test_switching_to_follow_catches_up_but_not_with_other_settings(make_widget, qtbot, layers):
    found, truth = tables()
    widget = make_widget()
    widget.follow.value = False
    evaluated(qtbot, widget)
    set_threshold(layers[0], 0.6)
    widget.follow.value = True
    settle(qtbot, widget)
    assert widget.evaluation.to_dict() == evaluate(found.above(0.6), truth).to_dict()
    widget.tolerances.value = "100"
    set_threshold(layers[0], 0.7)
    settle(qtbot, widget)
    assert widget.evaluation is None
    assert len(cells(widget)) == 2


# -- colours ------------------------------------------------------------------------------------------------------


def test_hits_false_alarms_and_misses_lie_on_the_movie_in_three_colours(make_widget, qtbot, viewer, movie, layers):
    found, truth = tables()
    widget = make_widget()
    evaluation = evaluated(qtbot, widget)
    shown = match_layers(viewer.layers)
    match = evaluation[1]
    expected = {
        TRUE_POSITIVES: found.select(match.pairs[:, 0]),
        FALSE_POSITIVES: found.select(match.false_positive_rows),
        MISSES: truth.select(match.missed_rows),
    }
    for kind, table in expected.items():
        layer = shown[kind.role]
        assert places(table_of(layer)) == places(table)
        assert layer.name == f"{kind.role}, 50 nm"
        assert len(np.unique(layer.border_color, axis=0)) == 1
        place = layer.data[0]
        assert movie.world_to_data(layer.data_to_world(place)) == pytest.approx(tuple(place), abs=0.01)
    colours = {tuple(layer.border_color[0]) for layer in shown.values()}
    symbols = {str(layer.symbol[0]) for layer in shown.values()}
    assert len(colours) == len(symbols) == 3
    np.testing.assert_allclose(shown[TRUE_POSITIVES.role].features["distance_nm"], match.distances_nm)
    for kind in KINDS:
        assert f"{kind.sign}</b>" in widget.legend.text()
    assert not layers[0].visible
    assert not layers[1].visible
    assert [layer in widget.result.choices for layer in shown.values()] == [False] * 3


def test_another_tolerance_changes_colours_without_evaluating_again(make_widget, qtbot, viewer, layers, monkeypatch):
    widget = make_widget()
    evaluation = evaluated(qtbot, widget)
    match_layers(viewer.layers)[MISSES.role].visible = False
    monkeypatch.delattr(module, "evaluate")
    for match in evaluation:
        widget.shown_tolerance.value = match.tolerance_nm
        shown = match_layers(viewer.layers)
        counts = [len(shown[kind.role].data) for kind in KINDS]
        assert counts == [match.true_positives, match.false_positives, match.false_negatives]
        assert not shown[MISSES.role].visible
        assert widget.evaluation is evaluation


def test_evaluating_again_replaces_the_three_layers(make_widget, qtbot, viewer, layers):
    widget = make_widget()
    evaluated(qtbot, widget)
    names = [layer.name for layer in viewer.layers]
    widget.shown_tolerance.value = 25.0
    widget.border_nm.value = 300.0
    evaluated(qtbot, widget)
    assert [layer.name for layer in viewer.layers] == [name.replace("50 nm", "25 nm") for name in names]


def test_the_colours_can_be_left_out_and_the_layers_come_back(make_widget, qtbot, viewer, layers):
    widget = make_widget()
    widget.show_matches.value = False
    evaluated(qtbot, widget)
    assert not match_layers(viewer.layers)
    widget.show_matches.value = True
    assert [layer.visible for layer in layers] == [False, False]
    widget.show_matches.value = False
    assert [layer.visible for layer in layers] == [True, True]
    assert [layer.visible for layer in match_layers(viewer.layers).values()] == [False] * 3
    widget.show_matches.value = True
    assert [layer.visible for layer in match_layers(viewer.layers).values()] == [True] * 3


def test_without_a_movie_the_colours_lie_where_the_result_does(make_widget, qtbot, viewer):
    found, truth = tables()
    place = {"scale": (1, 1, 0.11, 0.11), "translate": (0, 0, 3, 4), "units": ("pixel", "pixel", "um", "um")}
    data = np.column_stack([found.frame, np.full(len(found), 7), found.yx])
    features = {"probability": found["probability"]}
    result = viewer.add_points(data, name="four axes", features=features, **place)
    viewer.add_layer(points_layer(truth, name="truth"))
    widget = make_widget()
    evaluation = evaluated(qtbot, widget)
    layer = match_layers(viewer.layers)[TRUE_POSITIVES.role]
    row = evaluation[1].pairs[0, 0]
    assert layer.data_to_world(layer.data[0]) == pytest.approx(result.data_to_world(result.data[row]))


def test_the_threshold_of_the_result_does_not_act_on_the_colours(make_widget, qtbot, viewer, layers):
    widget = make_widget()
    evaluated(qtbot, widget)
    layer = match_layers(viewer.layers)[TRUE_POSITIVES.role]
    assert layer.metadata[KEY].threshold is None
    assert "model" not in layer.metadata[KEY].about["provenance"]
    assert layer.shown.all()


# -- files --------------------------------------------------------------------------------------------------------


def test_scores_are_saved_as_csv_and_as_the_document_of_the_command_line(
    make_widget, qtbot, layers, tmp_path, monkeypatch, shown
):
    found, truth = tables()
    widget = make_widget()
    widget.tolerances.value = "1e-6, 25, 50"
    evaluated(qtbot, widget)
    expected = evaluate(found, truth, (1e-6, 25, 50)).to_dict()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "scores.json"), ""))
    widget.ask_and_save()
    assert json.loads((tmp_path / "scores.json").read_text()) == expected
    widget.save(tmp_path / "scores.csv")
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    assert [float(row["tolerance_nm"]) for row in rows] == [1e-6, 25, 50]
    assert shown() == []
    widget.save(tmp_path / "scores.txt")
    assert ".csv or .json" in shown()[0][1]


# -- refusals -----------------------------------------------------------------------------------------------------


@pytest.fixture
def refused(qtbot, viewer, shown):
    """Return a function that clicks and gives the one thing that the user was told; the layers stay as they were."""

    def refused(widget):
        before, n_shown = [(layer, layer.visible) for layer in viewer.layers], len(shown())
        widget.evaluate_now()
        settle(qtbot, widget)
        assert [(layer, layer.visible) for layer in viewer.layers] == before
        assert widget.evaluation is None
        [(severity, message)] = shown()[n_shown:]
        assert severity == "ERROR"
        return message

    return refused


def test_missing_layers_and_impossible_settings_are_refused(make_widget, viewer, movie, add, refused):
    widget = make_widget()
    assert "no points layer to score" in refused(widget)
    found, _ = tables()
    result = add(found, "found")
    assert "choose a points layer or a file" in refused(widget)
    widget.truth.value = result
    assert "the same layer" in refused(widget)
    widget.truth.value = viewer.add_points(name="empty", ndim=3, units=movie.units)
    assert refused(widget) == "empty: there are no molecules to score against"
    widget.truth.value = add(found.with_about(pixel_size_nm=50.0), "other pixels", None)
    assert "pixel sizes differ" in refused(widget)
    widget.truth.value = add(Localizations({"frame": [77], "y": [1.0], "x": [1.0]}, **ABOUT), "later")
    assert "no frame in common" in refused(widget)
    for text, words in {"25, wide": "'25, wide'", "": "at least one", "-5": "positive"}.items():
        widget.tolerances.value = text
        assert words in refused(widget)
    widget.tolerances.value = "25"
    widget.first.setValue(4)
    widget.last.setValue(2)
    assert refused(widget) == "the first frame, 4, comes after the last, 2"


def test_files_that_are_no_truth_are_refused(make_widget, add, refused, tmp_path):
    add(tables()[0], "found")
    widget = make_widget()
    contents = {"missing.csv": None, "empty.csv": b"", "noise.csv": b"\x89PNG\r\n", "truth.txt": b"frame", ".": None}
    for name, content in contents.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        widget.truth_file.value = path
        assert str(path) in refused(widget)


def test_an_unknown_pixel_size_is_refused_and_says_where_to_set_it(make_widget, viewer, refused, tmp_path):
    found, truth = tables()
    movie = viewer.add_image(MOVIE)
    pixels = MovieLayer(movie)
    viewer.add_layer(points_layer(found.with_about(pixel_size_nm=None), pixels, name="found"))
    widget = make_widget()
    path = tmp_path / "truth.csv"
    path.write_text("Ground-truth,frame,xnano,ynano,znano,intensity \n1,1,50,50,0,100 ")
    widget.truth_file.value = path
    assert "set it with Load" in refused(widget)
    viewer.add_layer(points_layer(truth.with_about(pixel_size_nm=None), pixels, name="truth"))
    widget.truth.value = viewer.layers["truth"]
    assert "set it with Load" in refused(widget)


def test_a_border_without_a_shape_of_the_frames_is_refused(make_widget, add, refused):
    found, truth = (table.with_about(frame_shape=None) for table in tables())
    add(truth, "truth", None)
    add(found, "found", None)
    widget = make_widget()
    widget.border_nm.value = 450.0
    assert "open their movie" in refused(widget)


# -- the end ------------------------------------------------------------------------------------------------------


def test_closing_the_dock_during_an_evaluation_leaves_no_thread_and_no_layer(
    make_widget, qtbot, viewer, layers, monkeypatch
):
    gate, begun = threading.Event(), threading.Event()

    @stepwise
    def slow(*arguments, **options):
        begun.set()
        gate.wait(5)
        return (yield from evaluate.steps(*arguments, **options))

    monkeypatch.setattr(module, "evaluate", slow)
    widget = make_widget()
    widget.evaluate_now()
    begun.wait(5)
    viewer.window.remove_dock_widget(widget)
    gate.set()
    qtbot.waitUntil(lambda: not Work.running and widget not in Panel.undeleted.values(), timeout=5000)
    assert not match_layers(viewer.layers)
    set_threshold(layers[0], 0.5)


def test_closing_the_dock_shows_again_what_was_hidden_and_puts_the_match_out_of_sight(
    make_widget, qtbot, viewer, layers
):
    widget = make_widget()
    evaluated(qtbot, widget)
    assert [layer.visible for layer in layers] == [False, False]
    viewer.window.remove_dock_widget(widget)
    assert [layer.visible for layer in layers] == [True, True]
    assert [layer.visible for layer in match_layers(viewer.layers).values()] == [False] * 3


def test_closing_the_dock_leaves_hidden_what_the_user_hid(make_widget, qtbot, viewer, layers):
    layers[1].visible = False
    widget = make_widget()
    evaluated(qtbot, widget)
    viewer.window.remove_dock_widget(widget)
    assert [layer.visible for layer in layers] == [True, False]


@pytest.fixture
def long_work(add, monkeypatch):
    """A result and its truth that take hundreds of steps to match."""
    monkeypatch.setattr(sys.modules["napari_subpixel.evaluation.evaluate"], "BLOCK_ROWS", 20)
    rng = np.random.default_rng(3)
    n, n_frames = 6_000, 900
    columns = {"frame": rng.integers(0, n_frames, n), "y": rng.uniform(0, 29, n), "x": rng.uniform(0, 43, n)}
    truth = Localizations(columns, **{**ABOUT, "n_frames": n_frames})
    return add(truth.with_columns(probability=0.9), "found"), add(truth, "truth")


def test_an_evaluation_shows_how_far_it_is_and_can_be_cancelled(make_widget, qtbot, viewer, long_work):
    widget = make_widget()
    widget.evaluate_now()
    qtbot.waitUntil(lambda: widget.progress.bar.value() > 0, timeout=10_000)
    assert widget.progress.bar.maximum() == 100
    widget.progress.cancel.click()
    settle(qtbot, widget)
    assert widget.evaluation is None
    assert widget.progress.isHidden()
    assert [layer.visible for layer in long_work] == [True, True]
    assert not match_layers(viewer.layers)


def test_closing_the_viewer_does_not_wait_for_the_whole_evaluation(make_widget, qtbot, viewer, long_work):
    widget = make_widget()
    widget.evaluate_now()
    qtbot.waitUntil(lambda: widget.progress.bar.value() > 0, timeout=10_000)
    viewer.close()
    assert not Work.running


def test_the_truth_of_frames_of_another_shape_is_refused_in_the_panel(make_widget, add, refused):
    found, truth = tables()
    add(found, "found")
    height, width = truth.frame_shape
    add(truth.with_about(frame_shape=(height + 1, width)), "other truth", None)
    widget = make_widget()
    message = refused(widget)
    assert f"result and truth are of frames of {height} x {width} px and {height + 1} x {width} px" in message
    assert widget.refusal.isVisibleTo(widget)
    assert "another movie" in widget.refusal.words.text()


def test_scores_of_hardly_any_match_give_one_warning_that_says_so(make_widget, add, qtbot):
    found, truth = tables()
    add(found, "found")
    add(truth.with_columns(y=(truth.y + 7.0) % truth.frame_shape[0]), "truth")
    widget = make_widget()
    evaluated(qtbot, widget)
    (warning,) = widget.warnings.text().splitlines()
    assert warning.startswith("Warning: hardly anything matches")


def test_a_score_of_zero_has_no_minus():
    from napari_subpixel.widgets.controls.scores import Score

    texts = [Score("", "+.1f", "", lambda _, v=value: v).written(None) for value in (-0.04, 0.04, -0.06)]
    assert texts == ["+0.0", "+0.0", "-0.1"]
