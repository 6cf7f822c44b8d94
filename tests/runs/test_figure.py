"""What a figure keeps of a table, and what it refuses before anything is computed."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel._util.generators import exhausted
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.errors import FilterError
from napari_subpixel.localizations import Localizations
from napari_subpixel.runs import figure as module

N_FRAMES = 200
#: Of molecules, in pixels; that of beads is a tenth.
SIGMA_PX = 0.1


def table_of_beads():
    """Two beads in every frame, and a molecule."""
    rng = np.random.default_rng(4)
    sigma = np.repeat([SIGMA_PX / 10, SIGMA_PX / 10, SIGMA_PX], N_FRAMES)
    place = np.repeat([[8.0, 8.0], [30.0, 22.0]], N_FRAMES, axis=0)
    place = np.vstack([place, rng.uniform(2, 38, (N_FRAMES, 2))]) + sigma[:, None] * rng.normal(size=(3 * N_FRAMES, 2))
    columns = {"frame": np.tile(np.arange(N_FRAMES), 3), "y": place[:, 0], "x": place[:, 1]}
    return Localizations(
        {**columns, "y_uncertainty": sigma, "x_uncertainty": sigma}, pixel_size_nm=100.0, frame_shape=(40, 40)
    )


def test_molecules_are_kept_where_most_rows_are_of_beads():
    steps = {}
    assert len(module._kept(table_of_beads(), None, steps)[0]) == 3 * N_FRAMES
    assert steps["filter"] == "uncertainty < 30 nm: 600 of 600 localizations"


def test_molecules_of_one_frame_are_linked_over_no_dark_frames():
    table, steps = table_of_beads(), {}
    first = table.select(table.frame == 0)
    exhausted(module._linked(first, module.find_beads(first), steps, {}, []))
    assert steps["linking"] == "3 molecules, no dark frames bridged"


def test_a_filter_is_refused_before_anything_is_computed(tmp_path):
    table = table_of_beads()
    module.check_filter(Filter.of("x_drift_nm < 3 & photons > 5 & saturated < 1"))  # of a detection
    module.check_filter(Filter.of("x_drift_nm < 3"), table)
    with pytest.raises(FilterError, match="photons"):
        next(module.figure.steps(table, tmp_path, name="m", keep=Filter.of("photons > 5")))
    with pytest.raises(FilterError, match="colour"):
        module.check_filter(Filter.of("colour > 5"))
