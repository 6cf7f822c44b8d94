"""Training samples from a movie with truth: crops of it, stretched from minimum to maximum or in counts."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import home_pixel, within_frame
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.models.input_scaling import Optics, counts, minmax
from napari_subpixel.training.scenes import BRIGHTNESS_KNOWN
from napari_subpixel.training.simulated_samples import Batch, padded, padded_light

#: A truth fits its movie where frames are brighter at their own points than elsewhere by this many standard errors.
MIN_CONTRAST_ERRORS = 4.0
#: Frames in which this is checked, at most.
COMPARED_FRAMES = 20
#: Elsewhere is farther than this from all points of the frame.
NEAR_PX = 2.0
#: With fewer points it is not checked.
MIN_POINTS = 50
#: What positions (y, x) are multiplied by where rows are mirrored.
_MIRROR_Y = np.array([-1, 1], np.float32)
#: What they are multiplied by where columns are mirrored.
_MIRROR_X = np.array([1, -1], np.float32)


class MovieSamples:
    """Random crops of a movie with truth, each scaled from its own minimum to its maximum, as in Deep-STORM.

    Parameters
    ----------
    movie : ndarray, shape (T, Y, X)
        Frames in ADU.
    truth : Localizations
        True points of these frames.
    crops_per_frame : int
        Random crops per frame, drawn once.
    crop_px : int
        Height and width of a crop.
    augment : bool
        Whether each draw turns and mirrors a crop at random.
    dimming : float
        Each draw multiplies the scaled crop by a random number from ``1 - dimming`` to 1, as if something brighter
        were elsewhere in its frame: a whole frame is scaled by its brightest spot, which on crowded structures is
        brighter than any in a crop of scattered molecules.
    rng : numpy.random.Generator
    """

    def __init__(
        self,
        movie: NDArray,
        truth: Localizations,
        *,
        crops_per_frame: int = 500,
        crop_px: int = 26,
        augment: bool = False,
        dimming: float = 0.0,
        rng: np.random.Generator,
    ) -> None:
        for name, value in (("crop_px", crop_px), ("crops_per_frame", crops_per_frame)):
            if value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        check_movie_with_truth(movie, truth)
        if min(movie.shape[1:]) < crop_px:
            raise InputError(f"expected a (T, Y, X) movie of at least {crop_px} px a side, got shape {movie.shape}")
        if not 0 <= dimming < 1:
            raise InputError(f"dimming must be at least 0 and below 1, got {dimming:g}")
        self.augment, self.dimming = augment, dimming
        frame = np.repeat(np.arange(len(movie)), crops_per_frame)
        corner = rng.integers(0, np.array(movie.shape[1:]) - crop_px + 1, (len(frame), 2))
        windows = np.lib.stride_tricks.sliding_window_view(movie, (crop_px, crop_px), axis=(1, 2))
        self.frames = torch.from_numpy(minmax(windows[frame, corner[:, 0], corner[:, 1]]))
        of_frame = [truth.yx[truth.frame == t] for t in range(len(movie))]
        self.points = [_points_of_crop(of_frame[t], c, crop_px) for t, c in zip(frame, corner, strict=True)]

    def batch(self, size: int, rng: np.random.Generator) -> Batch:
        """Draw crops at random."""
        chosen = rng.integers(0, len(self.frames), size)
        frames, points = self.frames[chosen], [self.points[i] for i in chosen]
        if self.augment:
            turned = [turn(f, p, int(k)) for f, p, k in zip(frames, points, rng.integers(0, 8, size), strict=True)]
            frames, points = torch.stack([f for f, _ in turned]), [p for _, p in turned]
        if self.dimming:
            frames = frames * torch.from_numpy(1 - self.dimming * rng.random((size, 1, 1), np.float32))
        return Batch(frames[:, None], *padded(points))

    def input_moments(self) -> tuple[float, float]:
        """Mean and standard deviation over all crops, undimmed."""
        return float(self.frames.mean()), float(self.frames.std())


class MovieCounts:
    """Random crops of a movie with truth, in counts with their noise, turned and mirrored at random.

    Parameters
    ----------
    movie : ndarray, shape (T, Y, X)
        Frames in ADU.
    truth : Localizations
        True points of these frames; where they have ``photons``, light is learned too.
    camera : Camera
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    molecule_photons : float
        Photons of a typical molecule in a frame, by which most samples are conditioned; 0 where they are not known.
    crop_px : int
        Height and width of a crop; that of the frame where it is smaller.
    """

    def __init__(
        self,
        movie: NDArray,
        truth: Localizations,
        camera: Camera,
        *,
        sigma_px: float,
        molecule_photons: float = 0.0,
        crop_px: int = 48,
    ) -> None:
        check_movie_with_truth(movie, truth)
        if crop_px < 4:
            raise InputError(f"crop_px must be at least 4, got {crop_px}")
        camera.check_fits(movie.shape[1:])
        self.movie, self.camera, self.sigma_px, self.molecule_photons = movie, camera, sigma_px, molecule_photons
        self.crop_px = min(crop_px, *movie.shape[1:])
        light = truth["photons"] / camera.variance_per_photon if "photons" in truth else None
        rows = [truth.frame == t for t in range(len(movie))]
        self.points = [truth.yx[row] for row in rows]
        self.light = None if light is None else [light[row] for row in rows]

    def batch(self, size: int, rng: np.random.Generator) -> Batch:
        """Draw crops at random."""
        frames, points, light = [], [], []
        for t in rng.integers(0, len(self.movie), size).tolist():
            corner = rng.integers(0, np.array(self.movie.shape[1:]) - self.crop_px + 1)
            y, x = (self.points[t] - corner).T
            inside = within_frame(y, x, (self.crop_px, self.crop_px))
            scaled = torch.from_numpy(self._counts(t, corner, conditioned=rng.random() < BRIGHTNESS_KNOWN))
            local = (self.points[t][inside] - corner).astype(np.float32)
            frame, local = turn(scaled, local, int(rng.integers(0, 8)))
            frames.append(frame)
            points.append(local)
            light.append(np.ones(0) if self.light is None else self.light[t][inside])
        truth, weights = padded(points)
        return Batch(torch.stack(frames), truth, weights, None if self.light is None else padded_light(light))

    def _counts(self, t: int, corner: NDArray[np.int64], *, conditioned: bool) -> NDArray[np.float32]:
        """Return one crop in counts, shape (planes, crop_px, crop_px)."""
        rows, columns = (slice(int(c), int(c) + self.crop_px) for c in corner)
        camera = self.camera.crop(rows, columns)
        optics = Optics.of(camera, self.sigma_px, self.molecule_photons if conditioned else 0.0)
        return counts(camera.to_photons(self.movie[t : t + 1, rows, columns]), optics)[0]

    def input_moments(self) -> tuple[float, float]:
        """Nothing to standardise by: the network scales its own input."""
        return 0.0, 1.0


def check_movie_with_truth(movie: NDArray, truth: Localizations) -> None:
    """Raise `InputError` where a movie and its truth, shape (T, Y, X) and its points, do not fit each other."""
    if movie.ndim != 3:
        raise InputError(f"expected a (T, Y, X) movie, got shape {movie.shape}")
    if not len(truth):
        raise InputError("the truth has no rows: nothing to learn from")
    if truth.frame.max() >= len(movie):
        raise InputError(f"the truth names frame {truth.frame.max()}, the movie has {len(movie)} frames")
    inside = within_frame(truth.y, truth.x, movie.shape[1:])
    if 2 * inside.sum() < len(truth):
        (y, x), (height, width) = np.median(truth.yx, axis=0), movie.shape[1:]
        raise InputError(
            f"the truth does not fit the movie: {len(truth) - inside.sum()} of its {len(truth)} points lie outside the "
            f"frames; they are around ({y:.0f}, {x:.0f}) px, the frames have {height} x {width}; is the pixel "
            "size right?"
        )
    contrast = _contrast(movie, truth.select(inside))
    if len(contrast) >= MIN_POINTS and contrast.mean() < MIN_CONTRAST_ERRORS * contrast.std() / np.sqrt(len(contrast)):
        raise InputError(
            "the truth does not fit the movie: the frames are not brighter where it has molecules than elsewhere; are "
            "the numbers of its frames, its pixel size and the order of its axes right?"
        )


def _contrast(movie: NDArray, truth: Localizations) -> NDArray[np.float64]:
    """Return how much brighter some frames are at their own points than at those of another, shape (K,).

    Points of the other frame that lie near any of the frame's own do not count; frames without such are left out.
    """
    from scipy.spatial import cKDTree

    differences = []
    numbers = np.unique(truth.frame)
    for k in np.linspace(0, len(numbers) - 1, min(len(numbers), COMPARED_FRAMES)).astype(int):
        frame, other = movie[numbers[k]], truth.yx[truth.frame == numbers[k - 1]]
        points = truth.yx[truth.frame == numbers[k]]
        if len(numbers) == 1:
            other = np.argwhere(np.ones(frame.shape))
        elsewhere = other[cKDTree(points).query(other)[0] > NEAR_PX]
        if len(elsewhere):
            differences.append(_values_at(frame, points) - _values_at(frame, elsewhere).mean())
    return np.concatenate(differences) if differences else np.empty(0)


def _values_at(frame: NDArray, yx: NDArray) -> NDArray[np.float64]:
    y, x = home_pixel(yx).T
    return frame[y, x].astype(np.float64)


def _points_of_crop(yx: NDArray, corner: NDArray, crop_px: int) -> NDArray[np.float32]:
    local = yx - corner
    return local[within_frame(local[:, 0], local[:, 1], (crop_px, crop_px))].astype(np.float32)


def turn(frame: Tensor, points: NDArray[np.float32], way: int) -> tuple[Tensor, NDArray[np.float32]]:
    """Turn or mirror a square frame and its points in one of the eight ways of its symmetry.

    Parameters
    ----------
    frame : Tensor, shape (..., n, n)
    points : ndarray of float32, shape (N, 2)
        y and x in pixels.
    way : int
        From 0, as it is, to 7.

    Returns
    -------
    frame : Tensor, shape (..., n, n)
    points : ndarray of float32, shape (N, 2)
    """
    last = frame.shape[-1] - 1
    if way & 1:
        frame, points = frame.flip(-2), points * _MIRROR_Y + np.array([last, 0], np.float32)
    if way & 2:
        frame, points = frame.flip(-1), points * _MIRROR_X + np.array([0, last], np.float32)
    if way & 4:
        frame, points = frame.transpose(-2, -1), points[:, ::-1]
    return frame, points
