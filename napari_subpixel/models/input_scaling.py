"""What a model wants its input to be: photons with their noise, or every frame stretched from minimum to maximum."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.camera import Camera

#: Blocks in which the background is estimated are at least this wide, in pixels.
BLOCK_PX = 16
#: The share of a block's pixels that are taken to be darker than its background.
DARK_SHARE = 0.25


class Optics(NamedTuple):
    """What a fit would know beside the photons.

    Attributes
    ----------
    sigma_px : float or ndarray
        Standard deviation of the point spread function, in pixels.
    variance_per_photon : float or ndarray
        Variance over mean of the recorded photons; 1 is pure shot noise, 2 that of an EMCCD.
    read_noise_photons : float or ndarray
        Standard deviation of the read noise, in photons.
    molecule_photons : float or ndarray
        What a usual molecule gives in a frame; 0 where it is not known.

    Arrays broadcast against frames (T, Y, X).
    """

    sigma_px: float | NDArray
    variance_per_photon: float | NDArray = 1.0
    read_noise_photons: float | NDArray = 0.0
    molecule_photons: float | NDArray = 0.0

    @classmethod
    def of(cls, camera: Camera, sigma_px: float, molecule_photons: float = 0.0) -> Optics:
        """Return the optics of a camera and a point spread function."""
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
    """Turn photons into counts whose shot noise is that of pure light, beside what a fit would know of them.

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
        of a usual molecule, in counts, 0 where it is not known.
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


def rough_background(frames: NDArray) -> NDArray[np.float32]:
    """Estimate the background of every frame: what a share `DARK_SHARE` of the pixels round about falls below.

    It follows slopes wider than `BLOCK_PX`, and lies too high where molecules crowd.

    Parameters
    ----------
    frames : ndarray, shape (T, Y, X)

    Returns
    -------
    ndarray of float32, shape (T, Y, X)
    """
    frames = np.asarray(frames, np.float32)
    rows, columns = (_blocks(size) for size in frames.shape[1:])
    smooth = _mean_of_three(_mean_of_three(frames, 1), 2)
    coarse = np.empty((len(frames), len(rows) - 1, len(columns) - 1), np.float32)
    for i, (top, bottom) in enumerate(itertools.pairwise(rows.tolist())):
        for k, (left, right) in enumerate(itertools.pairwise(columns.tolist())):
            block = smooth[:, top:bottom, left:right].reshape(len(frames), -1)
            rank = int(DARK_SHARE * (block.shape[1] - 1))
            coarse[:, i, k] = np.partition(block, rank, axis=1)[:, rank]
    return _between_middles(columns, frames.shape[2], _between_middles(rows, frames.shape[1], coarse, 1), 2)


def is_constant(frames: NDArray) -> NDArray[np.bool_]:
    """Say which frames hold one value only, and so no molecule; shape (T, Y, X) to (T,)."""
    return np.asarray(frames).max(axis=(1, 2)) == np.asarray(frames).min(axis=(1, 2))


def _blocks(size: int) -> NDArray[np.int64]:
    """Return the edges of blocks of nearly equal width."""
    return np.linspace(0, size, max(1, size // BLOCK_PX) + 1).round().astype(np.int64)


def _mean_of_three(frames: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Average each pixel with its two neighbours along an axis; the border counts twice."""
    ends = [(1, 1) if k == axis else (0, 0) for k in range(3)]
    padded = np.moveaxis(np.pad(frames, ends, mode="edge"), axis, -1)
    return np.moveaxis((padded[..., :-2] + padded[..., 1:-1] + padded[..., 2:]) / np.float32(3), -1, axis)


def _between_middles(
    edges: NDArray[np.int64], size: int, coarse: NDArray[np.float32], axis: int
) -> NDArray[np.float32]:
    """Interpolate the values of blocks to pixels along an axis: linearly between their middles, flat beyond."""
    middles = (edges[:-1] + edges[1:] - 1) / 2
    place = np.interp(np.arange(size), middles, np.arange(len(middles)))
    low = np.minimum(place.astype(np.int64), max(len(middles) - 2, 0))
    share = (place - low).astype(np.float32).reshape([-1 if k == axis else 1 for k in range(3)])
    high = np.minimum(low + 1, len(middles) - 1)
    return coarse.take(low, axis) * (1 - share) + coarse.take(high, axis) * share


#: What frames can be turned into, by the name that a model's card gives.
SCALINGS = ("minmax", "counts")
