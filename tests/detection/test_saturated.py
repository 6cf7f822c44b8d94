"""Saturated pixels: the top of a camera's range, found from the movie, and the molecules that reach it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.calibration.frame_pairs import saturated_in_pairs
from napari_subpixel.calibration.saturation import Saturation, find_saturation, saturated_pixels
from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.detection.saturated import SATURATED, with_saturated
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.pipeline import detect_all, detect_to_file
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack

CAMERA = Camera(100.0, 100.0, 0.5)
SPARSE = Simulation(
    frame_shape=(56, 64), n_frames=30, structure="uniform", emitters_per_frame=6, photons=2000, on_time_frames=0,
    background=20.0, camera=CAMERA, psf=GaussianPSF(130.0),
)  # fmt: skip
GIVEN = DetectionOptions(CAMERA, psf=SPARSE.psf)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    frames, _ = simulate(SPARSE, np.random.default_rng(2))
    frames.flags.writeable = False
    return frames


@pytest.fixture(scope="module")
def fast() -> Detector:
    return Detector("fast", device="cpu")


def test_a_movie_below_the_top_shows_none(frames):
    assert find_saturation(frames) == Saturation(65535.0)
    assert find_saturation(frames.astype(np.float32)) == Saturation(None)
    assert find_saturation(frames, bit_depth=12) == Saturation(4095.0)
    assert find_saturation(frames.astype(np.int16)) == Saturation(32767.0)
    for background in (0.1, 1.0):
        dim = replace(SPARSE, background=background, photons=300, camera=replace(CAMERA, electrons_per_adu=4.0))
        assert find_saturation(simulate(dim, np.random.default_rng(1))[0]).text == ""
    assert find_saturation(np.zeros((3, 9, 9), np.uint16)) == Saturation(65535.0)
    assert find_saturation(np.zeros((0, 9, 9), np.uint16)) == Saturation(65535.0)


@pytest.mark.parametrize("level", [300, 450])
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_a_plateau_is_the_top(frames, level, kind):
    clipped = np.minimum(frames, level).astype(kind)
    found = find_saturation(clipped)
    assert found.level == level
    assert found.share == pytest.approx((frames >= level).mean())


def test_the_top_of_a_type_or_of_a_bit_depth_needs_few_pixels(frames):
    for bits, kind in ((8, np.uint8), (12, np.uint16), (16, np.uint16)):
        values = (frames.astype(float) - 100) / (frames.max() - 100.0) * 1.2 * 2**bits
        found = find_saturation(values.clip(0, 2**bits - 1).round().astype(kind))
        assert found.level == 2**bits - 1
        assert 0 < found.share < 1e-2
    stuck = frames.copy()
    stuck[:, 5, 5] = 65535
    assert find_saturation(stuck).share > 0
    assert find_saturation(stuck, bad=np.any(stuck == 65535, axis=0)) == Saturation(65535.0)


def test_estimates_and_marks_have_one_definition(frames):
    clipped = np.minimum(frames, 320)
    np.testing.assert_array_equal(saturated_pixels(clipped), clipped >= find_saturation(clipped).level)
    pairs = saturated_in_pairs(clipped, 15)
    np.testing.assert_array_equal(pairs, (clipped[::2] >= 320) | (clipped[1::2] >= 320))
    by_chance = frames.copy()
    by_chance[3, 5, 5] = by_chance[8, 20, 30] = frames.max() + 1
    assert not saturated_pixels(by_chance).any()


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, ""),
        (2e-6, "some pixels are saturated: 0.0002% of all are at 4095 ADU, the top of the camera's range"),
        (0.0034, "some pixels are saturated: 0.34% of all are at 4095 ADU, the top of the camera's range"),
        (
            0.35,
            "the movie is clipped: 35% of its pixels are at 4095 ADU, the top of the camera's range; what is found "
            "there is not reliable",
        ),
    ],
)
def test_it_is_said_in_a_line(share, text):
    assert Saturation(4095.0, share).text == text


def test_the_pixels_of_a_molecule_are_counted():
    pixels = np.zeros((2, 12, 14), np.uint16)
    pixels[1, 0, 0:2], pixels[1, 7, 8] = 500, 500
    table = Localizations({"frame": [10, 11, 11, 11], "y": [7, 0.2, 5.2, 3.9], "x": [8, 0.3, 8, 8]})
    marked = with_saturated(table, pixels, 10, 500, 1.3)
    assert marked[SATURATED].tolist() == [0, 2, 1, 0]
    assert with_saturated(table[:0], pixels, 10, 500, None)[SATURATED].tolist() == []


@pytest.mark.parametrize("suffix", ["csv", "hdf5", "parquet"])
def test_saturated_molecules_are_marked_counted_and_warned_of(frames, fast, tmp_path, suffix):
    level = 320
    job = job_for(open_stack(np.minimum(frames, level), name="cell"), fast, GIVEN)
    assert [warning for warning in job.warnings if "saturated" in warning]
    for _ in detect_to_file(job, tmp_path / f"f.{suffix}"):
        pass
    table = formats.read(tmp_path / f"f.{suffix}")
    peak = np.array([frames[f, y, x] for f, y, x in zip(table.frame, *table.yx.round().astype(int).T, strict=True)])
    marked = table[SATURATED] > 0
    assert marked[peak >= level].all()
    assert 0.1 < marked.mean() < 1
    n = int(marked.sum())
    assert (table.provenance["n_saturated"], table.provenance["saturation_adu"]) == (n, level)
    assert any(f"{n} of {len(table)} molecules" in warning for warning in table.provenance["warnings"])


@pytest.mark.parametrize("suffix", ["csv", "hdf5", "parquet"])
def test_a_table_of_none_has_no_such_column(frames, fast, tmp_path, suffix):
    job = job_for(open_stack(frames), fast, GIVEN)
    for _ in detect_to_file(job, tmp_path / f"f.{suffix}"):
        pass
    table = formats.read(tmp_path / f"f.{suffix}")
    assert SATURATED not in table
    assert "saturation_adu" not in table.provenance
    assert table.provenance["n_saturated"] == 0
    assert SATURATED not in detect_all(job)


def test_a_movie_clipped_everywhere_says_so(frames, fast):
    job = job_for(open_stack(np.minimum(frames, int(np.median(frames)))), fast, GIVEN)
    assert any(warning.startswith("the movie is clipped: 5") for warning in job.warnings)
