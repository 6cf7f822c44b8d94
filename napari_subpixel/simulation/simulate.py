"""Simulation: molecules on structures, their blinking, and the movie a camera would record, with its truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from napari_subpixel import __version__
from napari_subpixel._util import records
from napari_subpixel._util.records import described
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import HALF_PIXEL, checked_frame_shape, within_frame
from napari_subpixel.errors import InputError, suggest
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.psf import GaussianPSF, draw_gaussians
from napari_subpixel.simulation.stage import place_fiducials, random_drift

#: What molecules may sit on.
STRUCTURES = ("uniform", "filaments", "rings")
#: Molecules lie up to this many standard deviations of the PSF outside the frame: beyond, 0.2% of their light is left.
MARGIN_SIGMA = 3.0
#: Length of the straight pieces of a filament, in nm.
FILAMENT_STEP_NM = 20.0
#: Columns of the truth.
TRUTH_COLUMNS = ("frame", "y", "x", "photons", "background", "sigma")
#: Column of the truth that is 1 for fiducials, where there are any.
FIDUCIAL = "fiducial"
#: A molecule while it is on: which one, photons per whole frame, and from when to when, in frames.
_LIT = np.dtype([("molecule", np.int64), ("photons", np.float64), ("start", np.float64), ("stop", np.float64)])

Chunk = tuple[NDArray[np.uint16], Localizations]


@dataclass(frozen=True)
class Simulation:
    """What to simulate: the sample, its molecules' blinking, and the microscope.

    A molecule that has been dark is on for an exponentially distributed time that starts at any moment, so its first
    and last frames are dimmer: a frame gets photons in proportion to the time on within it. A molecule that is on in a
    frame does not start again in it. Molecules just outside the frame send their light into it.

    Attributes
    ----------
    frame_shape : (int, int)
        (height, width) of the frames, in pixels.
    n_frames : int
        Number of frames.
    camera : Camera
        The camera; its ``pixel_size_nm`` must be known.
    psf : GaussianPSF
        The point spread function.
    structure : {"filaments", "rings", "uniform"}
        What the molecules sit on.
    n_structures : int
        Number of filaments or rings.
    width_nm : float
        Diameter of a filament, or of the tube that is bent into a ring, in nm; molecules sit on its surface.
    persistence_length_um : float
        How far a filament keeps its direction, in micrometres: the smaller, the more bent.
    ring_radius_nm : float
        Radius of a ring, in nm.
    molecules : int
        Molecules in the sample, those just outside the frame included.
    emitters_per_frame : float
        Rows of the truth per frame, on average over movies: molecules on the frame that give at least `min_photons`.
    photons : float
        Median, over the times that molecules are on, of the photons in a frame throughout which a molecule is on.
    photons_spread : float
        Standard deviation of the natural logarithm of these photons (log-normal); 0 makes all molecules alike.
    on_time_frames : float
        Mean time for which a molecule is on, in frames; 0 makes it be on for exactly one whole frame.
    min_photons : float
        A molecule that gives fewer photons in a frame has no row in the truth of this frame; its light is there.
    background : float
        Background, in photons per pixel and frame.
    drift_nm : float
        Standard deviation, along an axis and over movies, of how far the sample drifts from the first frame to the
        last. The truth has the places where the light was; `simulated_drift` returns the drift.
    fiducials : int
        Beads that are on in every frame and drift with the sample; they have rows in the truth, marked by 1 in its
        column ``fiducial``, on top of `emitters_per_frame`.
    fiducial_photons : float
        Photons of a bead in a frame.
    bleaching_frames : float
        Mean time after which a molecule is bleached and not on again, in frames; 0: never. The molecules on in a frame
        become fewer accordingly; `emitters_per_frame` is their mean over the movie.
    dark_fraction : float
        Share of the frames of its time on in which a molecule is dark, each by chance.

    Examples
    --------
    >>> small = Simulation(frame_shape=(24, 32), n_frames=3, structure="rings", emitters_per_frame=2)
    >>> movie, truth = simulate(small, np.random.default_rng(1))
    >>> movie.shape, movie.dtype, truth.columns
    ((3, 24, 32), dtype('uint16'), ('frame', 'y', 'x', 'photons', 'background', 'sigma'))
    """

    frame_shape: tuple[int, int] = (64, 96)
    n_frames: int = 100
    camera: Camera = field(
        default_factory=lambda: Camera(pixel_size_nm=100.0, baseline=100.0, electrons_per_adu=0.5, read_noise_e=1.5)
    )
    psf: GaussianPSF = field(default_factory=lambda: GaussianPSF(sigma_nm=110.0))
    structure: str = described("filaments", f"what molecules sit on: {', '.join(STRUCTURES)}")
    n_structures: int = described(12, "number of filaments or rings")
    width_nm: float = 25.0
    persistence_length_um: float = 20.0
    ring_radius_nm: float = 150.0
    molecules: int = described(5000, "molecules in the sample")
    emitters_per_frame: float = described(15.0, "molecules that are on in a frame, on average")
    photons: float = described(1500.0, "median photons of a molecule in a whole frame")
    photons_spread: float = described(0.3, "standard deviation of the logarithm of the photons")
    on_time_frames: float = described(2.0, "mean time on, in frames; 0 for exactly one frame")
    min_photons: float = 100.0
    background: float = described(15.0, "background, photons per pixel")
    drift_nm: float = described(0.0, "drift of the sample over the movie, nm: standard deviation along an axis")
    fiducials: int = described(0, "number of beads that are on in every frame")
    fiducial_photons: float = described(10_000.0, "photons of a bead in a frame")
    bleaching_frames: float = described(0.0, "mean time after which a molecule is bleached, in frames; 0: never")
    dark_fraction: float = described(0.0, "share of the frames of its time on in which a molecule is dark")

    def __post_init__(self) -> None:
        with records.naming("simulation"):
            records.set_field(self, "frame_shape", checked_frame_shape(self.frame_shape))
        if self.structure not in STRUCTURES:
            known = ", ".join(STRUCTURES)
            hint = suggest(str(self.structure), STRUCTURES)
            raise InputError(f"simulation: structure must be one of {known}, got {self.structure!r}{hint}")
        for name in ("n_frames", "n_structures", "molecules"):
            _check_count(name, getattr(self, name))
        for name in ("photons", "persistence_length_um", "ring_radius_nm"):
            records.set_field(self, name, _checked_number(name, getattr(self, name), positive=True))
        if not _is_count(self.fiducials, least=0):
            raise InputError(f"simulation: fiducials must be a whole number from 0, got {self.fiducials!r}")
        for name in (
            "width_nm", "emitters_per_frame", "photons_spread", "on_time_frames", "min_photons", "background",
            "drift_nm", "fiducial_photons", "bleaching_frames", "dark_fraction",
        ):  # fmt: skip
            records.set_field(self, name, _checked_number(name, getattr(self, name), positive=False))
        if self.dark_fraction >= 1:
            raise InputError(f"simulation: dark_fraction must be below 1, got {self.dark_fraction:g}")
        if self.min_photons >= self.photons:
            raise InputError(
                f"simulation: min_photons must be below photons, got {self.min_photons:g} and {self.photons:g}"
            )
        self._check_microscope()

    def _check_microscope(self) -> None:
        if not isinstance(self.camera, Camera):
            raise InputError(f"simulation: camera must be a Camera, got {self.camera!r}")
        if not isinstance(self.psf, GaussianPSF):
            raise InputError(f"simulation: psf must be a GaussianPSF, got {self.psf!r}")
        if self.camera.pixel_size_nm is None:
            raise InputError("simulation: the camera's pixel_size_nm must be known")
        self.camera.check_fits(self.frame_shape)
        if self.sigma_px > max(self.frame_shape):
            raise InputError(
                f"simulation: psf sigma_nm {self.psf.sigma_nm:g} is wider than the frames, {max(self.frame_shape)} px"
            )

    @property
    def pixel_size_nm(self) -> float:
        """Width of a camera pixel in nm."""
        assert self.camera.pixel_size_nm is not None  # checked when made
        return self.camera.pixel_size_nm

    @property
    def sigma_px(self) -> float:
        """Standard deviation of the point spread function in pixels."""
        return self.psf.sigma_px(self.pixel_size_nm)

    @property
    def margin_px(self) -> float:
        """How far outside the frame molecules may lie, in pixels."""
        return MARGIN_SIGMA * self.sigma_px

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, and the camera and the PSF, as plain values."""
        return {**records.to_dict(self), **self._plain(), "camera": self.camera.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Simulation:
        """Build a simulation from named fields, camera and PSF as mappings; a misspelt field is refused by name."""
        values = dict(values)
        for name, record in (("camera", Camera), ("psf", GaussianPSF)):
            if isinstance(values.get(name), Mapping):
                values[name] = record.from_dict(values[name])
        return records.from_dict(cls, "simulation", values)

    def summary(self) -> dict[str, Any]:
        """Return every field for the truth's provenance; a camera map is summed up by its shape and mean."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**values, **self._plain(), "camera": self.camera.summary()}

    def _plain(self) -> dict[str, Any]:
        return {"frame_shape": list(self.frame_shape), "psf": self.psf.to_dict()}


def crowded_microtubules(**settings: Any) -> Simulation:
    """Return an example: microtubules with the optics, brightness and crowding that the model ``paper`` was made for.

    Parameters
    ----------
    **settings
        Fields of `Simulation` that are to be different, such as ``n_frames``.

    Examples
    --------
    >>> crowded_microtubules(n_frames=20).frame_shape
    (96, 96)
    """
    camera = Camera(pixel_size_nm=100, baseline=100, electrons_per_adu=1 / 2.065 * 300, em_gain=300, name="EMCCD")
    example = Simulation(
        frame_shape=(96, 96),
        n_frames=500,
        camera=camera,
        psf=GaussianPSF(sigma_nm=110.0),
        structure="filaments",
        n_structures=14,
        molecules=60_000,
        emitters_per_frame=250.0,
        photons=2250.0,
        photons_spread=0.1,
        on_time_frames=0.0,
        background=15.0,
    )
    return replace(example, **settings)


def simulate(simulation: Simulation, rng: np.random.Generator) -> Chunk:
    """Simulate a whole movie and its truth.

    Parameters
    ----------
    simulation : Simulation
        What to simulate.
    rng : numpy.random.Generator
        Its seed makes the movie (``np.random.default_rng(7)`` always the same one); each further movie made with the
        same generator is another one.

    Returns
    -------
    movie : ndarray of uint16, shape (T, Y, X)
    truth : Localizations
        The molecules on the frame that give at least ``min_photons`` in it, with the photons that each gives in the
        frame, the background, and sigma in pixels; settings and seed are in its provenance.
    """
    movie = np.empty((simulation.n_frames, *simulation.frame_shape), np.uint16)
    tables, start = [], 0
    for frames, truth in simulate_chunks(simulation, rng):
        movie[start : start + len(frames)] = frames
        tables.append(truth)
        start += len(frames)
    return movie, concat(tables)


def simulate_chunks(simulation: Simulation, rng: np.random.Generator, chunk_frames: int = 256) -> Iterator[Chunk]:
    """Simulate a movie piece by piece, for movies larger than memory; all pieces together are what `simulate` returns.

    Parameters
    ----------
    simulation : Simulation
        What to simulate.
    rng : numpy.random.Generator
        As in `simulate`.
    chunk_frames : int
        Frames per piece; the last one may be shorter.

    Returns
    -------
    iterator of (movie, truth)
        A piece of the movie, shape (t, Y, X), and its truth; frames are numbered from the movie's start.

    Raises
    ------
    InputError
        If no molecule lies on the frame, or there are too few for this number of emitters per frame.
    """
    _check_count("chunk_frames", chunk_frames)
    child = rng.spawn(1)[0]
    seeds: Any = child.bit_generator.seed_seq
    structure_rng, blink_rng, camera_rng = child.spawn(3)
    stage_rng, bead_rng, bleach_rng = child.spawn(3)
    molecules = draw_molecules(simulation, structure_rng)
    starts = _starts_per_frame(simulation, molecules)
    about = {
        "pixel_size_nm": simulation.pixel_size_nm,
        "frame_shape": simulation.frame_shape,
        "n_frames": simulation.n_frames,
        "provenance": {
            "program": f"napari-subpixel {__version__}",
            "simulation": simulation.summary(),
            "seed": seeds.entropy,
            "spawn_key": list(seeds.spawn_key),
        },
    }
    bleached = _bleached_at(simulation, len(molecules), bleach_rng)
    blinking = _blink(simulation, len(molecules), starts, bleached, blink_rng)
    sample = _Sample(
        molecules,
        place_fiducials(simulation.fiducials, simulation.frame_shape, bead_rng),
        random_drift(simulation.n_frames, simulation.drift_nm, stage_rng) / simulation.pixel_size_nm,
    )
    return _chunks(simulation, sample, blinking, camera_rng, int(chunk_frames), about)


def simulated_drift(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the drift of the movie that `simulate` makes with an equal generator.

    Parameters
    ----------
    simulation : Simulation
        What is simulated.
    rng : numpy.random.Generator
        One in the state that `simulate` is given.

    Returns
    -------
    ndarray of float64, shape (T, 2)
        Along y and x, in nm; 0 in the first frame.
    """
    child = rng.spawn(1)[0]
    stage_rng = child.spawn(4)[3]
    return random_drift(simulation.n_frames, simulation.drift_nm, stage_rng)


@dataclass(frozen=True, eq=False)
class _Sample:
    """Places of molecules (N, 2) and fiducials (F, 2), and the drift by frame (T, 2), in pixels."""

    molecules: NDArray[np.float64]
    fiducials: NDArray[np.float64]
    drift: NDArray[np.float64]


# -- where the molecules are --------------------------------------------------------------------------------------


def draw_molecules(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Place the molecules on the structure, evenly along its length.

    Returns
    -------
    ndarray of float64, shape (molecules, 2)
        Positions (y, x) in pixels, on the frame and up to ``margin_px`` outside it (parts of rings and of filaments'
        width may lie further out).
    """
    if simulation.structure == "filaments":
        return _on_filaments(simulation, rng)
    if simulation.structure == "rings":
        return _on_rings(simulation, rng)
    return _in_field(simulation, simulation.molecules, simulation.margin_px, rng)


def _in_field(simulation: Simulation, n: int, margin_px: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return `n` positions anywhere on the frame and `margin_px` round it, shape (n, 2)."""
    size = np.array(simulation.frame_shape) + 2 * margin_px
    return rng.uniform(size=(n, 2)) * size - HALF_PIXEL - margin_px


def _on_filaments(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    pieces = [_filament(simulation, start, rng) for start in _in_field(simulation, simulation.n_structures, 0.0, rng)]
    middle, angle = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    chosen = rng.integers(len(middle), size=simulation.molecules)
    along = rng.uniform(-0.5, 0.5, simulation.molecules) * FILAMENT_STEP_NM / simulation.pixel_size_nm
    across = _across_tube(simulation, rng)
    sin, cos = np.sin(angle[chosen]), np.cos(angle[chosen])
    return middle[chosen] + np.column_stack([along * sin + across * cos, along * cos - across * sin])


def _filament(
    simulation: Simulation, start: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the middles, shape (K, 2), and the directions, shape (K,), of a filament's pieces in the field.

    It is a worm-like chain through `start`: its direction diffuses with variance 2 * length / persistence length.
    """
    margin = simulation.margin_px
    step = FILAMENT_STEP_NM / simulation.pixel_size_nm
    arm = int(np.ceil(np.linalg.norm(np.array(simulation.frame_shape) + 2 * margin) / step))
    bend = np.sqrt(2 * FILAMENT_STEP_NM / (1000 * simulation.persistence_length_um))
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(scale=bend, size=2 * arm))
    ends = np.cumsum(step * np.column_stack([np.sin(angle), np.cos(angle)]), axis=0)
    middle = ends - step / 2 * np.column_stack([np.sin(angle), np.cos(angle)])
    middle += start - middle[arm]
    inside = within_frame(middle[:, 0], middle[:, 1], simulation.frame_shape, border_px=-margin)
    return middle[inside], angle[inside]


def _on_rings(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    centres = _in_field(simulation, simulation.n_structures, 0.0, rng)
    chosen = rng.integers(len(centres), size=simulation.molecules)
    angle = rng.uniform(0, 2 * np.pi, simulation.molecules)
    radius = simulation.ring_radius_nm / simulation.pixel_size_nm + _across_tube(simulation, rng)
    return centres[chosen] + radius[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])


def _across_tube(simulation: Simulation, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return how far from its axis, in pixels, molecules on a tube's surface appear when seen from the side."""
    turn = rng.uniform(0, 2 * np.pi, simulation.molecules)
    return simulation.width_nm / 2 / simulation.pixel_size_nm * np.sin(turn)


# -- when they are on ---------------------------------------------------------------------------------------------


def _starts_per_frame(simulation: Simulation, molecules: NDArray[np.float64]) -> float:
    """Return how many molecules must go on per frame for the wanted number of rows in the truth."""
    if simulation.emitters_per_frame == 0:
        return 0.0
    visible = float(within_frame(molecules[:, 0], molecules[:, 1], simulation.frame_shape).mean())
    if visible == 0:
        raise InputError(
            f"simulation: none of the {len(molecules)} molecules on {simulation.structure} lies on the frame"
        )
    rows = _rows_per_start(simulation)
    if rows < 1e-9:
        raise InputError(
            f"simulation: with on_time_frames {simulation.on_time_frames:g}, hardly a molecule gives min_photons "
            f"{simulation.min_photons:g} in a frame"
        )
    starts = simulation.emitters_per_frame / (visible * rows * (1 - simulation.dark_fraction))
    needed = int(np.ceil(2 * starts * _share_alive(simulation, 0) * (1 + simulation.on_time_frames)))
    if needed > len(molecules):
        raise InputError(
            f"simulation: {len(molecules)} molecules are too few for {simulation.emitters_per_frame:g} emitters per "
            f"frame; give at least {needed}"
        )
    return starts


def _rows_per_start(simulation: Simulation) -> float:
    """Return in how many frames a molecule gives at least ``min_photons`` each time that it is on, on average.

    A time on of length d, placed anywhere, covers at least a share s of 1 + d - 2 s frames on average if d >= s; the
    mean of this over exponential d with mean t is exp(-s / t) (1 + t - s).
    """
    time = simulation.on_time_frames
    quantiles = (np.arange(1000) + 0.5) / 1000
    share = simulation.min_photons / (simulation.photons * np.exp(simulation.photons_spread * ndtri(quantiles)))
    rows = np.exp(-share / time) * (1 + time - share) if time > 0 else np.ones_like(share)
    return float(np.where(share <= 1, rows, 0.0).mean())


def _share_alive(simulation: Simulation, frame: float) -> float:
    """Return how many molecules are not bleached by a frame, over their mean number in the movie."""
    if not simulation.bleaching_frames:
        return 1.0
    lives = simulation.n_frames / simulation.bleaching_frames
    return float(np.exp(-frame / simulation.bleaching_frames) * lives / -np.expm1(-lives))


def _bleached_at(simulation: Simulation, n_molecules: int, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """Return when each molecule is bleached, in frames, shape (n_molecules,); None where none ever is."""
    return rng.exponential(simulation.bleaching_frames, n_molecules) if simulation.bleaching_frames else None


def _blink(
    simulation: Simulation,
    n_molecules: int,
    starts_per_frame: float,
    bleached: NDArray[np.float64] | None,
    rng: np.random.Generator,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield, for every frame, which molecules are on in it and their photons, both of shape (n,)."""
    # The movie starts in the steady state; what is left of an exponential time has the same law as the whole.
    n_lit = rng.poisson(starts_per_frame * _share_alive(simulation, 0) * simulation.on_time_frames)
    lit = _with_more_on(simulation, np.empty(0, _LIT), np.zeros(n_lit), np.arange(n_molecules), rng)
    for frame in range(simulation.n_frames):
        alive = np.arange(n_molecules) if bleached is None else np.flatnonzero(bleached > frame)
        within = rng.uniform(size=rng.poisson(starts_per_frame * _share_alive(simulation, frame)))
        start = frame + (within if simulation.on_time_frames else np.zeros_like(within))
        lit = _with_more_on(simulation, lit, start, alive, rng)
        time_on = np.minimum(lit["stop"], frame + 1) - np.maximum(lit["start"], frame)
        shines = rng.random(len(lit)) >= simulation.dark_fraction if simulation.dark_fraction else slice(None)
        yield lit["molecule"][shines], (lit["photons"] * time_on)[shines]
        lit = lit[lit["stop"] > frame + 1]


def _with_more_on(
    simulation: Simulation,
    lit: NDArray[Any],
    start: NDArray[np.float64],
    molecules: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[Any]:
    """Let as many dark ones of some molecules go on as there are moments in `start`; those in `lit` stay on."""
    new = np.empty(max(min(len(start), len(molecules) - len(lit)), 0), _LIT)
    # As many again as are on: whichever of these were drawn, enough dark ones are left.
    drawn = molecules[rng.choice(len(molecules), size=min(len(new) + len(lit), len(molecules)), replace=False)]
    new["molecule"] = drawn[~np.isin(drawn, lit["molecule"])][: len(new)]
    new["photons"] = simulation.photons * np.exp(simulation.photons_spread * rng.normal(size=len(new)))
    new["start"] = start[: len(new)]
    time = rng.exponential(simulation.on_time_frames, len(new)) if simulation.on_time_frames else 1.0
    new["stop"] = new["start"] + time
    return np.concatenate([lit, new])


# -- what the camera sees -----------------------------------------------------------------------------------------


def _chunks(
    simulation: Simulation,
    sample: _Sample,
    blinking: Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]],
    rng: np.random.Generator,
    chunk_frames: int,
    about: dict[str, Any],
) -> Iterator[Chunk]:
    # Frames are drawn and exposed one by one, so that the pieces' size cannot change a bit of them.
    for first in range(0, simulation.n_frames, chunk_frames):
        frames, tables = [], []
        for frame in range(first, min(first + chunk_frames, simulation.n_frames)):
            which, photons = next(blinking)
            n_beads = len(sample.fiducials)
            y, x = (np.concatenate([sample.molecules[which], sample.fiducials]) + sample.drift[frame]).T
            photons = np.concatenate([photons, np.full(n_beads, simulation.fiducial_photons)])
            is_bead = np.arange(len(y)) >= len(y) - n_beads
            frames.append(_exposed(simulation, y, x, photons, rng))
            seen = within_frame(y, x, simulation.frame_shape) & (photons >= simulation.min_photons)
            tables.append(np.column_stack([np.full(len(y), frame), y, x, photons, is_bead])[seen])
        yield np.stack(frames), _truth(simulation, np.concatenate(tables), about)


def _exposed(
    simulation: Simulation,
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    photons: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.uint16]:
    """Return one frame, shape (Y, X), of molecules that give these photons."""
    shape = (1, *simulation.frame_shape)
    light = draw_gaussians(shape, np.zeros(len(y), np.int64), y, x, photons, simulation.sigma_px)[0]
    return simulation.camera.expose(light + simulation.background, rng)


def _truth(simulation: Simulation, rows: NDArray[np.float64], about: dict[str, Any]) -> Localizations:
    """Return the truth from rows of frame, y, x, photons and whether it is a fiducial, shape (N, 5)."""
    frame, y, x, photons, is_bead = rows.T
    background, sigma = np.full(len(rows), simulation.background), np.full(len(rows), simulation.sigma_px)
    values = (frame, y, x, photons, background, sigma)
    extra = {FIDUCIAL: is_bead.astype(np.int64)} if simulation.fiducials else {}
    return Localizations(dict(zip(TRUTH_COLUMNS, values, strict=True)), extra=extra, **about)


# -- checks -------------------------------------------------------------------------------------------------------


def _check_count(name: str, value: Any) -> None:
    if not _is_count(value):
        raise InputError(f"simulation: {name} must be a whole number from 1, got {value!r}")


def _is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= least)


def _checked_number(name: str, value: Any, *, positive: bool) -> float:
    checked = records.number("simulation", name, value)
    if checked < 0 or (positive and checked == 0):
        raise InputError(f"simulation: {name} must {'be positive' if positive else 'not be negative'}, got {checked:g}")
    return checked
