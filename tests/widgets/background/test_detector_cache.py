"""The microscope is estimated once per movie, for every job over it."""

from __future__ import annotations

import numpy as np

from napari_subpixel._util.generators import exhausted
from napari_subpixel.camera import Camera
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.psf import add_gaussians
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.background.detector_cache import DetectorChoice, preparing_job


def test_a_job_of_the_widgets_knows_what_one_of_the_command_line_knows(rng):
    """Elongated spots, so that there is something to warn of too."""
    frame = np.repeat(np.arange(8), 9)
    y, x = (np.tile(grid.ravel(), 8) + rng.uniform(-2, 2, 72) for grid in np.mgrid[15:90:30, 15:90:30])
    light = np.zeros((8, 92, 96), np.float32)
    add_gaussians(light, frame, y, x, np.full(72, 1500.0), np.full(72, 1.1), np.full(72, 2.0))
    stack = open_stack(rng.poisson(light + 10).astype(np.uint16))
    camera = Camera(pixel_size_nm=100)
    detector = DetectorChoice("fast", "cpu", 0.05).load()
    known = job_for(stack, detector, DetectionOptions(camera))
    first, again = (
        exhausted(preparing_job("a movie", stack, detector, DetectionOptions(camera, frames=(0, n)))) for n in (8, 3)
    )
    assert known.cautions
    for job in (first, again):
        for name in ("camera", "sigma_px", "molecule_photons", "assumed", "cautions"):
            assert getattr(job, name) == getattr(known, name), name
    assert (first.frames, again.frames) == ((0, 8), (0, 3))
