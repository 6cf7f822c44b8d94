"""Drift is found without a setting typed, its error band is true, and what cannot be known is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_subpixel.analysis.drift import estimate_drift
from napari_subpixel.analysis.drift_curve import DriftCurve, undo_drift
from napari_subpixel.analysis.linking import link
from napari_subpixel.errors import CorrectedTableError, InputError, PixelSizeError, TooFewMoleculesError
from napari_subpixel.localizations import Localizations, concat

PIXEL_NM = 100.0
N_FRAMES = 4000


def drift_of(kind: str, rng: np.random.Generator, n_frames: int = N_FRAMES) -> np.ndarray:
    """Drift in y and x by frame, nm, 0 in the first."""
    t = np.arange(n_frames) / n_frames
    walk = np.cumsum(rng.normal(0, 0.15, (n_frames, 2)), axis=0)
    smooth = np.stack([np.convolve(np.pad(w, 60, mode="edge"), np.ones(121) / 121, "valid") for w in walk.T], axis=1)
    drift = {
        "none": np.zeros((n_frames, 2)),
        "walk": smooth,
        "thermal": np.outer(1 - np.exp(-t / 0.15), (140.0, -90.0)),
        "jump": smooth + np.outer(np.arange(n_frames) >= 1700, (40.0, -25.0)),
    }[kind]
    return drift - drift[0]


def paint(
    drift: np.ndarray,
    rng: np.random.Generator,
    n_events: int = 9000,
    n_sites: int = 700,
    field_nm: float = 8000.0,
    sigma_nm: float = 9.0,
    depth_nm: float = 0.0,
) -> Localizations:
    """DNA-PAINT: molecules come back to sites, for some frames each, with false rows among them."""
    sites = rng.uniform(0, 1, (n_sites, 3)) * (field_nm, 0.7 * field_nm, depth_nm)
    return _table(sites[rng.integers(0, n_sites, n_events)], drift, rng, sigma_nm)


def filaments(
    drift: np.ndarray,
    rng: np.random.Generator,
    n_molecules: int = 14000,
    width_nm: float = 12.0,
    sigma_nm: float = 14.0,
) -> Localizations:
    """Straight filaments of some width; no molecule comes back."""
    along, which = rng.uniform(0, 8000, n_molecules), rng.integers(0, 14, n_molecules)
    angle, start = rng.uniform(0, np.pi, 14)[which], rng.uniform(0, 6000, (14, 2))[which]
    across = rng.uniform(-1, 1, n_molecules) * width_nm
    y = start[:, 0] + along * np.sin(angle) + across * np.cos(angle)
    x = start[:, 1] + along * np.cos(angle) - across * np.sin(angle)
    return _table(np.column_stack([y, x, np.zeros(n_molecules)]), drift, rng, sigma_nm)


def _table(place: np.ndarray, drift: np.ndarray, rng: np.random.Generator, sigma_nm: float) -> Localizations:
    n_frames = len(drift)
    length = rng.geometric(0.4, len(place))
    event = np.repeat(np.arange(len(place)), length)
    nth = np.arange(len(event)) - np.repeat(np.cumsum(length) - length, length)
    frame = rng.integers(0, n_frames, len(place))[event] + nth
    event, frame = event[frame < n_frames], frame[frame < n_frames]
    sigma = sigma_nm * np.exp(rng.normal(0, 0.25, len(event)))
    yx = place[event, :2] + drift[frame, :2] + rng.normal(size=(len(event), 2)) * sigma[:, None]
    columns = {"frame": frame, "y": yx[:, 0] / PIXEL_NM, "x": yx[:, 1] / PIXEL_NM,
               "y_uncertainty": sigma / PIXEL_NM, "x_uncertainty": sigma / PIXEL_NM}  # fmt: skip
    if drift.shape[1] == 3:
        columns["z_nm"] = place[event, 2] + drift[frame, 2] + rng.normal(size=len(event)) * 2.5 * sigma
    return Localizations(columns, pixel_size_nm=PIXEL_NM, n_frames=n_frames)


SAMPLES = {"paint": paint, "filaments": filaments}


def errors_of(curve: DriftCurve, truth: np.ndarray) -> np.ndarray:
    """Difference from the truth in y and x, but for a shift of the whole movie, nm."""
    off = np.column_stack([curve.y_nm, curve.x_nm]) - truth[:, :2]
    return off - off.mean(axis=0)


def coverage(curve: DriftCurve, truth: np.ndarray) -> float:
    band = np.column_stack([curve.y_error_nm, curve.x_error_nm])
    return float((np.abs(errors_of(curve, truth)) <= band).mean())


# -- the curve ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sample", "most_nm"), [("paint", 0.9), ("filaments", 2.0)])
@pytest.mark.parametrize("kind", ["walk", "thermal", "jump"])
def test_drift_is_found_to_the_nanometre_and_its_error_is_what_it_says(rng, sample, kind, most_nm):
    truth = drift_of(kind, rng)
    curve = estimate_drift(SAMPLES[sample](truth, rng))
    rms = np.sqrt((errors_of(curve, truth) ** 2).mean())
    assert rms < most_nm
    assert 0.6 < rms / curve.rms_error_nm < 1.6
    assert 0.45 < coverage(curve, truth) < 0.95
    assert curve.method == "molecules"
    assert len(curve) == N_FRAMES
    assert (curve.x_nm[0], curve.y_nm[0]) == (0, 0)


@pytest.mark.parametrize("sample", ["paint", "filaments"])
def test_a_movie_without_drift_gets_a_curve_within_its_band_of_zero(rng, sample):
    truth = drift_of("none", rng)
    curve = estimate_drift(SAMPLES[sample](truth, rng))
    assert coverage(curve, truth) > 0.6
    assert curve.rms_error_nm < 1.0
    assert curve.jumps == ()


@pytest.mark.parametrize("sample", ["paint", "filaments"])
def test_a_jump_is_found_at_its_frame_and_not_smoothed_over(rng, sample):
    truth = drift_of("jump", rng)
    curve = estimate_drift(SAMPLES[sample](truth, rng))
    assert len(curve.jumps) == 1
    assert abs(curve.jumps[0] - 1700) <= 5
    assert np.abs(errors_of(curve, truth)[1680:1720]).mean() < 8


def test_drift_along_the_optical_axis_is_found_too(rng):
    truth = np.column_stack([drift_of("walk", rng), 250 * np.sin(np.arange(N_FRAMES) / 1500)])
    curve = estimate_drift(paint(truth, rng, depth_nm=600.0))
    assert np.sqrt((errors_of(curve, truth) ** 2).mean()) < 1.2
    assert curve.z_nm is not None
    off = curve.z_nm - truth[:, 2]
    rms = np.std(off)
    assert rms < 4
    assert 0.5 < rms / np.sqrt(np.mean(curve.z_error_nm**2)) < 2


@pytest.mark.parametrize("n_sites", [1, 2])
def test_one_molecule_that_comes_back_is_enough(rng, n_sites):
    truth = drift_of("walk", rng)
    curve = estimate_drift(paint(truth, rng, n_events=3000, n_sites=n_sites))
    assert np.sqrt((errors_of(curve, truth) ** 2).mean()) < 2.5


@pytest.mark.parametrize("seed", [5000, 5005])
def test_the_error_of_a_sparse_structure_is_not_that_of_the_stiffest_curve(seed):
    # Of few molecules, held-out ones hardly favour any stiffness, and most that are tried hold the curve straight.
    rng = np.random.default_rng(seed)
    truth = drift_of("walk", rng)
    curve = estimate_drift(filaments(truth, rng, n_molecules=2000))
    assert np.sqrt((errors_of(curve, truth) ** 2).mean()) < 2.0 * curve.rms_error_nm


def test_an_estimate_says_what_it_does_and_can_be_ended_at_any_step(rng):
    table = paint(drift_of("walk", rng, 1000), rng, n_events=2000)
    steps = estimate_drift.steps(table)
    names = [next(steps), next(steps)]
    steps.close()
    assert names == ["rough curve", "best curve"]
    named = dict.fromkeys(estimate_drift.steps(table))
    assert [*named][:4] == ["rough curve", "best curve", "jumps", "stiffness"]


def test_the_same_table_gives_the_same_curve(rng):
    table = paint(drift_of("walk", rng), rng, n_events=3000)
    one, other = estimate_drift(table), estimate_drift(table)
    np.testing.assert_array_equal(one.x_nm, other.x_nm)
    np.testing.assert_array_equal(one.y_error_nm, other.y_error_nm)


def test_the_order_of_rows_does_not_matter(rng):
    truth = drift_of("walk", rng)
    table = paint(truth, rng)
    shuffled = table.select(rng.permutation(len(table)))
    one, other = estimate_drift(table), estimate_drift(shuffled)
    assert np.abs(one.x_nm - other.x_nm).max() < 3 * one.rms_error_nm


def test_blinks_of_one_molecule_do_not_make_the_curve_more_certain_than_it_is(rng):
    truth = drift_of("walk", rng)
    table = filaments(truth, rng, n_molecules=5000)
    again = table.with_columns(frame=np.minimum(table.frame + rng.integers(3, 30, len(table)), N_FRAMES - 1))
    noise = rng.normal(size=(len(table), 2)) * table["y_uncertainty"][:, None]
    moved = (truth[again.frame] - truth[table.frame]) / 100 + noise
    both = concat([table, again.with_columns(y=table.y + moved[:, 0], x=table.x + moved[:, 1])])
    curve = estimate_drift(both)
    assert np.sqrt((errors_of(curve, truth) ** 2).mean()) < 2.0 * curve.rms_error_nm


# -- what the table lacks -----------------------------------------------------------------------------------------


def test_without_uncertainties_the_precision_is_measured_and_the_loss_is_said(rng):
    truth = drift_of("walk", rng)
    table = paint(truth, rng)
    bare = Localizations({name: table[name] for name in ("frame", "y", "x")}, **table.about)
    curve = estimate_drift(bare)
    assert np.sqrt((errors_of(curve, truth) ** 2).mean()) < 1.2
    assert "the table has no uncertainties" in curve.warnings[0]
    assert "measured on molecules in consecutive frames" in curve.warnings[0]


def test_uncertainties_that_are_far_too_small_are_not_believed(rng):
    truth = drift_of("walk", rng)
    table = paint(truth, rng)
    wrong = table.with_columns(y_uncertainty=table["y_uncertainty"] / 3, x_uncertainty=table["x_uncertainty"] / 3)
    curve = estimate_drift(wrong)
    assert np.sqrt((errors_of(curve, truth) ** 2).mean()) < 1.0
    assert "times what the uncertainties say" in curve.warnings[0]


def test_too_little_is_said_and_not_guessed(rng):
    truth = drift_of("walk", rng)
    table = paint(truth, rng)
    with pytest.raises(TooFewMoleculesError, match="molecules are too few"):
        estimate_drift(table[:40])
    strangers = Localizations(
        {"frame": rng.integers(0, N_FRAMES, 3000), "y": rng.uniform(0, 100, 3000), "x": rng.uniform(0, 80, 3000),
         "y_uncertainty": np.full(3000, 0.1), "x_uncertainty": np.full(3000, 0.1)},
        pixel_size_nm=100,
    )  # fmt: skip
    with pytest.raises(TooFewMoleculesError, match="cannot be estimated"):
        estimate_drift(strangers)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"frame": [], "y": [], "x": []}, "no rows"),
        ({"frame": [3] * 90, "y": np.arange(90.0), "x": np.arange(90.0)}, "all 90 rows are in frame 3"),
        ({"frame": np.arange(90), "y": [2.0] * 90, "x": [5.0] * 90}, "all 90 rows are at one place, y 2, x 5"),
    ],
)
def test_a_table_that_holds_no_drift_is_refused(columns, message):
    with pytest.raises(InputError, match=message):
        estimate_drift(Localizations(columns, pixel_size_nm=100))


def test_a_table_without_a_pixel_size_is_refused():
    with pytest.raises(PixelSizeError, match="pixel size"):
        estimate_drift(Localizations({"frame": [0, 1], "y": [1.0, 2.0], "x": [1.0, 2.0]}))


# -- fiducials ----------------------------------------------------------------------------------------------------


def with_fiducials(table: Localizations, truth: np.ndarray, places, rng, sigma_nm=3.0, part=0.95) -> Localizations:
    beads = []
    for place in places:
        frame = np.flatnonzero(rng.uniform(size=len(truth)) < part)
        yx = np.asarray(place) + (truth[frame] + rng.normal(size=(len(frame), 2)) * sigma_nm) / 100
        s = np.full(len(frame), sigma_nm / 100)
        beads.append(Localizations({"frame": frame, "y": yx[:, 0], "x": yx[:, 1], "y_uncertainty": s,
                                    "x_uncertainty": s}, **table.about))  # fmt: skip
    return concat([table, *beads])


@pytest.mark.parametrize("places", [[(10.0, 12.0)], [(10.0, 12.0), (60.0, 30.0), (31.0, 44.0)]])
def test_fiducials_are_found_and_followed(rng, places):
    truth = drift_of("walk", rng)
    table = with_fiducials(paint(truth, rng, n_events=3000), truth, places, rng)
    curve = estimate_drift(table, fiducials=True)
    rms = np.sqrt((errors_of(curve, truth) ** 2).mean())
    assert curve.method == "fiducials"
    assert np.sort(curve.fiducials, axis=0) == pytest.approx(np.sort(places, axis=0), abs=0.6)
    assert rms < 1.0
    assert 0.6 < rms / curve.rms_error_nm < 1.6


def test_picked_fiducials_are_followed_though_others_move_by_themselves(rng):
    truth = drift_of("walk", rng)
    table = paint(truth, rng, n_events=3000)
    table = with_fiducials(table, truth, [(10.0, 12.0)], rng)
    loose = truth + np.outer(np.linspace(0, 1, N_FRAMES), (0.0, 60.0))
    table = with_fiducials(table, loose, [(60.0, 30.0)], rng)
    curve = estimate_drift(table, fiducials=[(10.0, 12.0)])
    assert np.sqrt((errors_of(curve, truth) ** 2).mean()) < 1.0
    with pytest.raises(TooFewMoleculesError, match="no fiducial within 200 nm of y -40, x -40 px"):
        estimate_drift(table, fiducials=[(-40.0, -40.0)])
    with pytest.raises(InputError, match=r"shape \(M, 2\), got shape \(2,\)"):
        estimate_drift(table, fiducials=[10.0, 12.0])


@pytest.mark.parametrize("frame", [0, N_FRAMES // 2, N_FRAMES - 1])
def test_a_fiducial_may_be_picked_where_it_was_in_any_frame(rng, frame):
    truth = np.outer(np.linspace(0, 1, N_FRAMES), (600.0, -400.0))
    table = with_fiducials(paint(truth, rng, n_events=3000), truth, [(30.0, 40.0)], rng)
    pick = np.array([30.0, 40.0]) + truth[frame] / 100 + (0.7, -0.7)
    curve = estimate_drift(table, fiducials=[pick])
    assert np.sqrt((errors_of(curve, truth) ** 2).mean()) < 1.5


def test_picked_rows_that_are_no_bead_are_reported_and_the_error_holds_their_scatter(rng):
    truth = drift_of("walk", rng)
    table = paint(truth, rng, n_events=6000, n_sites=1500)
    spot = paint(truth, rng, n_events=400, n_sites=1)
    place = np.array([spot.y.mean(), spot.x.mean()])
    scattered = spot.with_columns(y=spot.y + rng.normal(0, 0.25, len(spot)), x=spot.x + rng.normal(0, 0.25, len(spot)))
    curve = estimate_drift(concat([table, scattered]), fiducials=[place])
    assert "% of the frames only: it may be no bead" in curve.warnings[0]
    assert np.sqrt((errors_of(curve, truth) ** 2).mean()) < 1.8 * curve.rms_error_nm


def test_a_movie_without_fiducials_has_none(rng):
    with pytest.raises(TooFewMoleculesError, match="there is no fiducial"):
        estimate_drift(paint(drift_of("walk", rng), rng, n_events=3000), fiducials=True)


# -- the record ---------------------------------------------------------------------------------------------------


def a_curve(n: int = 5, **more) -> DriftCurve:
    t = np.arange(n, dtype=float)
    return DriftCurve(x_nm=2 * t, y_nm=-t, x_error_nm=t + 1, y_error_nm=t + 2, **more)


def a_table(n: int = 5, **more) -> Localizations:
    t = np.arange(n)
    return Localizations({"frame": t, "y": t + 1.0, "x": 2.0 * t, **more}, pixel_size_nm=50, provenance={"movie": "a"})


def test_a_corrected_table_goes_back_to_its_original_positions():
    table = a_table(z_nm=np.linspace(-100, 100, 5), colour=np.arange(5))
    curve = a_curve(z_nm=np.arange(5.0), z_error_nm=np.ones(5))
    corrected = curve.correct(table)
    assert corrected.x == pytest.approx(table.x - 2 * np.arange(5) / 50)
    assert corrected["z_nm"] == pytest.approx(table["z_nm"] - np.arange(5), abs=1e-4)
    assert corrected["y_drift_nm"].tolist() == [0, -1, -2, -3, -4]
    assert corrected.provenance["drift"]["method"] == "molecules"
    twice = undo_drift(curve.correct(corrected))
    assert twice.yx == pytest.approx(table.yx)
    assert twice.columns == table.columns
    assert twice.provenance == {"movie": "a"}
    with pytest.raises(InputError, match="no drift was subtracted"):
        undo_drift(table)


def test_a_frame_beyond_the_curve_is_refused():
    with pytest.raises(InputError, match="frame 4 is beyond the curve of drift, which has 3 frames"):
        a_curve(3).correct(a_table(5))


def test_a_trace_is_read_as_it_was_written(tmp_path):
    a_curve(z_nm=np.arange(5.0), z_error_nm=np.ones(5)).write(tmp_path / "trace.csv")
    text = (tmp_path / "trace.csv").read_text()
    assert text.startswith("frame,x_nm,y_nm,z_nm,x_error_nm,y_error_nm,z_error_nm\n0,0.0000,")
    again = DriftCurve.read(tmp_path / "trace.csv")
    assert again.x_nm.tolist() == [0, 2, 4, 6, 8]
    assert again.method == "trace"
    assert again.z_nm is not None
    assert again.rms_error_nm == pytest.approx(np.sqrt(np.mean([*(np.arange(5) + 1) ** 2, *(np.arange(5) + 2) ** 2])))
    with pytest.raises(ValueError, match="read-only"):
        again.x_nm[0] = 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,x_nm\n0,1\n", "no column 'x_error_nm'"),
        ("frame,x_nm,y_nm,x_error_nm,y_error_nm\n1,0,0,0,0\n", "from 0"),
        ("frame,x_nm,y_nm,x_error_nm,y_error_nm\n0,nan,0,0,0\n", "must be finite"),
        ("", "empty|not a trace"),
    ],
)
def test_another_file_is_no_trace(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        DriftCurve.read(tmp_path / "t.csv")


def test_a_curve_has_one_number_for_each_frame():
    with pytest.raises(InputError, match="one number for each frame"):
        DriftCurve(x_nm=np.zeros(3), y_nm=np.zeros(4), x_error_nm=np.zeros(3), y_error_nm=np.zeros(3))


def test_a_second_curve_of_a_corrected_table_is_refused_whatever_the_first_was_estimated_from(rng):
    frame = np.arange(400)
    places = np.array([[5.0, 5.0], [20.0, 9.0]]) + np.column_stack([frame, frame])[:, None] / 1000
    places += rng.normal(0, 0.02, places.shape)
    beads = Localizations({"frame": frame.repeat(2), "y": places[..., 0].ravel(), "x": places[..., 1].ravel(),
                           "y_uncertainty": np.full(800, 0.02), "x_uncertainty": np.full(800, 0.02)},
                          pixel_size_nm=100)  # fmt: skip
    curve = estimate_drift(beads, fiducials=True)
    corrected = curve.correct(beads)
    with pytest.raises(CorrectedTableError, match="subtracted already, as estimated from these fiducials"):
        estimate_drift(corrected, fiducials=True)
    with pytest.raises(CorrectedTableError, match="by a trace that may be of these fiducials"):
        estimate_drift(replace(curve, method="trace").correct(beads), fiducials=True)
    by_molecules = replace(curve, method="molecules").correct(beads)
    with pytest.raises(CorrectedTableError):
        estimate_drift(by_molecules)
    with pytest.raises(CorrectedTableError, match="as estimated from these molecules"):
        estimate_drift(by_molecules, fiducials=True)
    with pytest.raises(CorrectedTableError, match="as estimated from these fiducials"):
        estimate_drift(corrected)


@pytest.fixture(scope="module")
def linked_and_truth():
    rng = np.random.default_rng(6)
    truth = np.column_stack([40 * np.sin(np.arange(500) / 40), 30 * np.cos(np.arange(500) / 55)])
    truth -= truth[0]
    rows = paint(truth, rng, n_events=5000, n_sites=300)
    return link(rows.with_about(n_frames=500)).molecules, truth


def test_linked_rows_count_in_the_middle_of_their_frames_and_that_is_reported(linked_and_truth):
    linked, truth = linked_and_truth
    curve = estimate_drift(linked)
    rms = np.sqrt((errors_of(curve, truth) ** 2).mean())
    assert rms < 0.75
    assert 0.6 < rms / curve.rms_error_nm < 1.5
    assert len(curve.warnings) == 1
    assert "rows are linked, and count in the middle of their frames" in curve.warnings[0]
    with pytest.raises(TooFewMoleculesError, match=r"fiducials cannot be followed: .* rows are linked, and have lost"):
        estimate_drift(linked, fiducials=True)


def test_linked_rows_are_corrected_by_the_mean_over_their_frames(linked_and_truth):
    linked, truth = linked_and_truth
    curve = DriftCurve(x_nm=truth[:, 1], y_nm=truth[:, 0], x_error_nm=np.ones(500), y_error_nm=np.ones(500))
    corrected = curve.correct(linked)
    for k in np.flatnonzero(linked["n_frames"] > 3)[:5]:
        frames = slice(linked["first_frame"][k], linked["last_frame"][k] + 1)
        assert corrected["x_drift_nm"][k] == pytest.approx(truth[frames, 1].mean(), abs=1e-3)
    assert undo_drift(corrected).yx == pytest.approx(linked.yx, abs=1e-4)


def test_two_frames_have_a_curve(rng):
    places = rng.uniform(5, 60, (300, 2))
    both = np.concatenate([places, places + np.array([0.2, -0.1])]) + rng.normal(0, 0.05, (600, 2))
    columns = {"frame": np.repeat([0, 1], 300), "y": both[:, 0], "x": both[:, 1]}
    sigma = np.full(600, 0.05)
    table = Localizations({**columns, "y_uncertainty": sigma, "x_uncertainty": sigma}, pixel_size_nm=100)
    curve = estimate_drift(table)
    assert len(curve) == 2
    assert np.diff(curve.y_nm)[0] == pytest.approx(20, abs=3)
    assert np.diff(curve.x_nm)[0] == pytest.approx(-10, abs=3)
