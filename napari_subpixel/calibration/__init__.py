"""Camera and point spread function, estimated from a movie.

microscope         `microscope_of`: what is not given of a movie's microscope, and whether what is given fits
camera_estimate    gain and baseline of the camera from any movie's noise
camera_check       a given camera compared with them
camera_misfit      whether its baseline and gain fit
emccd              whether a camera multiplies electrons, by its name or the movie's metadata
noise_growth       how the noise grows with the light, and how well the movie shows it
window_spectra     noise and molecules of small windows, by their frequencies
psf_width          width of the PSF from the spectrum of what changes
frame_pairs        the frames that these are estimated from
psf_measurement    `measure_psf`: the PSF from isolated beads or molecules
spot_psf           `SpotPsf`: its result
spot_finding       isolated spots of a movie
spot_fitting       a Gaussian fitted to each, and those of one bead linked
focus              beads of a z-stack where they are in focus
radial_profile     the mean spot compared with a Gaussian
bad_pixels         pixels of the camera that do not follow the light
bad_pixel_files    files that say which pixels these are
outlier_frames     blank frames, and those far brighter or darker than the others
static_edges       edges of the light that do not move
saturation         the top of the camera's range
frame_sample       the frames that these are found from
elongation         how elongated isolated spots are
shape_mixture      what share of noisy spots is long
plots              a picture of a measured PSF
"""

from __future__ import annotations

from napari_subpixel.calibration.elongation import Elongation, measure_elongation
from napari_subpixel.calibration.psf_measurement import measure_psf
from napari_subpixel.calibration.spot_psf import SpotPsf

__all__ = ["Elongation", "SpotPsf", "measure_elongation", "measure_psf"]
