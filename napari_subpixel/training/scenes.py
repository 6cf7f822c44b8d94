"""Scenes: small frames from randomly drawn microscopes and samples, within the ranges of a domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import HALF_PIXEL, mean_pixel_size, pixel_size_yx, within_frame
from napari_subpixel.models.domain import Domain, draw_log_uniform
from napari_subpixel.models.input_scaling import Optics, counts
from napari_subpixel.psf import GaussianPSF, add_gaussians
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.structures import draw_molecules

#: Scenes whose molecules cannot be localized to this many pixels are drawn again, but for a few.
FAINT_PX = 0.35
#: The share of such scenes that are kept.
FAINT_SHARE = 0.15
#: Range of pixel sizes, which a domain does not name.
PIXEL_SIZE_RANGE_NM = (70.0, 170.0)
#: Range of the widths of filaments and rings.
WIDTH_NM = (5.0, 60.0)
#: Range of the persistence lengths of filaments.
PERSISTENCE_UM = (2.0, 40.0)
#: The share of scenes whose camera is not quite as assumed.
MISJUDGED_SHARE = 0.3
#: Standard deviation of the logarithm of a misjudged gain.
GAIN_ERROR = 0.12
#: Standard deviation of a misjudged baseline, relative to the background.
BASELINE_ERROR = 0.1
#: Range of the largest number of molecules on a pixel's length of a filament.
CROWDED_PER_PX = (0.3, 1.5)
#: Minimum density of a scene, in molecules per pixel.
MIN_DENSITY = 0.0008
#: The share of scenes with haze, light from out of focus.
HAZY_SHARE = 0.4
#: Range of the mean level of haze, relative to the background.
HAZE_LEVEL = (0.05, 3.0)
#: Range of the number of sources of haze: a few wide spots, or many that make an uneven glow.
HAZE_SOURCES = (3.0, 3000.0)
#: Up to this number, sources are few.
FEW_SOURCES = 60
#: Range of the widths of few sources, in standard deviations of the point spread function.
FEW_WIDTHS = (1.7, 5.0)
#: Range of the widths of many sources, which may be as narrow as molecules.
MANY_WIDTHS = (1.0, 6.0)
#: A source of haze gives on average at most as much light as this number of molecules.
MAX_SOURCE_LIGHT = 4.0
#: The share of scenes in which the light of a typical molecule is known.
BRIGHTNESS_KNOWN = 0.6
#: Standard deviations of the logarithm of its error, small and large.
BRIGHTNESS_ERROR = (0.12, 0.35)


@dataclass(frozen=True)
class Scene:
    """One frame's sample and microscope.

    Attributes
    ----------
    molecules : ndarray, shape (N, 3)
        Rows of y, x in pixels and photons, those outside the frame included.
    background : ndarray, shape (Y, X)
        Photons per pixel.
    camera : Camera
        What takes the frame.
    assumed_camera : Camera
        The camera as the user knows it, perhaps by an estimate.
    sigma_px : float
        Standard deviation of the point spread function, as the user knows it.
    molecule_photons : float
        Photons of a typical molecule in a frame, as the user knows them; 0 where they are not known.
    sigma_yx : ndarray, shape (N, 2)
        Actual widths in pixels, of each molecule along each axis.
    halo : (float, float)
        Share of the light in a wider Gaussian round it, and how many times wider that is.
    """

    molecules: NDArray[np.float64]
    background: NDArray[np.float64]
    camera: Camera
    assumed_camera: Camera
    sigma_px: float
    molecule_photons: float
    sigma_yx: NDArray[np.float64]
    halo: tuple[float, float]

    @property
    def on_frame(self) -> NDArray[np.bool_]:
        """Which molecules lie on the frame."""
        height, width = self.background.shape
        return within_frame(self.molecules[:, 0], self.molecules[:, 1], (height, width))

    def in_counts(self, photons: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what photons in every pixel, shape (Y, X), are in counts of the assumed camera, without noise."""
        return self.assumed_camera.to_photons(self.camera.to_adu(photons)) / self.assumed_camera.variance_per_photon

    @property
    def light(self) -> NDArray[np.float64]:
        """Light of the molecules in counts of the assumed camera, shape (N,)."""
        return self.molecules[:, 2] * self._gain / self.assumed_camera.variance_per_photon

    @property
    def assumed_molecule_photons(self) -> float:
        """Photons of a typical molecule as the assumed camera measures them; 0 where they are not known."""
        return self.molecule_photons * self._gain

    @property
    def _gain(self) -> float:
        return float(np.mean(self.assumed_camera.electrons_per_adu) / np.mean(self.camera.electrons_per_adu))


