"""Simulated movies of spots that are round or long, and of backgrounds with edges that do not move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.camera import Camera
from napari_subpixel.localizations import Localizations
from napari_subpixel.psf import add_gaussians, draw_gaussians

SCMOS = Camera(100.0, 100.0, 0.5, 0.9, read_noise_e=1.5)
#: Scatter of the logarithm of the molecules' photons.
SPREAD = 0.2
#: Ways in which spots are long: Gaussians in any direction or along the axes, and streaks of moving molecules.
KINDS = ("any direction", "astigmatic", "streak")
#: All in the same direction, half a radian from x to y.
ALIGNED, DIRECTION = "one direction", 0.5
#: Places of which a streak is made.
STREAK_PARTS = 15
#: Pixels are divided into this many along each axis where an edge is drawn.
SUBPIXELS = 4


def spots(
    rng: np.random.Generator,
    *,
    photons: float,
    background: float,
    sigma_px: float,
    ratio: float = 1.0,
    share: float = 0.0,
    kind: str = KINDS[0],
    per_frame: float = 10.0,
    n_frames: int = 24,
    shape: tuple[int, int] = (128, 128),
    spread: float = SPREAD,
    camera: Camera = SCMOS,
) -> tuple[NDArray, Localizations]:
    """Return a movie and its truth, of which a share of the spots is long, by the ratio of its axes."""
    n = rng.poisson(per_frame * n_frames)
    frame = np.sort(rng.integers(0, n_frames, n))
    y, x = (rng.uniform(-3, side + 2, n) for side in shape)
    light = photons * np.exp(spread * rng.normal(size=n))
    is_long = rng.random(n) < share
    frames = np.zeros((n_frames, *shape))
    round_ones = np.full(int((~is_long).sum()), sigma_px)
    add_gaussians(frames, frame[~is_long], y[~is_long], x[~is_long], light[~is_long], round_ones, round_ones)
    for away, angle, part, sigma_y, sigma_x in _parts(rng, kind, sigma_px, ratio, int(is_long.sum())):
        at_y, at_x = y[is_long] + away * np.sin(angle), x[is_long] + away * np.cos(angle)
        add_gaussians(frames, frame[is_long], at_y, at_x, part * light[is_long], sigma_y, sigma_x)
    inside = (np.minimum(y, x) > -0.5) & (y < shape[0] - 0.5) & (x < shape[1] - 0.5)
    columns = {"frame": frame, "y": y, "x": x, "photons": light}
    truth = Localizations({name: values[inside] for name, values in columns.items()}, frame_shape=shape)
    return camera.expose(frames + background, rng), truth.with_about(pixel_size_nm=100.0)


def _parts(
    rng: np.random.Generator, kind: str, sigma_px: float, ratio: float, n: int
) -> list[tuple[float, NDArray, float, NDArray, NDArray]]:
    """Return the round or upright Gaussians of which long spots are made: distance, angle, share and widths."""
    angle, one = rng.uniform(0, np.pi, n), np.ones(n)
    if kind == "astigmatic":
        upright = rng.random(n) < 0.5
        widths = np.where(upright, sigma_px * ratio**0.5, sigma_px / ratio**0.5)
        return [(0.0, angle, 1.0, widths, sigma_px**2 / widths)]
    if kind == "streak":
        length = sigma_px * np.sqrt(12 * (ratio**2 - 1))
        places = ((np.arange(STREAK_PARTS) + 0.5) / STREAK_PARTS - 0.5) * length
        return [(place, angle, 1 / STREAK_PARTS, sigma_px * one, sigma_px * one) for place in places]
    if kind == ALIGNED:
        angle = np.full(n, DIRECTION)
    short = sigma_px / ratio**0.5
    places, weights = np.polynomial.hermite_e.hermegauss(9)
    scatter = np.sqrt(sigma_px**2 * ratio - short**2)
    return [
        (place * scatter, angle, weight, short * one, short * one)
        for place, weight in zip(places, weights / weights.sum(), strict=True)
    ]


#: Kinds of edges.
EDGES = ("field stop", "splitter", "line", "cell")


def edge(kind: str, rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return a background of two levels, in photons per pixel, as blurred as it is near the focus."""
    from scipy import ndimage

    y, x = (np.indices([side * SUBPIXELS for side in shape]) + 0.5) / SUBPIXELS - 0.5
    high, low, blur = rng.uniform(60, 250), rng.choice([1.0, 5.0, 20.0]), rng.choice([0.3, 0.6, 1.0, 1.5])
    middle = rng.uniform(0.42, 0.58, 2) * shape
    v, u = y - middle[0], x - middle[1]
    if kind == "field stop":
        inside = np.hypot(v, u) < rng.uniform(0.3, 0.45) * min(shape)
    elif kind == "splitter":
        inside = np.abs(u) > rng.uniform(2, 6)
        low = 1.0
    elif kind == "line":
        angle = rng.uniform(0, np.pi)
        inside = v * np.sin(angle) + u * np.cos(angle) > 0
    else:
        waves = sum(rng.normal(0, 0.15 / k) * np.cos(k * np.arctan2(v, u) + rng.uniform(0, 6)) for k in range(1, 6))
        inside = np.hypot(v, u) < 0.32 * min(shape) * (1 + waves)
        low, blur = 20.0, 1.3
    level = np.where(inside, high, low)
    if kind == "splitter":
        level[inside & (u < 0)] = 20.0
    level = level.reshape(shape[0], SUBPIXELS, shape[1], SUBPIXELS).mean(axis=(1, 3))
    return np.asarray(ndimage.gaussian_filter(level, blur, mode="nearest"))


def with_edge(
    kind: str, rng: np.random.Generator, *, shape: tuple[int, int] = (128, 128), n_frames: int = 100
) -> tuple[NDArray, Localizations]:
    """Return a movie of two molecules a frame, of 2,000 photons, on a background with an edge, and its truth."""
    n = rng.poisson(2.0 * n_frames)
    frame = np.sort(rng.integers(0, n_frames, n))
    y, x = (rng.uniform(0, side - 1, n) for side in shape)
    light = draw_gaussians((n_frames, *shape), frame, y, x, 2000.0 * np.exp(SPREAD * rng.normal(size=n)), 1.3)
    truth = Localizations({"frame": frame, "y": y, "x": x}, frame_shape=shape)
    return SCMOS.expose(light + edge(kind, rng, shape), rng), truth.with_about(pixel_size_nm=100.0)
