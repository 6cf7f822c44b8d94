"""How movies are detected: what the options take, and what of them a movie fills in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import InputError
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.batch import detect_batch
from napari_subpixel.stacks import open_stack


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"camera": "Andor"}, "camera: expected Camera, got 'Andor'"),
        ({"psf": 130.0}, "psf: expected .*GaussianPSF.*, got 130.0"),
        ({"estimate_camera": "yes"}, "estimate_camera: expected bool.*, got 'yes'"),
        (
            {"estimate_camera": ("gain",)},
            r"expected some of baseline, electrons_per_adu, got \('gain',\)",
        ),
        ({"frames": 5}, r"frames: expected \(first, one after the last\), got 5"),
        ({"frames": (1, 2, 3)}, "frames: expected"),
        ({"frames": (0.5, 3)}, "frames: expected"),
        ({"frames": (-3, None)}, "frames -3: hold none: they count from 0"),
        ({"frames": (5, 3)}, "frames 5:3 hold none"),
        ({"frames": (None, 0)}, "frames 0:0 hold none"),
        ({"molecule_photons": "many"}, "options: molecule_photons must be a number, got 'many'"),
        ({"molecule_photons": -1}, "options: molecule_photons must be 0 or more, got -1"),
        ({"roi": (0, 10)}, r"roi: expected \(\(y0, y1\), \(x0, x1\)\) in pixels, got \(0, 10\)"),
        ({"roi": ((0, 10.5), (0, 20))}, "roi: expected"),
    ],
)
def test_options_of_another_kind_are_refused(options, why):
    with pytest.raises(InputError, match=why):
        DetectionOptions(**options)


@pytest.mark.parametrize(
    ("frames", "span"), [(None, (0, 30)), ((4, None), (4, 30)), ((None, 9), (0, 9)), ((4, 9), (4, 9))]
)
def test_open_ends_are_the_movies_own(frames, span):
    assert DetectionOptions(frames=frames).span(30) == span


def test_whole_numbers_of_numpy_become_pythons():
    options = DetectionOptions(frames=tuple(np.arange(2, 4)), roi=np.array([[0, 8], [1, 9]]))
    assert (options.frames, options.roi) == ((2, 3), ((0, 8), (1, 9)))
    assert {type(end) for end in (*options.frames, *options.roi[0], *options.roi[1])} == {int}


def test_what_the_camera_lacks_is_estimated_unless_told_otherwise():
    bare, known = Camera(pixel_size_nm=100, em_gain=300.0), Camera(baseline=90)
    assert DetectionOptions(bare).estimated == ("baseline", "electrons_per_adu")
    assert DetectionOptions(known).estimated == ("electrons_per_adu",)
    assert DetectionOptions(Camera(baseline=90, electrons_per_adu=0.5)).estimated == ()
    assert DetectionOptions(bare, estimate_camera=False).estimated == ()
    assert DetectionOptions(known, estimate_camera=True).estimated == ("baseline", "electrons_per_adu")
    assert DetectionOptions(known, estimate_camera=("baseline",)).estimated == ("baseline",)


def test_a_camera_in_the_place_of_the_options_is_refused_with_what_to_write():
    stack, detector = open_stack(np.zeros((2, 20, 24), np.uint16)), Detector("paper", device="cpu")
    with pytest.raises(InputError, match=r"expected DetectionOptions, such as DetectionOptions\(camera\), got Camera"):
        job_for(stack, detector, Camera())
    with pytest.raises(InputError, match="expected DetectionOptions"):
        next(detect_batch([], detector, GaussianPSF(130.0)))


def test_a_job_has_the_frames_and_the_region_of_the_options():
    stack, detector = open_stack(np.zeros((5, 20, 24), np.uint16)), Detector("paper", device="cpu")
    options = DetectionOptions(Camera(pixel_size_nm=100), frames=(2, None), roi=((0, 10), (4, 20)))
    job = job_for(stack, detector, options)
    assert (job.camera, job.span, job.roi) == (options.camera, (2, 5), options.roi)
    assert job_for(stack, detector, replace(options, frames=None)).span == (0, 5)


def test_options_are_made_without_torch():
    code = "import sys, napari_subpixel as ns; ns.DetectionOptions(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