def draw_scene(domain: Domain, shape: tuple[int, int], rng: np.random.Generator, camera: Camera | None = None) -> Scene:
    """Draw a scene from the ranges of a domain.

    Parameters
    ----------
    domain : Domain
    shape : (int, int)
        (height, width) of the frame, in pixels.
    rng : numpy.random.Generator
    camera : Camera, optional
        What takes the frame, with its pixel size, and maps of that shape if it has any; any camera if not given.

    Returns
    -------
    Scene
    """
    sigma = float(draw_log_uniform(rng, domain.sigma_px))
    known = camera is not None
    camera = camera or draw_camera(shape, rng)
    photons, background = _brightness(domain, sigma, camera, rng)
    highest = domain.density_per_px[1] if known else _max_useful_density(domain, sigma)
    yx, elsewhere = _places((domain.density_per_px[0], highest), shape, sigma, camera, rng)
    light = photons * np.exp(rng.uniform(0, 0.7) * rng.normal(size=len(yx)))
    if rng.random() < 0.3:  # molecules that go on or off within the frame
        light *= np.where(rng.random(len(yx)) < 0.5, rng.uniform(0.15, 1, len(yx)), 1.0)
    field = _uneven(background, shape, rng)
    if rng.random() < HAZY_SHARE:
        field += _haze(elsewhere, shape, sigma, photons, background, rng)
    widths, halo = _aberrations(len(yx), rng)
    return Scene(
        np.column_stack([yx, light]),
        field,
        camera,
        _misjudged(camera, background, rng) if not known and rng.random() < MISJUDGED_SHARE else camera,
        sigma * float(np.exp(rng.normal(0, 0.02))),
        _assumed_brightness(photons, rng),
        sigma * widths * _stretch(camera),
        halo,
    )


