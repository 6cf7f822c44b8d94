"""The point spread function measured on beads or molecules that stand alone: its width, and whether a Gaussian fits."""

from __future__ import annotations

from napari_subpixel.calibration.elongation import Elongation, elongation_of, measuring_elongation
from napari_subpixel.calibration.psf_measurement import measure_psf, measuring_psf
from napari_subpixel.calibration.spot_psf import SpotPsf

__all__ = ["Elongation", "SpotPsf", "elongation_of", "measure_psf", "measuring_elongation", "measuring_psf"]
