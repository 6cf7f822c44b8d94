"""The curve from fiducials follows fast drift, and its band is true whatever their uncertainties say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from napari_subpixel.analysis.drift import estimate_drift
from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.analysis.trends import Series, course, fits
from napari_subpixel.localizations import Localizations

N_FRAMES = 400
PIXEL_NM = 100.0
SIGMA_NM = 2.0
PLACES = np.array([[16.0, 24.0], [85.0, 91.0], [17.0, 53.0], [58.0, 96.0], [40.0, 12.0]])


def drift_of(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Drift in y and x by frame, nm, 0 in the first."""
    t = np.arange(N_FRAMES)
    slow, fast = (np.cumsum(rng.normal(0, step, (N_FRAMES, 2)), axis=0) for step in (0.2, 3.0))
    drift = {
        "ramp": np.outer(t / N_FRAMES, (80.0, -50.0)),
        "slow": slow,
        "fast": fast,
        "smooth": gaussian_filter1d(fast, 6, axis=0),
        "sinus": np.column_stack([40 * np.sin(t / 12 + 1), 10 * np.sin(t / 60)]),
        "jump": slow + np.outer(t >= 160, (40.0, -25.0)),
    }[kind]
    return drift - drift[0]


def beads(
    truth: np.ndarray, rng: np.random.Generator, n: int = 1, *, part: float = 1.0, spread: float = 0.1,
    power: float = 1.0, stated: float = 1.0,
) -> Localizations:  # fmt: skip
    """Beads in a part of the frames; their noise is a power of uneven uncertainties, which are off by a factor."""
    columns = []
    for place in PLACES[:n]:
        frame = np.flatnonzero(rng.random(N_FRAMES) < part)
        uneven = np.exp(rng.normal(0, spread, len(frame)))
        noise = SIGMA_NM * uneven[:, None] ** power * rng.normal(size=(len(frame), 2))
        yx = place + (truth[frame] + noise) / PIXEL_NM
        columns.append(np.column_stack([frame, yx, stated * SIGMA_NM * uneven / PIXEL_NM]))
    frame, y, x, sigma = np.concatenate(columns).T
    return Localizations(
        {"frame": frame.astype(int), "y": y, "x": x, "y_uncertainty": sigma, "x_uncertainty": sigma},
        pixel_size_nm=PIXEL_NM, n_frames=N_FRAMES, frame_shape=(128, 128),
    )  # fmt: skip


def errors_of(curve: DriftCurve, truth: np.ndarray) -> np.ndarray:
    """Difference from the truth in y and x but for a shift of the whole movie, nm."""
    off = np.column_stack([curve.y_nm, curve.x_nm]) - truth
    return off - off.mean(axis=0)


def rms_and_share(curve: DriftCurve, truth: np.ndarray) -> tuple[float, float]:
    off, band = errors_of(curve, truth), np.column_stack([curve.y_error_nm, curve.x_error_nm])
    return float(np.sqrt((off**2).mean())), float((np.abs(off) <= band).mean())


@pytest.mark.parametrize(
    "options",
    [
        {"n": 1, "spread": 0.6},
        {"n": 1, "spread": 0.6, "power": 0.4},
        {"n": 2, "stated": 0.5},
        {"n": 2, "stated": 2.0, "part": 0.7},
        {"n": 5, "spread": 0.5, "part": 0.7},
    ],
    ids=lambda options: ", ".join(f"{name} {value}" for name, value in options.items()),
)
def test_the_curve_is_better_than_the_rows_and_its_band_is_true(rng, options):
    shares, ratios = [], []
    for kind in ("slow", "fast", "smooth", "sinus", "jump"):
        truth = drift_of(kind, rng)
        curve = estimate_drift(beads(truth, rng, **options), fiducials=True)
        rms, share = rms_and_share(curve, truth)
        n_rows = options["n"] * options.get("part", 1.0)
        assert rms < 1.15 * SIGMA_NM / np.sqrt(n_rows), kind
        shares.append(share)
        ratios.append(rms / curve.rms_error_nm)
    assert 0.58 < np.mean(shares) < 0.82
    assert 0.7 < np.mean(ratios) < 1.3


def test_a_ramp_is_straight_and_the_jump_at_its_frame(rng):
    truth = drift_of("ramp", rng)
    assert rms_and_share(estimate_drift(beads(truth, rng), fiducials=True), truth)[0] < 0.5
    truth = drift_of("jump", rng)
    assert estimate_drift(beads(truth, rng, 2), fiducials=True).jumps == (160,)


