"""Fragments of one molecule become one; two molecules stay two."""

from __future__ import annotations

import re

import numpy as np
import pytest

from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.fragments import join_fragments
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.detection.points import MeasuredPoints
from napari_subpixel.psf import GaussianPSF, add_gaussians
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.stacks import open_stack

CAMERA = Camera(100.0, 100.0, 0.5)


def points(frame: list[int], y: list[float], counts: list[float]) -> MeasuredPoints:
    some = np.ones(len(y))
    probability = np.linspace(0.6, 0.9, len(y))
    light = np.array(counts, float)
    return MeasuredPoints(np.array(frame), np.array(y), 5 * some, probability, light, 20 * some, 0.1 * some, 0.2 * some)


def test_points_that_share_the_light_of_one_molecule_are_one_at_their_centre_of_light():
    one = join_fragments(points([3, 3, 3], [10.0, 12.0, 13.5], [300.0, 300.0, 500.0]), 1.3, 1000)
    assert (len(one), one.frame[0]) == (1, 3)
    assert one.y[0] == pytest.approx((3000 + 3600 + 6750) / 1100)
    assert (one.molecule_counts[0], one.probability[0]) == pytest.approx((1100, 0.9))
    assert (one.y_uncertainty[0], one.x_uncertainty[0]) == pytest.approx((0.1, 0.2))


@pytest.mark.parametrize(
    ("frame", "y", "counts"),
    [
        ([3, 3], [10.0, 12.0], [900.0, 900.0]),  # two whole molecules
        ([3, 4], [10.0, 12.0], [500.0, 500.0]),  # of two frames
        ([3, 3], [10.0, 15.0], [500.0, 500.0]),  # far apart
        ([3], [10.0], [500.0]),
        ([], [], []),
    ],
)
def test_others_stay_as_they_are(frame, y, counts):
    same = join_fragments(points(frame, y, counts), 1.3, 1000)
    assert (same.y.tolist(), same.molecule_counts.tolist()) == (y, counts)


def test_the_nearest_are_joined_first():
    joined = join_fragments(points([0, 0, 0], [10.0, 12.5, 14.0], [600.0, 500.0, 500.0]), 1.3, 1000)
    assert joined.molecule_counts.tolist() == [600, 1000]


def test_a_long_bright_spot_is_about_one_molecule_where_its_photons_are_given(rng):
    n_frames, at = 4, np.mgrid[15:100:28, 15:100:28].reshape(2, -1).T
    y, x = (np.tile(at, (n_frames, 1)) + rng.uniform(-2, 2, (n_frames * len(at), 2))).T
    light = np.zeros((n_frames, 112, 116), np.float32)
    photons = 13_500 * np.exp(0.2 * rng.normal(size=len(y)))
    frame = np.repeat(np.arange(n_frames), len(at))
    # Twice as long as wide, along a diagonal.
    for step in np.linspace(-2.5, 2.5, 11):
        width, share = np.full(len(y), 1.06), np.exp(-0.5 * step**2) / 5.0
        add_gaussians(light, frame, y + 1.3 * step, x + 1.3 * step, share * photons, width, width)
    movie = open_stack(CAMERA.expose(light + 30, rng))
    detector = Detector(device="cpu")
    found = {}
    for given in (0.0, 13_500.0):
        options = DetectionOptions(CAMERA, psf=GaussianPSF(150), estimate_camera=False, molecule_photons=given)
        job = job_for(movie, detector, options)
        found[given] = detect_all(job)
        (caution,) = job.cautions
        assert ("are joined" in caution) == bool(given)
        if not given:
            photons = re.search(r"giving the photons of one molecule \(about ([\d,]+) here\) helps$", caution)[1]
            assert float(photons.replace(",", "")) == pytest.approx(13_500, rel=0.15)
    assert len(found[0.0]) > 1.6 * len(y)
    assert 0.9 * len(y) < len(found[13_500.0]) < 1.3 * len(y)
    assert found[13_500.0].provenance["joins_fragments"]
    assert np.median(found[13_500.0]["photons"]) == pytest.approx(13_500, rel=0.15)
