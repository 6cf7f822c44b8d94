"""Settings of a training: what they make of an iteration, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_subpixel.errors import InputError
from napari_subpixel.training import counting, objectives, trainer
from napari_subpixel.training.fine_tuning_settings import fine_tuning_settings
from napari_subpixel.training.settings import OBJECTIVES, OPTIMIZERS, SPARSITY, TrainingSettings


def test_the_rate_falls_to_zero_in_the_cooldown():
    settings = TrainingSettings(iterations=100, cooldown=50, learning_rate=0.1)
    rates = [settings.learning_rate_at(i) for i in (0, 50, 75, 99)]
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.002])
    assert TrainingSettings().learning_rate_at(49_999) == 1e-3


def test_the_rate_rises_in_the_warm_up():
    settings = TrainingSettings(warm_up=10, learning_rate=0.1)
    assert [settings.learning_rate_at(i) for i in (0, 4, 9, 20)] == pytest.approx([0.01, 0.05, 0.1, 0.1])


def test_the_sparsity_weight_grows_over_the_cooldown_where_asked():
    settings = TrainingSettings(iterations=100, cooldown=50, sparsity_weight=0.1, final_sparsity_weight=1.1)
    assert [settings.sparsity_weight_at(i) for i in (0, 50, 75)] == pytest.approx([0.1, 0.1, 0.6])
    assert TrainingSettings(iterations=100, cooldown=50).sparsity_weight_at(99) == 0.1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("iterations", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("kernel_px", -1.0),
        ("sparsity", "lots"),
        ("sparsity_weight", -0.1),
        ("cooldown", -1),
        ("log_every", 0),
        ("objective", "fun"),
        ("optimizer", "luck"),
        ("weight_decay", -1.0),
        ("warm_up", -1),
        ("clip_norm", 0.0),
        ("averaging", 1.0),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(field, value):
    with pytest.raises(InputError, match=field):
        replace(TrainingSettings(), **{field: value})


def test_names_are_those_of_the_tables():
    assert tuple(objectives.OBJECTIVE_FUNCTIONS) == OBJECTIVES
    assert tuple(trainer.OPTIMIZER_CLASSES) == OPTIMIZERS
    assert tuple(counting.SPARSITY_TERMS) == SPARSITY


def test_fine_tuning_cools_down_over_the_second_half_unless_another_cooldown_is_given():
    assert fine_tuning_settings(iterations=400).cooldown == 200
    assert fine_tuning_settings(iterations=400, cooldown=7).cooldown == 7
