"""The shipped models for many microscopes do on test movies about what their cards say, on a part of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.models import find, read_card
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.stacks import open_stack

EMCCD, CCD = Camera(100.0, 100.0, 145.28, 1.0, 300.0), Camera(100.0, 200.0, 1.0)


@pytest.mark.parametrize("model", ["default", "fast"])
@pytest.mark.parametrize(
    ("movie", "camera", "sigma_nm", "n_frames"),
    [("deepstorm_demo1/test", EMCCD, 109.6, 40), ("nairr_2dgauss/validate_md", CCD, 108.8, 100)],
)
def test_the_scores_are_near_those_of_the_card(data_folder: Path, model, movie, camera, sigma_nm, n_frames):
    truth = formats.read(data_folder / f"{movie}_truth.csv", pixel_size_nm=100)
    with open_stack(data_folder / f"{movie}.tif") as stack:
        span = 0, n_frames
        job = job_for(
            stack,
            Detector(model, device="cpu"),
            DetectionOptions(camera, psf=GaussianPSF(sigma_nm), estimate_camera=False, frames=span),
        )
        found = detect_all(job)
    (score,) = evaluate(found, truth, (50.0,), frames=span)
    said = read_card(find(model)).figures[f"{Path(movie).stem}_jaccard_50_nm"]
    assert score.jaccard == pytest.approx(said, abs=0.03)


def test_a_real_movie_is_not_taken_for_fog(data_folder: Path):
    """Microtubules over a haze: most of what is found lies on the brighter half of the mean image."""
    with open_stack(data_folder / "real" / "tubulins_alexa647_400frames.tif") as stack:
        found = detect_all(
            job_for(stack, Detector(device="cpu"), DetectionOptions(Camera(65.0, 99.0, 1 / 0.6), frames=(100, 130)))
        )
        mean = stack[:].mean(axis=0)
    y, x = np.rint(found.y).astype(int), np.rint(found.x).astype(int)
    inside = (y >= 0) & (y < 70) & (x >= 0) & (x < 70)
    assert (mean[y[inside], x[inside]] > np.quantile(mean, 0.5)).mean() > 0.8
    assert 50 < len(found) / 30 < 160
