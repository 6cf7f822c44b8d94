"""The point spread function measured on beads or molecules that stand alone: its width, and whether a Gaussian fits."""

from __future__ import annotations

from napari_subpixel.calibration.elongation import Elongation, measure_elongation
from napari_subpixel.calibration.psf_measurement import measure_psf
from napari_subpixel.calibration.spot_psf import SpotPsf

__all__ = ["Elongation", "SpotPsf", "measure_elongation", "measure_psf"]
