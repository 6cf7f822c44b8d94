"""What changed since the work began whose results are shown."""

from __future__ import annotations

import pytest

from napari_subpixel.widgets.controls.staleness import Outdated


@pytest.fixture
def outdated(qtbot):
    label = Outdated()
    qtbot.addWidget(label)
    label.began()
    label.delivered()
    return label


def test_a_change_makes_what_is_shown_out_of_date_and_is_named_once(outdated):
    emitted = []
    outdated.current_changed.connect(emitted.append)
    assert outdated.current
    assert outdated.isHidden()
    for what in ("the threshold", "the points", "the threshold"):
        outdated.note(what)
    assert outdated.text() == "Out of date: the threshold and the points changed. Evaluate again."
    assert not outdated.isHidden()
    assert emitted == [False] * 3


def test_results_of_what_is_there_are_up_to_date_again(outdated):
    outdated.note("the points")
    outdated.began()
    assert not outdated.current
    outdated.delivered()
    assert outdated.current
    assert outdated.isHidden()


def test_a_change_during_the_work_makes_its_results_out_of_date_from_the_start(outdated):
    outdated.began()
    outdated.note("the threshold")
    outdated.delivered()
    assert outdated.since_shown == outdated.since_latest == ["the threshold"]
    outdated.began()
    assert (outdated.since_shown, outdated.since_latest) == (["the threshold"], [])
