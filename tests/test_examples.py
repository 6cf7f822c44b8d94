"""The examples learn: points in one and in three dimensions, and points of two classes, by the same losses.

Trainings are cut short, long before the figures of the documents are reached.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_subpixel.coordinates import home_pixel
from napari_subpixel.models.pixel_network import Predictions
from napari_subpixel.training.simulated_samples import Batch

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NAMES = ("points", "events_1d", "points_3d", "classes")

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not next to the tests")


@pytest.fixture(scope="module")
def example() -> Iterator[dict[str, ModuleType]]:
    """The examples by name, imported as if run from their folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield {name: importlib.import_module(name) for name in NAMES}
        for name in NAMES:
            sys.modules.pop(name)


# -- trainings ----------------------------------------------------------------------------------------------------


def test_event_times_are_learnt_to_a_fraction_of_a_sample(example):
    figures = example["events_1d"].run(iterations=200, measured=40, batch_size=16)
    assert figures.trained.loss_after < 0.6 * figures.trained.loss_before
    assert figures.network.jaccard > 0.15  # of points above a probability of 0.5, where an untrained network has none
    assert figures.network.rmse < 0.2  # times guessed within the tolerance would have 0.29


@pytest.mark.slow
def test_spots_in_stacks_are_learnt(example):
    spots, points = example["points_3d"], example["points"]
    torch.manual_seed(0)
    network = spots.SpotNetwork()
    stacks, truth = spots.draw(6, spots.SHAPE, np.random.default_rng(1))
    batch = points.batch_of(stacks, truth, n_classes=1)
    before = contrast(network, batch, truth)
    trained = points.fit(network, spots.Stacks(), batch, iterations=60, batch_size=4, kernel=spots.KERNEL, seed=0)
    assert trained.loss_after < trained.loss_before
    assert before < 1.5
    assert contrast(network, batch, truth) > 4


def contrast(network: nn.Module, batch: Batch, truth: Any) -> float:
    """How much more probable points are in the voxels that hold a spot than in all."""
    with torch.inference_mode():
        p = network(batch.frames).probabilities[:, 0, 0].numpy()
    return p[truth.sample, *home_pixel(truth.position).T].mean() / p.mean()


def test_two_classes_are_learnt_and_not_mixed_up(example):
    figures = example["classes"].run(iterations=80, measured=20, batch_size=8)
    assert figures.trained.loss_after < 0.9 * figures.trained.loss_before
    sharp, wide, _ = figures.confusion
    assert figures.classes[0].jaccard > 0.2  # the wide ones take longer
    assert sharp[0] > 5 * wide[0]


@pytest.mark.parametrize("name", NAMES[1:])
def test_an_example_prints_its_figures(example, name, capsys, monkeypatch):
    run = example[name].run
    monkeypatch.setattr(
        example[name], "run", lambda *, iterations, seed: run(iterations=iterations, seed=seed, measured=4)
    )
    example[name].main(["--iterations", "1", "--seed", "3"])
    out = capsys.readouterr().out
    assert "loss on" in out
    assert "Jaccard" in out


# -- what they share ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [(7,), (5, 7), (3, 4, 6)])
def test_true_points_handed_back_as_predictions_are_found_where_they_are(example, grid, rng):
    points, n_classes = example["points"], 2
    truth = points.draw_points(3, 2.0, grid, n_classes, rng)
    home = home_pixel(truth.position)
    probabilities = torch.zeros(3, len(truth.sample), n_classes, *grid)  # a slot of its own for each point
    offsets = torch.zeros(3, len(truth.sample), len(grid), *grid)
    for i, (sample, label) in enumerate(zip(truth.sample, truth.label, strict=True)):
        probabilities[sample, i, label, *home[i]] = 0.9
        offsets[sample, i, :, *home[i]] = torch.from_numpy(truth.position[i] - home[i])
    found = points.points_above(Predictions(offsets, torch.logit(probabilities, 1e-6)))
    assert np.array_equal(found.sample, truth.sample)
    assert np.array_equal(found.label, truth.label)
    np.testing.assert_allclose(found.position, truth.position, atol=1e-6)
    assert points.score(found, truth, 1e-3).jaccard == 1


def test_points_become_what_the_losses_take(example):
    points = example["points"]
    some = points.Points(np.array([0, 2, 2]), np.array([[1.0], [0.25], [3.5]]), np.array([1, 0, 1]))
    batch = points.batch_of(np.zeros((3, 5)), some, n_classes=2)
    assert batch.frames.shape == (3, 1, 5)
    assert batch.truth[2, :, 0].tolist() == [0.25, 3.5]
    assert batch.weights.tolist() == [[[0, 1], [0, 0]], [[0, 0], [0, 0]], [[1, 0], [0, 1]]]


def test_peaks_and_maxima_find_a_lone_noiseless_point(example):
    trace = np.exp(-(((np.arange(30) - 11.3) / 2) ** 2) / 2)[None]
    np.testing.assert_allclose(example["events_1d"].peaks(trace, 0.5, 0.1).position, [[11.3]], atol=0.02)
    axes = [np.exp(-(((np.arange(n) - c) / 1.5) ** 2) / 2) for n, c in zip((9, 12, 14), (4.2, 6.7, 5.1), strict=True)]
    stack = np.einsum("i,j,k->ijk", *axes)[None]
    np.testing.assert_allclose(example["points_3d"].maxima(stack, 0.1).position, [[4.2, 6.7, 5.1]], atol=0.03)


def test_confusion_counts_every_molecule_and_every_point_once(example):
    classes, points = example["classes"], example["points"]
    truth = points.Points(np.array([0, 0, 1]), np.array([[2.0, 2], [5, 5], [3, 3]]), np.array([0, 1, 1]))
    found = points.Points(np.array([0, 0, 1]), np.array([[2.1, 2], [9, 9], [3, 3.1]]), np.array([0, 0, 0]))
    assert classes.confusion(found, truth).tolist() == [[1, 0, 0], [1, 0, 1], [1, 0, 0]]