def expose(scenes: Sequence[Scene], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the cameras see of scenes of one shape, as `models.input_scaling.counts`, and the background.

    Returns
    -------
    frames : ndarray of float32, shape (B, 5, Y, X)
    background : ndarray of float32, shape (B, Y, X)
        In counts.
    """
    factors, sigma, typical = (
        np.array([value(scene) for scene in scenes])[:, None, None]
        for value in (
            lambda s: s.assumed_camera.variance_per_photon,
            lambda s: s.sigma_px,
            lambda s: s.assumed_molecule_photons,
        )
    )
    adu = in_adu(scenes, rng)
    photons, read = np.empty(adu.shape, np.float32), np.empty(adu.shape, np.float32)
    for k, scene in enumerate(scenes):
        photons[k] = scene.assumed_camera.to_photons(adu[k])
        read[k] = scene.assumed_camera.read_noise_photons
    background = np.stack([scene.in_counts(scene.background) for scene in scenes])
    return counts(photons, Optics(sigma, factors, read, typical)), background.astype(np.float32)


def in_adu(scenes: Sequence[Scene], rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return the frames that the cameras record of scenes of one shape, in ADU, shape (B, Y, X)."""
    light = np.stack([scene.background for scene in scenes])
    add_light(light, scenes)
    return np.stack([scene.camera.expose(photons, rng) for scene, photons in zip(scenes, light, strict=True)])


def add_light(frames: NDArray[np.float64], scenes: Sequence[Scene]) -> None:
    """Add the light of the scenes' molecules to frames, shape (B, Y, X), in place."""
    number = [len(scene.molecules) for scene in scenes]
    frame = np.repeat(np.arange(len(scenes)), number)
    y, x, photons = np.concatenate([scene.molecules for scene in scenes]).T
    sigma_y, sigma_x = np.concatenate([scene.sigma_yx for scene in scenes]).T
    share, wider = np.repeat([scene.halo for scene in scenes], number, axis=0).T
    add_gaussians(frames, frame, y, x, photons * (1 - share), sigma_y, sigma_x)
    i = np.flatnonzero(share)
    add_gaussians(frames, frame[i], y[i], x[i], (photons * share)[i], (sigma_y * wider)[i], (sigma_x * wider)[i])


def draw_camera(shape: tuple[int, int], rng: np.random.Generator) -> Camera:
    """Draw an EMCCD, an sCMOS camera with its maps, or a CCD."""
    size = float(draw_log_uniform(rng, PIXEL_SIZE_RANGE_NM))
    efficiency, baseline = rng.uniform(0.6, 1.0), rng.uniform(90, 500)
    kind = rng.random()
    if kind < 0.4:
        gain = float(draw_log_uniform(rng, (20, 500)))
        return Camera(
            size, baseline, gain * float(draw_log_uniform(rng, (0.2, 2))), efficiency, gain, rng.uniform(10, 80)
        )
    if kind < 0.7:
        read: Any = np.minimum(rng.uniform(0.8, 2.5) * np.exp(np.abs(rng.normal(0, 0.3, shape))), 20)
        return Camera(size, baseline, rng.uniform(0.2, 0.6), efficiency, 1.0, read)
    return Camera(size, baseline, rng.uniform(0.3, 2.0), efficiency, 1.0, rng.uniform(0, 10))


def _misjudged(camera: Camera, background: float, rng: np.random.Generator) -> Camera:
    """Return a camera as an estimate may take it to be: gain and baseline a little off."""
    adu_of_background = float(np.mean(camera.to_adu(np.full(camera.map_shape or (1, 1), background)) - camera.baseline))
    return replace(
        camera,
        electrons_per_adu=camera.electrons_per_adu * float(np.exp(rng.normal(0, GAIN_ERROR))),
        baseline=camera.baseline + rng.normal(0, BASELINE_ERROR) * adu_of_background,
    )


def precision_px(sigma_px: float, photons: float, background: float, camera: Camera) -> float:
    """Estimate the localization precision of a molecule, along one axis and in pixels.

    That of a maximum-likelihood fit; read noise counts as background.

    Parameters
    ----------
    sigma_px : float
        Standard deviation of the point spread function, in pixels.
    photons : float
        Of the molecule in one frame.
    background : float
        In photons per pixel.
    camera : Camera

    References
    ----------
    .. [1] Mortensen et al., "Optimized localization analysis for single-molecule tracking and super-resolution
       microscopy", Nature Methods 7, 377 (2010), doi:10.1038/nmeth.1447.
    """
    factor = camera.variance_per_photon
    dark = background + float(np.mean(np.square(camera.read_noise_photons))) / factor
    spread = sigma_px**2 + 1 / 12
    tau = 2 * np.pi * spread * dark / photons
    return float(np.sqrt(factor * spread / photons * (1 + 4 * tau + np.sqrt(2 * tau / (1 + 4 * tau)))))


def _brightness(domain: Domain, sigma: float, camera: Camera, rng: np.random.Generator) -> tuple[float, float]:
    """Draw photons and background, again where the molecules would be too faint to find."""
    while True:
        photons, background = (
            float(draw_log_uniform(rng, domain.photons)),
            float(draw_log_uniform(rng, domain.background)),
        )
        if precision_px(sigma, photons, background, camera) < FAINT_PX or rng.random() < FAINT_SHARE:
            return photons, background


def _max_useful_density(domain: Domain, sigma: float) -> float:
    """Return the highest density that is drawn: molecules too close to be distinguished teach little."""
    return domain.density_per_px[1] * 1.2 * min(1.0, (1.2 / sigma) ** 2)


def _places(
    density_per_px: tuple[float, float],
    shape: tuple[int, int],
    sigma: float,
    camera: Camera,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw positions on and around the frame, shape (N, 2), and others of the same sample for its haze.

    Half of the samples are structured.
    """
    lowest, highest = density_per_px
    span = (min(max(lowest, MIN_DENSITY), highest), highest)
    # Evenly spread in one half of the scenes, their logarithms in the other: crowds are what takes learning.
    density = float(rng.uniform(*span) if rng.random() < 0.5 else draw_log_uniform(rng, span))
    assert camera.pixel_size_nm is not None
    psf = GaussianPSF(sigma_nm=sigma * mean_pixel_size(camera.pixel_size_nm))
    number = int(rng.poisson(density * np.prod(np.array(shape) + 2 * 3 * sigma)))
    structure = rng.choice(["uniform", "filaments", "rings"], p=[0.45, 0.45, 0.1])
    room = rng.uniform(*CROWDED_PER_PX) * (min(shape) if structure == "filaments" else 12)
    sample = Simulation(
        frame_shape=shape,
        camera=Camera(pixel_size_nm=camera.pixel_size_nm),
        psf=psf,
        structure=str(structure),
        n_structures=max(int(rng.integers(1, 9)), int(np.ceil(number / room))),
        width_nm=float(rng.uniform(*WIDTH_NM)),
        persistence_length_um=float(draw_log_uniform(rng, PERSISTENCE_UM)),
        ring_radius_nm=float(rng.uniform(50, 400)),
        molecules=number + int(HAZE_SOURCES[1]),
    )
    places = draw_molecules(sample, rng)
    return places[:number], places[number:]


def _aberrations(n: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Draw how much wider than assumed the molecules are, shape (n, 2), and the halo: see `Scene`."""
    kind = rng.random()
    if kind < 0.45:  # all alike and round
        return np.ones((n, 2)), (0.0, 2.0)
    halo = (float(rng.uniform(0, 0.15)), float(rng.uniform(1.7, 2.6)))
    ellipse, width = rng.normal(0, 0.05) + rng.normal(0, 0.02, n), rng.normal(0, 0.05, n)
    if kind > 0.75:  # each at a depth of its own
        ellipse, width = rng.normal(0, rng.uniform(0, 0.2), n), np.abs(rng.normal(0, rng.uniform(0, 0.15), n))
    return np.exp(np.column_stack([width + ellipse, width - ellipse]).clip(-0.5, 0.5)), halo


def _stretch(camera: Camera) -> NDArray[np.float64]:
    """Return how much longer in pixels than on average a length is along y and x, shape (2,)."""
    assert camera.pixel_size_nm is not None
    return mean_pixel_size(camera.pixel_size_nm) / np.array(pixel_size_yx(camera.pixel_size_nm))


def _haze(
    places: NDArray[np.float64],
    shape: tuple[int, int],
    sigma: float,
    photons: float,
    background: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the light from out of focus on the structure, shape (Y, X), in photons per pixel."""
    level = background * float(draw_log_uniform(rng, HAZE_LEVEL))
    light = level * np.prod(np.array(shape) + 2 * 3 * sigma)
    number = int(max(draw_log_uniform(rng, HAZE_SOURCES), min(light / (MAX_SOURCE_LIGHT * photons), HAZE_SOURCES[1])))
    share = np.exp(0.5 * rng.normal(size=number))
    y, x = places[:number].T
    each = light * share / max(share.sum(), number) * np.minimum(1.0, MAX_SOURCE_LIGHT * photons * number / light)
    field = np.zeros(shape)
    if number <= FEW_SOURCES:
        widths = sigma * draw_log_uniform(rng, FEW_WIDTHS, number)
        add_gaussians(field[None], np.zeros(number, np.int64), y, x, each, widths, widths)
        return field
    width = sigma * float(draw_log_uniform(rng, MANY_WIDTHS))
    margin = int(np.ceil(3 * sigma))
    grid = [np.arange(-margin, n + margin + 1) - HALF_PIXEL for n in shape]
    points = np.histogram2d(y, x, bins=grid, weights=each)[0]
    return gaussian_filter(points, width, mode="reflect")[margin:-margin, margin:-margin]


def _assumed_brightness(photons: float, rng: np.random.Generator) -> float:
    """Return the photons that a user or an estimate may assume of a typical molecule; 0 for unknown."""
    if rng.random() > BRIGHTNESS_KNOWN:
        return 0.0
    return photons * float(np.exp(rng.normal(0, BRIGHTNESS_ERROR[int(rng.random() < 0.25)])))


def _uneven(background: float, shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a background that is flat, slopes, or has a bright place."""
    field = np.full(shape, background)
    y, x = np.meshgrid(*(np.linspace(-0.5, 0.5, n) for n in shape), indexing="ij")
    if rng.random() < 0.5:
        angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1.0)
        field *= 1 + slope * (y * np.sin(angle) + x * np.cos(angle))
    if rng.random() < 0.2:
        (top, left), width = rng.uniform(-0.6, 0.6, 2), rng.uniform(0.3, 1)
        field *= 1 + rng.uniform(0, 2) * np.exp(-((y - top) ** 2 + (x - left) ** 2) / (2 * width**2))
    return field
