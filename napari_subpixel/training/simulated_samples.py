"""Training samples: small frames with their true points, simulated without end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_subpixel.camera import Camera
from napari_subpixel.errors import InputError
from napari_subpixel.models.domain import Domain
from napari_subpixel.models.input_scaling import minmax
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.training.scenes import draw_scene, expose


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
        _check_maps_hold(simulation.camera, crop_px, "samples of crop_px")
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
        camera = camera_part(self.simulation.camera, (self.crop_px, self.crop_px), rng)
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
    """Frames from randomly drawn microscopes and samples, simulated afresh for every batch, in counts with their noise.

    Half of the samples show filaments or rings, the other half molecules anywhere; brightness, density, background,
    its slope and haze, camera, width of the point spread function and its faults are drawn for each.

    Parameters
    ----------
    domain : Domain
        The ranges to draw from.
    crop_px : int
        Mean height and width of a sample; each batch has its own, up to a quarter smaller or larger.
    camera : Camera, optional
        The one camera that takes all frames, with its pixel size; of its maps each sample sees a part.
    """

    def __init__(self, domain: Domain, *, crop_px: int = 48, camera: Camera | None = None) -> None:
        if crop_px < 4:
            raise InputError(f"crop_px must be at least 4, got {crop_px}")
        if camera is not None:
            if camera.pixel_size_nm is None:
                raise InputError("the camera has no pixel size: what a sample shows depends on it")
            _check_maps_hold(camera, 5 * crop_px // 4, "samples of crop_px, or a quarter more")
        self.domain, self.crop_px, self.camera = domain, crop_px, camera

    def batch(self, size: int, rng: np.random.Generator) -> Batch:
        """Simulate new frames."""
        shape = tuple(int(n) for n in rng.integers(3 * self.crop_px // 4, 5 * self.crop_px // 4 + 1, 2))
        scenes = [
            draw_scene(self.domain, (shape[0], shape[1]), rng, self.camera and camera_part(self.camera, shape, rng))
            for _ in range(size)
        ]
        frames, background = expose(scenes, rng)
        truth, weights = padded([scene.molecules[scene.on_frame, :2].astype(np.float32) for scene in scenes])
        light = padded_light([scene.light[scene.on_frame] for scene in scenes])
        return Batch(torch.from_numpy(frames), truth, weights, light, torch.from_numpy(background))

    def input_moments(self) -> tuple[float, float]:
        """Nothing to standardise by: the network scales its own input."""
        return 0.0, 1.0


def _check_maps_hold(camera: Camera, side_px: int, what: str) -> None:
    if camera.map_shape and min(camera.map_shape) < side_px:
        raise InputError(f"the camera's maps {camera.map_shape} are smaller than {what}: {side_px} px")


def camera_part(camera: Camera, shape: Sequence[int], rng: np.random.Generator) -> Camera:
    """Return a camera with a randomly drawn part of its maps; without maps, as it is.

    Parameters
    ----------
    camera : Camera
    shape : (int, int)
        Height and width of the part, in pixels.
    rng : numpy.random.Generator
    """
    if not camera.map_shape:
        return camera
    corner = rng.integers(0, np.array(camera.map_shape) - np.array(shape) + 1)
    return camera.crop(*(slice(int(c), int(c) + int(n)) for c, n in zip(corner, shape, strict=True)))


def padded(points: Sequence[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    """Stack lists of points of different lengths as truth (B, M, 2) and weights (B, M, 1), 0 where padded."""
    most = max((len(p) for p in points), default=0)
    truth, weights = np.zeros((len(points), most, 2), np.float32), np.zeros((len(points), most, 1), np.float32)
    for row, p in enumerate(points):
        truth[row, : len(p)], weights[row, : len(p)] = p, 1
    return torch.from_numpy(truth), torch.from_numpy(weights)


def padded_light(light: Sequence[NDArray]) -> Tensor:
    """Stack the light of lists of points as (B, M), 1 where padded."""
    stacked = np.ones((len(light), max((len(row) for row in light), default=0)), np.float32)
    for row, values in zip(stacked, light, strict=True):
        row[: len(values)] = values
    return torch.from_numpy(stacked)