def test_frames_without_rows_at_a_jump_have_its_size_as_their_error(rng):
    truth = drift_of("jump", rng)
    table = beads(truth, rng)
    curve = estimate_drift(table.select((table.frame < 155) | (table.frame > 164)), fiducials=True)
    assert curve.y_error_nm[156:164] == pytest.approx(np.full(8, 20), abs=5)
    assert rms_and_share(curve, truth)[1] > 0.5


def test_rows_that_are_far_off_are_left_out(rng):
    truth = drift_of("smooth", rng)
    table = beads(truth, rng)
    off = rng.choice(N_FRAMES, 12, replace=False)
    curve = estimate_drift(table.with_columns(x=table.x + np.where(np.isin(table.frame, off), 0.45, 0)), fiducials=True)
    assert rms_and_share(curve, truth)[0] < 1.2
    assert curve.jumps == ()


def test_beads_that_move_by_themselves_widen_the_band(rng):
    truth = drift_of("smooth", rng)
    table = beads(truth, rng, 5)
    t = np.arange(N_FRAMES) / N_FRAMES
    own = 6 * np.sin(2 * np.pi * np.outer(t, rng.uniform(0.5, 2, 5)) + rng.uniform(0, 6, 5)) / PIXEL_NM
    bead = np.arange(len(table)) // N_FRAMES
    moving = table.with_columns(x=table.x + own[table.frame, bead])
    curve = estimate_drift(moving, fiducials=True)
    off = errors_of(curve, truth)[:, 1]
    assert 0.4 < np.sqrt((off**2).mean() / (curve.x_error_nm**2).mean()) < 1.5
    assert np.median(curve.x_error_nm) > 2 * np.median(curve.y_error_nm)


def test_what_the_error_cannot_hold_is_reported(rng):
    truth = drift_of("slow", rng)
    alone = estimate_drift(beads(truth, rng), fiducials=True)
    assert alone.warnings == (
        "there is one fiducial only: what it moves by itself counts as drift, and is not in the error",
    )
    wrong = estimate_drift(beads(truth, rng, 2, stated=0.4), fiducials=True)
    assert "the fiducials scatter by 2.5 times what their uncertainties say" in wrong.warnings[0]
    table = beads(truth, rng, 2)
    apart = table.select(np.where(table.y > 50, table.frame < 150, table.frame >= 150))
    curve = estimate_drift(apart, fiducials=PLACES[:2])
    assert "is left out: it has fewer than 10 frames in common with the others" in " ".join(curve.warnings)
    assert len(curve.fiducials) == 1


def test_the_course_of_a_series_is_that_of_dense_matrices(rng):
    n = 30
    value, variance = np.cumsum(rng.normal(0, 1, n)), rng.uniform(0.5, 2, n)
    variance[[0, 8, 9, 29]] = np.inf
    series = Series(value, variance, np.zeros(n, bool))
    found = fits(series)
    best = found.best
    only = type(found)(found.rates[[best]], found.log_likelihood[[best]], found.factor[[best]])
    got = course(series, only)
    there, unit = series.there, float(np.median(variance[np.isfinite(variance)]))
    value_rate, slope_rate = found.rates[best] * unit
    t = np.arange(n)
    walk = value_rate * np.minimum.outer(t, t)
    # Every step of the slope moves both times by how long ago it was.
    bend = slope_rate * np.array([[sum((i - u) * (j - u) for u in range(1, min(i, j) + 1)) for j in t] for i in t])
    prior = walk + bend + 1e4 + 1e2 * np.outer(t, t)
    gain = prior[:, there] @ np.linalg.inv(prior[np.ix_(there, there)] + np.diag(variance[there]))
    centre = np.eye(n) - there / there.sum()
    covariance = centre @ (prior - gain @ prior[there]) @ centre.T
    assert got.value == pytest.approx(centre @ gain @ value[there], abs=0.01)
    assert got.error == pytest.approx(np.sqrt(np.diag(covariance) * got.factor), rel=0.01)


def test_two_picks_of_one_fiducial_count_once(rng):
    table = beads(drift_of("ramp", rng), rng)
    place = float(np.median(table.y)), float(np.median(table.x))
    once, twice = (estimate_drift(table, fiducials=[place] * n) for n in (1, 2))
    for along in ("y_nm", "x_nm", "y_error_nm", "x_error_nm"):
        np.testing.assert_array_equal(getattr(twice, along), getattr(once, along))
    assert len(twice.fiducials) == 1
    assert any("of the same fiducials as others" in warning for warning in twice.warnings)
