"""The sample data: a movie with its truth lying on it, quick to make."""

from __future__ import annotations

import time

import numpy as np
import pytest

from napari_subpixel.cli.demo import demo_simulation
from napari_subpixel.widgets.layers.movies import MovieLayer, belongs_to
from napari_subpixel.widgets.layers.points import notes_of, table_of
from napari_subpixel.widgets.sample_data import N_FRAMES, microtubules


@pytest.fixture
def viewer(viewer):
    viewer.open_sample("napari-subpixel", "microtubules")
    return viewer


def test_the_sample_is_a_movie_in_nm_with_its_truth(viewer) -> None:
    movie, truth = viewer.layers
    assert movie.data.shape == (N_FRAMES, 96, 96)
    assert movie.scale.tolist() == truth.scale.tolist() == [1, 100, 100]
    assert MovieLayer(movie).camera == demo_simulation().camera
    assert belongs_to(truth, MovieLayer(movie).notes.key)
    table = table_of(truth)
    assert (table.pixel_size_nm, table.frame_shape, table.n_frames) == (100, (96, 96), N_FRAMES)
    assert notes_of(truth).about["provenance"]["simulation"]["structure"] == "filaments"


def test_the_truth_lies_on_the_spots(viewer) -> None:
    """Pixels that hold a molecule are brighter than those around them; half a pixel off they would not be."""
    movie, truth = viewer.layers
    frame, y, x = np.rint(truth.data[truth.data[:, 0] < 20]).astype(int).T
    inner = (y > 2) & (y < 93) & (x > 2) & (x < 93)
    frame, y, x = frame[inner], y[inner], x[inner]
    frames = np.asarray(movie.data[:20]).astype(float)
    at, beside = frames[frame, y, x].mean(), [frames[frame, y + 1, x].mean(), frames[frame, y, x + 1].mean()]
    opposite = [frames[frame, y - 1, x].mean(), frames[frame, y, x - 1].mean()]
    assert at > 1.1 * max(beside + opposite)
    np.testing.assert_allclose(beside, opposite, rtol=0.05)


def test_the_sample_is_made_within_seconds_and_is_always_the_same() -> None:
    start = time.perf_counter()
    (frames, *_), (points, *_) = microtubules()
    assert time.perf_counter() - start < 10  # about 1 s on a machine with nothing else to do
    (again, *_), (points_again, *_) = microtubules()
    np.testing.assert_array_equal(frames[7], again[7])
    np.testing.assert_array_equal(points, points_again)
