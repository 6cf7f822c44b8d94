"""The input of a model: photons with their noise, or every frame stretched from minimum to maximum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.background import rough_background
from napari_subpixel.camera import Camera

#: What frames can be turned into, by the name that a model's card gives.
SCALINGS = ("minmax", "counts")


class Optics(NamedTuple):
    """What a fit would know besides the photons.

    Attributes
    ----------
    sigma_px : float or ndarray
        Standard deviation of the point spread function, in pixels.
    variance_per_photon : float or ndarray
        Variance over mean of the recorded photons; 1 is pure shot noise, 2 that of an EMCCD.
    read_noise_photons : float or ndarray
        Standard deviation of the read noise, in photons.
    molecule_photons : float or ndarray
        Typical photons of a molecule in a frame; 0 if unknown.

    Arrays broadcast against frames (T, Y, X).
    """

    sigma_px: float | NDArray
    variance_per_photon: float | NDArray = 1.0
    read_noise_photons: float | NDArray = 0.0
    molecule_photons: float | NDArray = 0.0

    @classmethod
    def of(cls, camera: Camera, sigma_px: float, molecule_photons: float = 0.0) -> Optics:
        """Return the optics of a camera and a point spread function.

        Parameters
        ----------
        camera : Camera
        sigma_px : float
            Standard deviation of the point spread function, in pixels.
        molecule_photons : float
            Typical photons of a molecule in a frame; 0 if unknown.
        """
        return cls(sigma_px, camera.variance_per_photon, camera.read_noise_photons, molecule_photons)


def minmax(frames: NDArray) -> NDArray[np.float32]:
    """Scale every frame from its own minimum to its maximum, to 0..1; a constant frame becomes 0.

    Parameters
    ----------
    frames : ndarray, shape (T, Y, X)
        Whole frames: scale before cutting into tiles.

    Returns
    -------
    ndarray of float32, shape (T, Y, X)
    """
    frames = np.asarray(frames)
    low = frames.min(axis=(1, 2), keepdims=True).astype(np.float64)
    span = frames.max(axis=(1, 2), keepdims=True) - low
    return ((frames - low) / np.where(span > 0, span, 1.0)).astype(np.float32)


def counts(photons: NDArray, optics: Optics) -> NDArray[np.float32]:
    """Turn photons into counts with pure shot noise, along with what a fit would know of them.

    Where the variance of a pixel is F times its photons, as after electron multiplication, photons / F have the
    variance of that many counts: one kind of noise is left for every camera.

    Parameters
    ----------
    photons : ndarray, shape (T, Y, X)
        Whole frames in photons: scale before cutting into tiles.
    optics : Optics

    Returns
    -------
    ndarray of float32, shape (T, 5, Y, X)
        Counts; a rough estimate of their background; variance of the read noise, in counts; sigma, in pixels; the light
        of a typical molecule, in counts, 0 if unknown.
    """
    photons = np.asarray(photons)
    factor = np.asarray(optics.variance_per_photon, np.float32)
    planes = np.empty((len(photons), 5, *photons.shape[1:]), np.float32)
    np.divide(photons, factor, out=planes[:, 0], casting="same_kind")
    planes[:, 1] = rough_background(planes[:, 0])
    planes[:, 2] = (np.asarray(optics.read_noise_photons, np.float32) / factor) ** 2
    planes[:, 3] = np.asarray(optics.sigma_px, np.float32)
    planes[:, 4] = np.asarray(optics.molecule_photons, np.float32) / factor
    return planes


def is_constant(frames: NDArray) -> NDArray[np.bool_]:
    """Return which frames hold one value only, and so no molecule; shape (T, Y, X) to (T,)."""
    return np.asarray(frames).max(axis=(1, 2)) == np.asarray(frames).min(axis=(1, 2))
