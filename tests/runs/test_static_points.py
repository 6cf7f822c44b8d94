"""Points that never move: found where they are, reported, left out, and not confused with molecules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.calibration.static_edges import static_edges
from napari_subpixel.camera import Camera
from napari_subpixel.detection.brightness import estimate_brightness
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import DetectionJob, job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import GaussianPSF, draw_gaussians
from napari_subpixel.runs.pipeline import detect_all, detect_to_file
from napari_subpixel.runs.static_points import find_static_points, per_pixel, static_places
from napari_subpixel.stacks import open_stack

SHAPE, N = (64, 80), 40
CAMERA = Camera(100.0, 100.0, 0.5)
PSF = GaussianPSF(130.0)
Y, X = np.indices(SHAPE)


def exposed(light: np.ndarray, rng: np.random.Generator, per_frame: float = 0.0) -> np.ndarray:
    """Return a movie of a background that does not move, with molecules that blink."""
    number = int(per_frame * N)
    frame, at = rng.integers(0, N, number), rng.uniform(2, np.array(SHAPE) - 3, (number, 2))
    molecules = draw_gaussians((N, *SHAPE), frame, *at.T, np.full(number, 2000.0), 1.3)
    return CAMERA.expose(molecules + light, rng)


def points(rng: np.random.Generator, per_frame: float, **static: tuple[float, float, float]) -> Localizations:
    """Return random points, and in a share of the frames one at each of the static places."""
    number = int(per_frame * N)
    rows = [(rng.integers(0, N), *rng.uniform(0, np.array(SHAPE) - 1)) for _ in range(number)]
    for y, x, share in static.values():
        rows += [(f, y + rng.normal(0, 0.2), x + rng.normal(0, 0.2)) for f in range(N) if rng.random() < share]
    return Localizations(dict(zip(("frame", "y", "x"), np.array(rows).T, strict=True)), frame_shape=SHAPE)


@pytest.fixture(scope="module")
def fast() -> Detector:
    return Detector("fast", device="cpu")


@pytest.fixture(scope="module")
def flat(fast) -> DetectionJob:
    frames = exposed(np.full(SHAPE, 20.0), np.random.default_rng(1))
    return job_for(open_stack(frames), fast, DetectionOptions(CAMERA, psf=PSF))


def test_a_place_with_a_point_in_most_frames_is_static(flat, rng):
    table = points(rng, 5, bead=(20.4, 30.5, 0.95), site=(50, 10, 0.25))
    static = find_static_points(flat, per_pixel(table, SHAPE))
    kept = static.keep(table)
    near_bead = np.hypot(table.y - 20.4, table.x - 30.5) < 1
    assert static.number == len(table) - len(kept)
    assert 0 <= static.number - near_bead.sum() <= 3
    assert static.mask.sum() < 40
    assert static.places[0].startswith("y 20, x 3")
    assert "points (" in static.warning
    assert "fiducial beads, dirt, the edge of a field stop" in static.warning


@pytest.mark.parametrize("per_frame", [0.2, 5, 120, 300])
def test_molecules_that_blink_are_not_static_however_dense(flat, per_frame, rng):
    assert find_static_points(flat, per_pixel(points(rng, per_frame), SHAPE)).number == 0


def test_a_short_movie_shows_none(flat, rng):
    table = points(rng, 5, bead=(20, 30, 1.0)).in_frames(0, 15)
    assert find_static_points(replace(flat, frames=(0, 15)), per_pixel(table, SHAPE)).number == 0


def test_few_static_points_are_no_warning_unless_they_are_left_out(flat, rng):
    counts = per_pixel(points(rng, 100, bead=(20, 30, 1.0)), SHAPE)
    assert static_places(counts, N).any()
    assert find_static_points(flat, counts).warning == ""
    assert "and are left out: most frames have one at y 20, x 30" in find_static_points(
        replace(flat, drop_static=True), counts
    ).warning  # fmt: skip


@pytest.mark.parametrize(
    ("light", "is_edge"),
    [
        (np.where(X < 40, 20.0, 60.0), True),
        (np.where(Y < 30, 20.0, 60.0), True),
        (np.where((Y - 32) ** 2 + (X - 40) ** 2 < 25**2, 60.0, 1.0), True),
        (20 + 1.0 * X, False),
        (20 + 60 * np.exp(-((X - 40.0) ** 2) / 2 / 1.5**2), False),
        (20 + 60 * np.exp(-((X - 40.0) ** 2 + (Y - 30.0) ** 2) / 2 / 8**2), False),
        (np.full(SHAPE, 20.0), False),
    ],
    ids=["column", "row", "field stop", "slope", "line", "wide spot", "flat"],
)
def test_edges_are_steps_and_neither_slopes_nor_lines(light, is_edge, rng):
    noisy = (light + rng.normal(0, 0.5, SHAPE)).astype(np.float32)
    assert static_edges(noisy, 0.2).any() == is_edge


STEP = np.where(X < 40, 20.0, 300.0)


@pytest.fixture(scope="module")
def step() -> np.ndarray:
    from scipy import ndimage

    return exposed(ndimage.gaussian_filter(STEP, 0.5), np.random.default_rng(3), per_frame=5)


@pytest.mark.parametrize("suffix", ["csv", "hdf5", "parquet"])
def test_an_edge_is_reported_with_its_column_and_left_out_on_request(fast, step, tmp_path, suffix):
    options = DetectionOptions(CAMERA, psf=PSF)
    found = {}
    for name, drop in (("all", False), ("kept", True)):
        job = job_for(open_stack(step), fast, replace(options, drop_static=drop))
        for _ in detect_to_file(job, tmp_path / f"{name}.{suffix}"):
            pass
        found[name] = formats.read(tmp_path / f"{name}.{suffix}")
    every, kept = found["all"], found["kept"]
    noted = every.provenance["static_points"]
    (warning,) = (w for w in every.provenance["warnings"] if "never move" in w)
    assert "column 4" in warning
    assert noted["number"] > 0.1 * len(every)
    assert not noted["dropped"]
    assert len(kept) == len(every) - noted["number"]
    assert kept.provenance["static_points"] == {**noted, "dropped": True}
    assert (np.abs(kept.x - 40) > 2).all()
    in_memory = detect_all(job)
    assert np.allclose(in_memory.x, kept.x, atol=1e-3)


def test_what_is_found_at_an_edge_says_nothing_about_how_bright_molecules_are(fast):
    """Its false points hid the brightness and the significance of molecules, and so made for more."""
    shape, n = (80, 84), 160
    inside = np.hypot(*(np.indices(shape) - np.array([40, 42])[:, None, None])) < 30
    rng = np.random.default_rng(11)
    frame, at = rng.integers(0, 40, n), rng.uniform(0, 79, (2, n))
    movie = CAMERA.expose(draw_gaussians((40, *shape), frame, *at, np.full(n, 2000.0), 1.3) + 1 + 149 * inside, rng)
    job = job_for(open_stack(movie), fast, DetectionOptions(CAMERA, psf=PSF, drop_static=True))
    assert job.molecule_photons == pytest.approx(2000, rel=0.15)
    assert job.min_significance > 3.5
    spoilt = estimate_brightness(open_stack(movie), fast, CAMERA, 1.3)
    assert spoilt.photons == 0 or spoilt.photons < 1500


def test_points_some_pixels_from_an_edge_belong_to_it_where_they_are_dense_on_that_side(flat, rng):
    inside = 26 - np.hypot(Y - 32, X - 40)  # pixels from the edge of a field stop, inwards
    edges = np.abs(inside) < 1
    density = np.select([np.abs(inside) < 2, (inside > 4) & (inside < 6)], [2.0, 0.2], 0.02)
    counts = rng.poisson(density)
    static = find_static_points(replace(flat, edges=edges), counts)
    assert static.mask[(inside > 4) & (inside < 6)].all()
    assert not static.mask[(inside > 8) | (inside < -4)].any()
    assert counts[~static.mask].sum() < 0.03 * np.sum(~static.mask)
    few = find_static_points(replace(flat, edges=edges), rng.poisson(np.full(SHAPE, 0.05)))
    assert not few.mask.any()


def test_an_image_holds_what_the_table_does(fast, step, tmp_path):
    import tifffile

    job = job_for(open_stack(step), fast, DetectionOptions(CAMERA, psf=PSF, drop_static=True))
    for _ in detect_to_file(job, tmp_path / "f.csv", image=tmp_path / "f.tif"):
        pass
    table = formats.read(tmp_path / "f.csv")
    assert tifffile.imread(tmp_path / "f.tif").sum() == pytest.approx(len(table), rel=0.05)
