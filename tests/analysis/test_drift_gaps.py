"""A curve of drift is known where there are rows: elsewhere its error grows, across gaps and beyond the last row."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.analysis.drift import estimate_drift
from napari_subpixel.errors import TooFewMoleculesError
from napari_subpixel.localizations import Localizations, concat

N_FRAMES = 1000


def painted(drift: np.ndarray, rng: np.random.Generator, n_rows: int = 8000) -> Localizations:
    """DNA-PAINT sites of 10 nm."""
    sites = rng.uniform(0, 60, (300, 2))
    frame = np.sort(rng.integers(0, N_FRAMES, n_rows))
    yx = sites[rng.integers(0, 300, n_rows)] + drift[frame] / 100 + rng.normal(0, 0.1, (n_rows, 2))
    sigma = np.full(n_rows, 0.1)
    columns = {"frame": frame, "y": yx[:, 0], "x": yx[:, 1], "y_uncertainty": sigma, "x_uncertainty": sigma}
    return Localizations(columns, pixel_size_nm=100, n_frames=N_FRAMES, provenance={"movie": "a.tif"})


def straight(y_nm: float, x_nm: float) -> np.ndarray:
    """Drift along a line, nm."""
    return np.outer(np.arange(N_FRAMES) / N_FRAMES, (y_nm, x_nm))


def without(table: Localizations, start: int, stop: int) -> Localizations:
    return table.select((table.frame < start) | (table.frame >= stop))


def off_and_band(curve, truth, known):
    off = np.column_stack([curve.y_nm, curve.x_nm]) - truth
    return np.abs(off - off[known].mean(axis=0)), np.column_stack([curve.y_error_nm, curve.x_error_nm])


@pytest.mark.parametrize(("start", "stop"), [(0, 400), (300, 700)])
def test_beyond_its_rows_a_curve_is_not_known_and_its_error_grows(rng, start, stop):
    truth = straight(80, -60)
    table = painted(truth, rng)
    curve = estimate_drift(table.in_frames(start, stop))
    known = (np.arange(N_FRAMES) >= start) & (np.arange(N_FRAMES) < stop)
    off, band = off_and_band(curve, truth, known)
    assert len(curve) == N_FRAMES
    assert curve.stretches == ((start, stop),)
    assert (off[~known] < 3 * band[~known]).all()
    assert (np.diff(curve.x_error_nm[stop:]) >= 0).all()
    assert curve.x_error_nm[-1] > 5 * curve.x_error_nm[known].max()
    assert curve.rms_error_nm == pytest.approx(np.sqrt((band[known] ** 2).mean()))


@pytest.mark.parametrize("jump_nm", [0, 150])
@pytest.mark.parametrize(("start", "stop"), [(400, 440), (300, 700)])
def test_a_gap_is_bridged_and_the_band_is_wide_in_it(rng, start, stop, jump_nm):
    truth = straight(60, -40) + np.outer(np.arange(N_FRAMES) >= (start + stop) // 2, (jump_nm, -jump_nm))
    curve = estimate_drift(without(painted(truth, rng), start, stop))
    known = (np.arange(N_FRAMES) < start) | (np.arange(N_FRAMES) >= stop)
    off, band = off_and_band(curve, truth, known)
    assert curve.stretches == ((0, start), (stop, N_FRAMES))
    assert np.sqrt((off[known] ** 2).mean()) < 1.5
    assert np.sqrt((band[known] ** 2).mean()) < 1.5
    assert (off[~known] < 3 * band[~known] + 1).all()
    assert not set(curve.jumps) - {stop}
    if jump_nm:
        assert band[(start + stop) // 2].min() > 30


def test_a_few_rows_after_a_gap_are_left_out_by_name(rng):
    table = painted(straight(60, -40), rng).in_frames(0, 600)
    lone = table[:3].with_columns(frame=[950, 951, 953])
    curve = estimate_drift(concat([table, lone]))
    assert curve.stretches == ((0, 600),)
    assert "the 3 rows in frames 950 to 953 do not certainly overlap the others" in curve.warnings[0]
    assert curve.rms_error_nm < 1.5


def test_rows_after_a_gap_that_do_not_overlap_those_before_are_refused_with_their_frames(rng):
    table = painted(straight(60, -40), rng)
    other = painted(straight(60, -40), rng)  # of other sites
    with pytest.raises(
        TooFewMoleculesError, match=r"across frames without rows: the .* rows in frames 600 to 999 do not"
    ):
        estimate_drift(concat([table.in_frames(0, 500), other.in_frames(600, None)]))


def test_fiducials_that_are_gone_for_a_while_are_followed_across(rng):
    truth = straight(60, -40)
    frame = np.arange(N_FRAMES)
    places = np.array([[5.0, 5.0], [20.0, 9.0]]) + truth[:, None] / 100 + rng.normal(0, 0.03, (N_FRAMES, 2, 2))
    sigma = np.full(2 * N_FRAMES, 0.03)
    beads = Localizations(
        {"frame": frame.repeat(2), "y": places[..., 0].ravel(), "x": places[..., 1].ravel(), "y_uncertainty": sigma,
         "x_uncertainty": sigma}, pixel_size_nm=100, n_frames=N_FRAMES,
    )  # fmt: skip
    curve = estimate_drift(without(beads, 450, 550), fiducials=True)
    known = (frame < 450) | (frame >= 550)
    off, band = off_and_band(curve, truth, known)
    assert curve.stretches == ((0, 450), (550, N_FRAMES))
    assert np.sqrt((off[known] ** 2).mean()) < 1.5
    assert (off[~known] < 3 * band[~known] + 1).all()
