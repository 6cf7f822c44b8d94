"""Bad pixels interpolated, and what that leaves of the molecules near them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.calibration.bad_pixels import BadPixels
from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.mending import Mending, mended
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import InputError
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.psf import GaussianPSF, draw_gaussians
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack

SHAPE = (20, 26)
SPARSE = Simulation(
    frame_shape=(64, 72), n_frames=50, structure="uniform", emitters_per_frame=9, photons=2000, on_time_frames=0,
    background=20.0, camera=Camera(100.0, 100.0, 0.5), psf=GaussianPSF(130.0),
)  # fmt: skip
#: Four bad pixels, in the middle and at the edges.
SPOILT = {(30, 40): 65535, (31, 40): 65535, (12, 20): 0, (0, 50): 180}


def mask_of(*places: tuple[int, int] | int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    for place in places:
        mask[place] = True
    return mask


@pytest.mark.parametrize(
    "mask",
    [mask_of((9, 12)), mask_of(9), mask_of((0, 0)), mask_of((9, 12), (9, 13), (10, 12), (10, 13)), mask_of(8, 9)],
)
def test_light_is_interpolated_to_within_its_noise(mask, rng):
    y, x = rng.uniform(3, 15, 20), rng.uniform(3, 22, 20)
    light = draw_gaussians((20, *SHAPE), np.arange(20), y, x, np.full(20, 2000.0), 1.3) + 20
    spoilt = np.where(mask, 60_000, light)
    mended_light = Mending(BadPixels.of_mask(mask)).mend(spoilt)
    assert np.array_equal(mended_light[:, ~mask], light[:, ~mask])
    error = (mended_light - light)[:, mask]
    assert np.sqrt((error**2 / light[:, mask]).mean()) < 2.5  # of the noise's standard deviation
    even = Mending(BadPixels.of_mask(mask)).mend(np.full((1, *SHAPE), 130, np.uint16))
    assert (even == 130).all()


def test_a_frame_is_mended_alike_in_every_part_and_type(rng):
    mask = mask_of((3, 4), 9, (15, 25))
    mending = Mending(BadPixels.of_mask(mask))
    frames = rng.integers(90, 400, (7, *SHAPE)).astype(np.uint16)
    whole = mending.mend(frames)
    assert whole.dtype == np.uint16
    assert np.array_equal(whole[3:5], mending.mend(frames[3:5]))
    stack = mended(open_stack(frames), BadPixels.of_mask(mask))
    assert np.array_equal(stack[2:4, 5:12, 3:], whole[2:4, 5:12, 3:])
    assert stack.fingerprint() != open_stack(frames).fingerprint()


def test_a_movie_without_bad_pixels_is_itself():
    stack = open_stack(np.zeros((2, *SHAPE), np.uint16))
    assert mended(stack, None) is stack
    assert mended(stack, BadPixels.none(SHAPE)) is stack


@pytest.fixture(scope="module")
def fast() -> Detector:
    return Detector("fast", device="cpu")


@pytest.fixture(scope="module")
def spoilt_and_truth():
    frames, truth = simulate(SPARSE, np.random.default_rng(8))
    for place, value in SPOILT.items():
        frames[(slice(None), *place)] = value
    return frames, truth


@pytest.mark.parametrize("given", [False, True], ids=["estimated", "given"])
def test_only_molecules_on_a_bad_pixel_are_lost(fast, spoilt_and_truth, given):
    frames, truth = spoilt_and_truth
    options = DetectionOptions(SPARSE.camera, psf=SPARSE.psf) if given else DetectionOptions(Camera(100.0))
    job = job_for(open_stack(frames), fast, options)
    assert {tuple(place) for place in np.argwhere(job.bad_pixels.mask)} == set(SPOILT)
    assert job.camera.baseline == pytest.approx(100, abs=10)
    assert job.camera.electrons_per_adu == pytest.approx(0.5, rel=0.2)
    table = detect_all(job)
    result = evaluate(table, truth, tolerances_nm=[100])
    (match,) = result.matches
    assert match.recall > 0.95
    assert match.precision > 0.95
    for y, x in SPOILT:
        near = lambda t, reach, y=y, x=x: np.hypot(t.y - y, t.x - x) < reach  # noqa: E731
        assert near(table, 8).sum() == pytest.approx(near(truth, 8).sum(), abs=2)
        assert near(table, 1).sum() <= near(truth, 1.5).sum()
    assert table.provenance["bad_pixels"]["number"] == len(SPOILT)
    assert job.assumed[0].startswith("bad pixels, interpolated: 4 stuck")


def test_part_of_a_movie_has_the_same_bad_pixels(fast, spoilt_and_truth):
    frames, _ = spoilt_and_truth
    whole = detect_all(job_for(open_stack(frames), fast, DetectionOptions(SPARSE.camera, psf=SPARSE.psf)))
    options = DetectionOptions(SPARSE.camera, psf=SPARSE.psf, frames=(10, 14), roi=((5, 40), (20, 60)))
    part = detect_all(job_for(open_stack(frames), fast, options))
    assert part.provenance["bad_pixels"] == whole.provenance["bad_pixels"]
    same = whole.in_frames(10, 14)
    same = same[(same.y > 4.5) & (same.y < 39.5) & (same.x > 19.5) & (same.x < 59.5)]
    assert np.allclose(part.yx, same.yx, atol=1e-3)


def test_pixels_are_kept_or_given(fast, spoilt_and_truth):
    stack = open_stack(spoilt_and_truth[0])
    camera = SPARSE.camera
    kept = job_for(stack, fast, DetectionOptions(camera, psf=SPARSE.psf, bad_pixels=False))
    assert kept.movie is stack
    assert kept.provenance["bad_pixels"] == {"source": "kept", "number": 0, "places": []}
    given = job_for(stack, fast, DetectionOptions(camera, psf=SPARSE.psf, bad_pixels=[(30, np.int64(40)), (31, 40)]))
    assert given.provenance["bad_pixels"]["places"] == ["y 30, x 40", "y 31, x 40"]
    with pytest.raises(InputError, match="row 64, column 0 lies outside"):
        job_for(stack, fast, DetectionOptions(camera, psf=SPARSE.psf, bad_pixels=[(64, 0)]))
    with pytest.raises(InputError, match="bad_pixels: expected True, False or rows and columns, got 5"):
        DetectionOptions(bad_pixels=5)


def test_a_model_that_needs_no_camera_has_them_mended_too(spoilt_and_truth):
    job = job_for(open_stack(spoilt_and_truth[0]), Detector("paper", device="cpu"))
    assert job.bad_pixels.number == len(SPOILT)
    assert job.movie[0].max() < 65535
