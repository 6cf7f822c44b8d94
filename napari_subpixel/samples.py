"""Training samples: small frames with their true points, cut from a movie with truth or simulated without end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_subpixel.coordinates import within_frame
from napari_subpixel.domain import Domain
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.scaling import minmax
from napari_subpixel.scenes import draw_scene, expose
from napari_subpixel.simulate import Simulation, simulate

_MIRROR_Y, _MIRROR_X = np.array([-1, 1], np.float32), np.array([1, -1], np.float32)


class Batch(NamedTuple):
    """What a network is trained on.

    Attributes
    ----------
    frames : Tensor, shape (B, planes, h, w)
        Frames as the network wants them.
    truth : Tensor, shape (B, M, 2)
        True points, in pixels.
    weights : Tensor, shape (B, M, 1)
        1 for a point, 0 for padding.
    light : Tensor, shape (B, M), optional
        Light of the true points, in the units of the frames.
    background : Tensor, shape (B, h, w), optional
        True background, in the units of the frames.
    """

    frames: Tensor
    truth: Tensor
    weights: Tensor
    light: Tensor | None = None
    background: Tensor | None = None

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        measured = (None if t is None else t.to(device) for t in (self.light, self.background))
        return Batch(self.frames.to(device), self.truth.to(device), self.weights.to(device), *measured)


class Samples(Protocol):
    """Where training takes its batches from."""

    def batch(self, size: int, rng: np.random.Generator) -> Batch:
        """Draw `size` samples; the same generator state gives the same samples."""
        ...

    def input_moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the scaled input, the fixed numbers that standardise it."""
        ...


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
        stood elsewhere in its frame: a whole frame is scaled by its brightest spot, which on crowded structures is
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
        if movie.ndim != 3 or min(movie.shape[1:]) < crop_px:
            raise InputError(f"expected a (T, Y, X) movie of at least {crop_px} px a side, got shape {movie.shape}")
        if not len(truth):
            raise InputError("the truth has no rows: nothing to learn from")
        if truth.frame.max() >= len(movie):
            raise InputError(f"the truth names frame {truth.frame.max()}, the movie has {len(movie)} frames")
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


class SimulatedSamples:
    """Frames simulated afresh for every batch, each scaled from its own minimum to its maximum.

    Parameters
    ----------
    simulation : Simulation
        Sample and optics. Its number of emitters per frame is that of its own frame shape; samples have the same
        density. Each emitter is seen in one frame only if its mean time on is 0, which samples always use.
    crop_px : int
        Height and width of a sample.
    """

    def __init__(self, simulation: Simulation, *, crop_px: int = 26) -> None:
        if crop_px < 1:
            raise InputError(f"crop_px must be at least 1, got {crop_px}")
        if simulation.camera.map_shape and min(simulation.camera.map_shape) < crop_px:
            raise InputError(f"the camera's maps {simulation.camera.map_shape} are smaller than crop_px {crop_px}")
        self.simulation, self.crop_px = simulation, crop_px
        self.density = simulation.emitters_per_frame / np.prod(simulation.frame_shape)

    def batch(self, size: int, rng: np.random.Generator) -> Batch:
        """Simulate new frames."""
        movie, truth = simulate(self._sample(size, rng), rng)
        points = [truth.yx[truth.frame == t].astype(np.float32) for t in range(size)]
        return Batch(torch.from_numpy(minmax(movie))[:, None], *padded(points))

    def input_moments(self) -> tuple[float, float]:
        """Mean and standard deviation over 256 frames of a fixed seed."""
        frames = self.batch(256, np.random.default_rng(0)).frames
        return float(frames.mean()), float(frames.std())

    def _sample(self, size: int, rng: np.random.Generator) -> Simulation:
        camera = self.simulation.camera
        if camera.map_shape:
            corner = rng.integers(0, np.array(camera.map_shape) - self.crop_px + 1)
            camera = camera.crop(*(slice(int(c), int(c) + self.crop_px) for c in corner))
        emitters = self.density * self.crop_px**2
        return replace(
            self.simulation,
            camera=camera,
            frame_shape=(self.crop_px, self.crop_px),
            n_frames=size,
            emitters_per_frame=emitters,
            on_time_frames=0.0,
            molecules=max(self.simulation.molecules, int(20 * emitters)),
        )


class DomainSamples:
    """Frames of ever other microscopes and samples, simulated afresh for every batch, in counts with their noise.

    Half of the samples show filaments or rings, the other half molecules anywhere; brightness, density, background,
    its slope and haze, camera, width of the point spread function and its faults are drawn for each.

    Parameters
    ----------
    domain : Domain
        The ranges to draw from.
    crop_px : int
        Mean height and width of a sample; each batch has its own, up to a quarter smaller or larger.
    """

    def __init__(self, domain: Domain, *, crop_px: int = 48) -> None:
        if crop_px < 4:
            raise InputError(f"crop_px must be at least 4, got {crop_px}")
        self.domain, self.crop_px = domain, crop_px

    def batch(self, size: int, rng: np.random.Generator) -> Batch:
        """Simulate new frames."""
        shape = tuple(int(n) for n in rng.integers(3 * self.crop_px // 4, 5 * self.crop_px // 4 + 1, 2))
        scenes = [draw_scene(self.domain, (shape[0], shape[1]), rng) for _ in range(size)]
        frames, background = expose(scenes, rng)
        truth, weights = padded([scene.molecules[scene.seen, :2].astype(np.float32) for scene in scenes])
        light = np.ones(truth.shape[:2], np.float32)
        for row, scene in zip(light, scenes, strict=True):
            row[: scene.seen.sum()] = scene.light[scene.seen]
        return Batch(torch.from_numpy(frames), truth, weights, torch.from_numpy(light), torch.from_numpy(background))

    def input_moments(self) -> tuple[float, float]:
        """Nothing to standardise by: the network scales its own input."""
        return 0.0, 1.0


def _points_of_crop(yx: NDArray, corner: NDArray, crop_px: int) -> NDArray[np.float32]:
    local = yx - corner
    return local[within_frame(local[:, 0], local[:, 1], (crop_px, crop_px))].astype(np.float32)


def turn(frame: Tensor, points: NDArray[np.float32], way: int) -> tuple[Tensor, NDArray[np.float32]]:
    """Turn and mirror a square frame and its points in one of the eight ways of the square's symmetry (0: as it is)."""
    last = frame.shape[-1] - 1
    if way & 1:
        frame, points = frame.flip(-2), points * _MIRROR_Y + np.array([last, 0], np.float32)
    if way & 2:
        frame, points = frame.flip(-1), points * _MIRROR_X + np.array([0, last], np.float32)
    if way & 4:
        frame, points = frame.transpose(-2, -1), points[:, ::-1]
    return frame, points


def padded(points: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Stack lists of points of different lengths as truth (B, M, 2) and weights (B, M, 1), 0 where padded."""
    most = max((len(p) for p in points), default=0)
    truth, weights = np.zeros((len(points), most, 2), np.float32), np.zeros((len(points), most, 1), np.float32)
    for row, p in enumerate(points):
        truth[row, : len(p)], weights[row, : len(p)] = p, 1
    return torch.from_numpy(truth), torch.from_numpy(weights)
