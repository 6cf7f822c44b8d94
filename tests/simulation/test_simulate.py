"""Simulated movies: the truth says where the light is, how much of it, and when."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import within_frame
from napari_subpixel.errors import InputError
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.simulation.settings import STRUCTURES, Simulation
from napari_subpixel.simulation.simulate import simulate, simulate_chunks, simulated_drift
from napari_subpixel.simulation.structures import draw_molecules

PLAIN = Camera(pixel_size_nm=100.0, baseline=100.0)


def small(**changes):
    settings = {"frame_shape": (24, 40), "n_frames": 30, "camera": PLAIN, "molecules": 1000, "emitters_per_frame": 8}
    return Simulation(**{**settings, **changes})


def always_on(**changes):
    """Molecules of equal light, each on for one whole frame, nothing else in the frame."""
    flash = {"structure": "uniform", "on_time_frames": 0, "photons_spread": 0, "background": 0, "min_photons": 0}
    return small(**{**flash, **changes})


# -- the same seed, the same movie --------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_movie_and_truth():
    (movie, truth), (again, same) = (simulate(small(), np.random.default_rng(7)) for _ in range(2))
    assert movie.tobytes() == again.tobytes()
    assert truth.table.equals(same.table)
    assert truth.provenance == same.provenance


def test_another_seed_and_the_next_movie_of_one_generator_differ():
    rng = np.random.default_rng(7)
    movies = [simulate(small(), r)[0] for r in (rng, rng, np.random.default_rng(8))]
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(movies, 2))


@pytest.mark.parametrize("chunk_frames", [1, 7, 30, 1000])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_pieces_are_the_whole_whatever_their_size(structure, chunk_frames):
    camera = replace(PLAIN, em_gain=100.0, electrons_per_adu=20.0, read_noise_e=30.0)
    simulation = small(structure=structure, camera=camera)
    movie, truth = simulate(simulation, np.random.default_rng(3))
    pieces = list(simulate_chunks(simulation, np.random.default_rng(3), chunk_frames))
    assert np.array_equal(np.concatenate([frames for frames, _ in pieces]), movie)
    assert {len(frames) for frames, _ in pieces[:-1]} <= {chunk_frames}
    for column in truth.columns:
        assert np.array_equal(np.concatenate([table[column] for _, table in pieces]), truth[column])


def test_the_provenance_makes_the_movie_again():
    rng = np.random.default_rng(7)
    simulate(small(), rng)
    movie, truth = simulate(small(structure="rings"), rng)
    about = json.loads(json.dumps(truth.provenance))
    sequence = np.random.SeedSequence(about["seed"], n_children_spawned=about["spawn_key"][0])
    again, _ = simulate(Simulation.from_dict(about["simulation"]), np.random.default_rng(sequence))
    assert np.array_equal(again, movie)


def test_the_truth_knows_the_movie():
    movie, truth = simulate(small(), np.random.default_rng(7))
    assert movie.shape == (30, 24, 40)
    assert movie.dtype == np.uint16
    assert truth.columns == ("frame", "y", "x", "photons", "background", "sigma")
    assert (truth.pixel_size_nm, truth.frame_shape, truth.n_frames) == (100.0, (24, 40), 30)
    assert (np.diff(truth.frame) >= 0).all()
    assert truth["background"] == pytest.approx(15.0)
    assert truth["sigma"] == pytest.approx(1.1)
    assert truth.provenance["seed"] == 7


# -- light --------------------------------------------------------------------------------------------------------


def test_the_light_of_the_movie_is_the_light_of_the_truth():
    # Nothing lies outside the frame's light: a wide frame, a sharp PSF, and every row in the truth.
    simulation = small(frame_shape=(90, 130), n_frames=40, psf=GaussianPSF(60.0), min_photons=0, structure="uniform")
    movie, truth = simulate(simulation, np.random.default_rng(1))
    light = PLAIN.to_photons(movie).sum(axis=(1, 2)) - simulation.background * 90 * 130
    expected = np.bincount(truth.frame, truth["photons"], minlength=40)
    noise = np.sqrt(PLAIN.to_photons(movie).sum())
    assert abs(light.sum() - expected.sum()) < 4 * noise + 0.01 * expected.sum()
    assert np.corrcoef(light, expected)[0, 1] > 0.99


def test_a_bright_molecule_lies_where_the_truth_says():
    # A million photons and sigma 1.3 px: the centroid is good to 1.3 millipixels.
    camera = replace(PLAIN, electrons_per_adu=50.0)
    simulation = always_on(frame_shape=(41, 57), emitters_per_frame=0.5, photons=1e6, n_frames=200, camera=camera)
    simulation = replace(simulation, psf=GaussianPSF(130.0))
    movie, truth = simulate(simulation, np.random.default_rng(1))
    alone = truth.select(
        ~truth.table["frame"].duplicated(keep=False) & within_frame(*truth.yx.T, (41, 57), border_px=11)
    )
    assert len(alone) > 5
    for row in alone.table.itertuples():
        light = camera.to_photons(movie[row.frame])
        rows, columns = np.abs(np.arange(41) - row.y) < 8, np.abs(np.arange(57) - row.x) < 8
        part = light[np.ix_(rows, columns)]
        y = np.flatnonzero(rows) @ part.sum(axis=1) / part.sum()
        x = np.flatnonzero(columns) @ part.sum(axis=0) / part.sum()
        assert (y, x) == pytest.approx((row.y, row.x), abs=5 * 1.3e-3)
        assert part.sum() == pytest.approx(row.photons, abs=5e3)


def test_an_empty_sample_is_background_alone():
    movie, truth = simulate(small(emitters_per_frame=0, background=40), np.random.default_rng(2))
    assert len(truth) == 0
    assert truth.columns == ("frame", "y", "x", "photons", "background", "sigma")
    assert PLAIN.to_photons(movie).mean() == pytest.approx(40, abs=0.2)


def test_molecules_outside_the_frame_shine_in_and_have_no_row():
    simulation = always_on(frame_shape=(6, 9), emitters_per_frame=5, n_frames=400)
    movie, truth = simulate(simulation, np.random.default_rng(2))
    assert within_frame(truth.y, truth.x, (6, 9)).all()
    # By symmetry, what shines in from outside makes up for what is lost over the edge.
    light = PLAIN.to_photons(movie).sum()
    assert light == pytest.approx(truth["photons"].sum(), rel=0.1)
    positions = draw_molecules(simulation, np.random.default_rng(2))
    assert not within_frame(positions[:, 0], positions[:, 1], (6, 9)).all()


def test_a_sliver_of_light_has_no_row_in_the_truth_but_is_in_the_frame():
    every, bright = (small(min_photons=m, emitters_per_frame=4, n_frames=200) for m in (0, 1400))
    rows = simulate(every, np.random.default_rng(2))[1]
    assert rows["photons"].min() < 100
    movie, truth = simulate(bright, np.random.default_rng(2))
    assert truth["photons"].min() >= 1400
    assert PLAIN.to_photons(movie).sum() - 15 * movie.size > 1.2 * truth["photons"].sum()


# -- numbers and times --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"on_time_frames": 0}, {"min_photons": 900}, {"on_time_frames": 6}])
def test_the_truth_has_as_many_rows_per_frame_as_asked(changes):
    simulation = small(n_frames=1500, frame_shape=(5, 7), structure="uniform", **changes)
    _, truth = simulate(simulation, np.random.default_rng(4))
    times = max(simulation.on_time_frames, 1)
    noise = np.sqrt(8 * 1500 * 2 * times) / 1500
    assert len(truth) / 1500 == pytest.approx(8, abs=4 * noise)


def test_the_first_frames_are_as_full_as_the_last():
    counts = np.zeros(12)
    for seed in range(60):
        _, truth = simulate(small(n_frames=12, on_time_frames=5, frame_shape=(5, 7)), np.random.default_rng(seed))
        counts += np.bincount(truth.frame, minlength=12)
    assert counts[:3].mean() == pytest.approx(counts[-3:].mean(), rel=0.15)
    assert counts.mean() / 60 == pytest.approx(8, rel=0.1)


@pytest.mark.parametrize("on_time_frames", [0.8, 3.0])
def test_molecules_are_on_for_the_mean_time_asked(on_time_frames):
    simulation = small(
        n_frames=1500,
        frame_shape=(5, 7),
        on_time_frames=on_time_frames,
        photons_spread=0,
        min_photons=0,
        molecules=9000,
    )
    _, truth = simulate(simulation, np.random.default_rng(4))
    # With equal photons, the photons of one time on, summed over its frames, measure it.
    rows = truth.table.sort_values(["y", "x", "frame"])
    new = (rows[["y", "x"]].diff().abs().sum(axis=1) > 0) | (rows["frame"].diff() != 1)
    times = rows["photons"].groupby(new.cumsum()).sum().to_numpy() / simulation.photons
    assert times.mean() == pytest.approx(on_time_frames, rel=0.1)
    assert times.std() == pytest.approx(on_time_frames, rel=0.15)  # as of an exponential law
    assert rows["photons"].max() <= simulation.photons * (1 + 1e-6)


def test_the_photons_of_molecules_have_the_median_and_spread_asked():
    simulation = always_on(n_frames=400, photons=800, photons_spread=0.5, structure="filaments")
    _, truth = simulate(simulation, np.random.default_rng(4))
    logarithms = np.log(truth["photons"])
    assert np.exp(np.median(logarithms)) == pytest.approx(800, rel=0.05)
    assert logarithms.std() == pytest.approx(0.5, rel=0.05)


def test_a_molecule_has_one_row_per_frame_and_comes_back_at_the_same_place():
    _, truth = simulate(small(molecules=150, n_frames=300), np.random.default_rng(4))
    assert not truth.table.duplicated(["frame", "y", "x"]).any()
    assert len(truth.table.drop_duplicates(["y", "x"])) <= 150


def test_a_flash_lasts_one_whole_frame():
    _, truth = simulate(always_on(), np.random.default_rng(4))
    assert truth["photons"] == pytest.approx(1500)


# -- structures ---------------------------------------------------------------------------------------------------


def test_molecules_on_rings_lie_at_the_radius():
    simulation = small(structure="rings", n_structures=1, ring_radius_nm=420, width_nm=30, molecules=2000)
    y, x = draw_molecules(simulation, np.random.default_rng(5)).T
    # The circle through the points by least squares: y^2 + x^2 = 2 a y + 2 b x + c.
    a, b, c = np.linalg.lstsq(np.column_stack([2 * y, 2 * x, np.ones_like(y)]), y**2 + x**2, rcond=None)[0]
    radius_nm = 100 * np.hypot(y - a, x - b)
    assert 100 * np.sqrt(c + a**2 + b**2) == pytest.approx(420, abs=2)
    assert np.abs(radius_nm - 420).max() < 15 + 2
    assert radius_nm.std() == pytest.approx(15 / np.sqrt(2), rel=0.1)
    assert np.histogram(np.arctan2(y - a, x - b), bins=4)[0] == pytest.approx(500, abs=100)


def test_there_are_as_many_rings_as_asked():
    simulation = small(structure="rings", n_structures=5, ring_radius_nm=1, width_nm=0, frame_shape=(300, 400))
    positions = draw_molecules(simulation, np.random.default_rng(5))
    assert len(np.unique(np.rint(positions / 2), axis=0)) <= 5 * 4
    centres = [positions[0]]
    for position in positions:
        if np.linalg.norm(position - centres, axis=1).min() > 0.03:
            centres.append(position)
    assert len(centres) == 5


def test_molecules_on_a_filament_lie_on_one_thin_curve():
    simulation = small(n_structures=1, width_nm=25, molecules=4000, frame_shape=(24, 40))
    positions = draw_molecules(simulation, np.random.default_rng(5))
    near = [positions[np.linalg.norm(positions - p, axis=1) < 2] for p in positions[:200]]
    # Within 200 nm of any molecule, the others spread along one direction and stay within the tube across it.
    spread = np.array([np.linalg.svd(n - n.mean(axis=0), compute_uv=False) / np.sqrt(len(n)) for n in near])
    assert np.median(spread[:, 1]) * 100 == pytest.approx(25 / 2 / np.sqrt(2), rel=0.3)
    assert np.median(spread[:, 0]) * 100 > 100
    # Few pixels of the field have any molecule, and they reach across it.
    assert len(np.unique(np.rint(positions), axis=0)) < 150
    assert np.ptp(positions, axis=0).max() > 24


def test_a_filament_without_width_is_a_line_without_jumps():
    simulation = small(n_structures=1, width_nm=0, molecules=4000, persistence_length_um=1000)
    positions = draw_molecules(simulation, np.random.default_rng(6))
    direction = np.linalg.svd(positions - positions.mean(axis=0), full_matrices=False)[2][0]
    along = np.sort((positions - positions.mean(axis=0)) @ direction)
    # Evenly along the curve: no gap much wider than chance leaves among 4000.
    assert np.diff(along).max() < 15 * np.ptp(along) / 4000


def test_molecules_sit_on_the_surface_of_a_filament_seen_from_the_side():
    simulation = small(n_structures=1, width_nm=600, molecules=4000, persistence_length_um=1e6)
    positions = draw_molecules(simulation, np.random.default_rng(6))
    positions -= positions.mean(axis=0)
    across_nm = 100 * positions @ np.linalg.svd(positions, full_matrices=False)[2][1]
    assert np.abs(across_nm).max() == pytest.approx(300, rel=0.1)
    assert across_nm.std() == pytest.approx(300 / np.sqrt(2), rel=0.03)


def test_a_shorter_persistence_length_bends_filaments_more():
    def straightness(persistence_length_um):
        simulation = small(n_structures=1, width_nm=0, persistence_length_um=persistence_length_um)
        p = draw_molecules(simulation, np.random.default_rng(6))
        return np.divide(*np.linalg.svd(p - p.mean(axis=0), compute_uv=False)[::-1])

    assert straightness(500) < straightness(3)


def test_uniform_molecules_fill_the_field_evenly():
    simulation = small(structure="uniform", molecules=20000)
    positions = draw_molecules(simulation, np.random.default_rng(5))
    counts = np.histogram2d(*positions.T, bins=(2, 4), range=((-0.5, 23.5), (-0.5, 39.5)))[0]
    assert counts == pytest.approx(counts.mean(), rel=0.1)
    margin = simulation.margin_px[0]
    low, high = positions.min(axis=0), positions.max(axis=0)
    assert low == pytest.approx(-0.5 - margin, abs=0.05)
    assert high == pytest.approx([23.5 + margin, 39.5 + margin], abs=0.05)


# -- records ------------------------------------------------------------------------------------------------------


def test_a_simulation_survives_a_dictionary():
    camera = Camera(pixel_size_nm=65, baseline=np.full((24, 40), 99.0), em_gain=30)
    simulation = small(camera=camera, psf=GaussianPSF(90), structure="rings", photons=700)
    values = json.loads(json.dumps(simulation.to_dict()))
    assert Simulation.from_dict(values) == simulation
    assert Simulation.from_dict({}) == Simulation()
    assert simulation.summary()["camera"]["baseline"].startswith("map (24, 40)")


WRONG = {
    "frame_shape": [(24,), (0, 40), (24.5, 40), (24, 40, 3), 24, "ab", None],
    "n_frames": [0, -1, 2.5, True, "ten"],
    "n_structures": [0, 1.5],
    "molecules": [0, "many"],
    "structure": ["filament", "", None],
    "camera": [None, Camera(), {"pixel_size_nm": 100}],
    "psf": [None, 110.0],
    "photons": [0, -5, np.nan, np.inf, "bright", True],
    "persistence_length_um": [0, -1],
    "ring_radius_nm": [0, -1],
    "width_nm": [-1, np.nan],
    "emitters_per_frame": [-1, np.inf],
    "photons_spread": [-0.1],
    "on_time_frames": [-1, np.nan],
    "min_photons": [-1, 1500, 2000],
    "background": [-1, None],
}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in WRONG.items() for v in values])
def test_an_impossible_setting_is_refused_by_name(field, value):
    with pytest.raises(InputError, match=rf"^simulation: .*{field.split('_')[0]}"):
        small(**{field: value})


def test_a_misspelt_setting_is_refused_by_name():
    with pytest.raises(InputError, match=r"simulation: unknown field 'structur'; did you mean 'structure'\?"):
        Simulation.from_dict({"structur": "rings"})
    with pytest.raises(InputError, match="camera: unknown field 'gain'"):
        Simulation.from_dict({"camera": {"gain": 3}})
    with pytest.raises(InputError, match="psf: missing field 'sigma_nm'"):
        Simulation.from_dict({"psf": {}})
    with pytest.raises(InputError, match=r"must be one of uniform, filaments, rings, got 'ring'; did you mean 'rings'"):
        small(structure="ring")


def test_maps_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"maps have shape \(40, 24\), the frames \(24, 40\)"):
        small(camera=Camera(pixel_size_nm=100, baseline=np.zeros((40, 24))))


def test_too_few_molecules_are_refused_before_the_first_piece():
    simulation = small(molecules=20, emitters_per_frame=15)
    with pytest.raises(InputError, match="20 molecules are too few for 15 emitters per frame; give at least"):
        simulate_chunks(simulation, np.random.default_rng(1))


def test_times_too_short_to_be_seen_are_refused():
    with pytest.raises(InputError, match=r"with on_time_frames 0\.001, hardly a molecule gives min_photons 700"):
        simulate(small(on_time_frames=0.001, min_photons=700), np.random.default_rng(1))


def test_a_sample_with_nothing_on_the_frame_is_refused():
    simulation = small(frame_shape=(4, 5), structure="rings", n_structures=1, ring_radius_nm=9000, emitters_per_frame=1)
    with pytest.raises(InputError, match="none of the 1000 molecules on rings lies on the frame"):
        simulate(simulation, np.random.default_rng(1))


@pytest.mark.parametrize("chunk_frames", [0, 2.5, True])
def test_a_piece_of_no_frames_is_refused(chunk_frames):
    with pytest.raises(InputError, match="chunk_frames must be a whole number from 1, got"):
        simulate_chunks(small(), np.random.default_rng(1), chunk_frames)


# -- drift, fiducials, bleaching, blinks ---------------------------------------------------------------------------


def test_the_sample_drifts_as_its_trace_says():
    drifting = small(n_frames=400, drift_nm=400.0, on_time_frames=0.0, molecules=20_000)
    steady = simulate(replace(drifting, drift_nm=0.0), np.random.default_rng(5))[1]
    moved = simulate(drifting, np.random.default_rng(5))[1]
    drift = simulated_drift(drifting, np.random.default_rng(5)) / drifting.pixel_size_nm
    assert drift.shape == (400, 2)
    assert not drift[0].any()
    assert np.abs(drift).max() > 0.5
    assert np.abs(np.diff(drift, axis=0)).max() < 0.2
    far = 12.0
    inside = {name: np.abs(t.yx - np.array(drifting.frame_shape) / 2).max(axis=1) < far - np.abs(drift).max()
              for name, t in (("steady", steady), ("moved", moved))}  # fmt: skip
    assert inside["steady"].any()
    back = {tuple(row) for row in np.column_stack([moved.frame, (moved.yx - drift[moved.frame]).round(6)]).tolist()}
    at = np.column_stack([steady.frame, steady.yx.round(6)])[inside["steady"]]
    assert np.mean([tuple(row) in back for row in at.tolist()]) > 0.99


def test_the_drift_over_movies_has_the_size_asked():
    ends = [simulated_drift(small(n_frames=300, drift_nm=100.0), np.random.default_rng(seed))[-1] for seed in range(60)]
    assert np.sqrt(np.mean(np.square(ends))) == pytest.approx(100, rel=0.25)


def test_fiducials_are_on_in_every_frame_and_marked():
    beads = small(n_frames=30, fiducials=3, fiducial_photons=5000.0, drift_nm=20.0)
    _, truth = simulate(beads, np.random.default_rng(1))
    marked = truth[truth["fiducial"] == 1]
    assert np.bincount(marked.frame).tolist() == [3] * 30
    np.testing.assert_allclose(marked["photons"], 5000)
    assert "fiducial" not in simulate(small(), np.random.default_rng(1))[1]


def test_molecules_bleach_and_their_mean_number_stays():
    fading = small(n_frames=600, bleaching_frames=150.0, emitters_per_frame=40.0, molecules=20_000)
    _, truth = simulate(fading, np.random.default_rng(2))
    rows = np.bincount(truth.frame, minlength=600)
    assert rows.mean() == pytest.approx(40, rel=0.1)
    early, late = rows[50:100].mean(), rows[350:400].mean()
    assert early / late == pytest.approx(np.exp(300 / 150), rel=0.25)


def test_a_molecule_is_dark_in_a_share_of_its_frames():
    settings = {
        "n_frames": 300,
        "on_time_frames": 20.0,
        "molecules": 20_000,
        "emitters_per_frame": 30.0,
        "min_photons": 1.0,
    }
    for dark in (0.0, 0.4):
        _, truth = simulate(small(**settings, dark_fraction=dark), np.random.default_rng(3))
        assert len(truth) / 300 == pytest.approx(30, rel=0.15)
        molecule = np.unique(truth.yx, axis=0, return_inverse=True)[1]
        order = np.lexsort([truth.frame, molecule])
        gap = np.diff(truth.frame[order])[np.diff(molecule[order]) == 0]
        assert (gap == 1).mean() == pytest.approx(1 - dark, abs=0.08)


@pytest.mark.parametrize(
    ("field", "value"),
    [("drift_nm", -1), ("fiducials", -1), ("fiducials", 1.5), ("bleaching_frames", -2), ("dark_fraction", 1)],
)
def test_an_impossible_sample_is_refused_by_name(field, value):
    with pytest.raises(InputError, match=f"simulation: {field}"):
        small(**{field: value})
