"""How near the Cramer-Rao bound the model for many microscopes comes, and how well it knows itself; all simulated.

Isolated molecules, whose point spread function is a Gaussian or an Airy disk, are compared with the bound. Movies of
randomly drawn microscopes, within the ranges that the model is made for, tell whether its uncertainties, probabilities,
photons and counts are what they claim to be. ``--model NAME|PATH`` measures another model of its kind.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from common import machine, markdown, write_figures
from numpy.typing import NDArray
from scipy.special import j1

from napari_subpixel.calibration.psf_width import estimate_sigma_px
from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.merging import MIN_PROBABILITY
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.models.domain import Domain, draw_log_uniform
from napari_subpixel.psf import GaussianPSF, draw_gaussians, pixel_fractions
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack
from napari_subpixel.training.scenes import draw_camera, precision_px

EMCCD, CCD = Camera(100.0, 100.0, 145.28, 1.0, 300.0), Camera(100.0, 200.0, 1.0)
#: Movies of the domain, and of each its frames: every other one says whether it counts, the others are measured.
MOVIES, FRAMES, SHAPE = 150, 12, (64, 72)
#: What counts: the bound in nm, and the share of molecules found within this distance.
KNOWN_NM, FOUND, NEAR_NM = 50.0, 0.9, 100.0
#: Columns of what is measured of isolated molecules, and which of them is the ratio.
HEAD = ("sigma, px", "assumed", "photons", "camera", "bound, nm", "RMSE, nm", "ratio", "recall", "false a frame")
RATIO = HEAD.index("ratio")
#: Distance of a molecule's centre to the first dark ring of an Airy disk, over the standard deviation of the Gaussian
#: that fits its middle best.
AIRY_RING = 0.61 / 0.21


# -- isolated molecules against the bound -------------------------------------------------------------------------


def bound_px(sigma_px: float, photons: float, background: float, camera: Camera, yx: NDArray) -> float:
    """Return the Cramer-Rao bound of a position, for one place in the pixel, the mean over both axes."""
    reach, step = 12, 1e-4

    def light(dy: float, dx: float) -> NDArray:
        y, x = (
            pixel_fractions(np.array([v]), np.array([sigma_px]), reach, np.dtype(float))[0]
            for v in (yx[0] + dy, yx[1] + dx)
        )
        return photons * np.outer(y, x)

    mean = light(0, 0) + background
    slopes = [light(step, 0) - light(-step, 0), light(0, step) - light(0, -step)]
    parts = [s / (2 * step) for s in slopes] + [light(0, 0) / photons, np.ones_like(mean)]
    variance = camera.variance_per_photon * mean + float(np.mean(np.square(camera.read_noise_photons)))
    information = [[(a * b / variance).sum() for a in parts] for b in parts]
    return float(np.sqrt(np.trace(np.linalg.inv(information)[:2, :2]) / 2))


def airy(shape: tuple[int, int, int], frame: NDArray, y: NDArray, x: NDArray, photons: float, sigma: float) -> NDArray:
    """Return frames of Airy disks, each seen as far as 12 standard deviations, integrated over pixels."""
    fine, frames = 5, np.zeros(shape)
    inner = (np.arange(fine) - (fine - 1) / 2) / fine
    rows, columns = ((np.arange(n)[:, None] + inner).ravel() for n in shape[1:])
    for t, y0, x0 in zip(frame, y, x, strict=True):
        u = 3.8317 * np.hypot(rows[:, None] - y0, columns - x0) / (AIRY_RING * sigma) + 1e-9
        disk = ((2 * j1(u) / u) ** 2).reshape(shape[1], fine, shape[2], fine).sum(axis=(1, 3))
        # The whole plane under (2 J1(u) / u)^2 is 4 pi.
        frames[t] += photons * disk / fine**2 * (3.8317 / (AIRY_RING * sigma)) ** 2 / (4 * np.pi)
    return frames


def isolated_rows(model: str, rng: np.random.Generator, *, disks: bool, n_frames: int = 60) -> Iterator[list[str]]:
    """Yield recall and error for each width, brightness and camera; of Airy disks the width is estimated."""
    detector = Detector(model, device="cpu")
    for sigma in (0.9, 1.2, 1.6):
        for photons in (500.0, 1500.0, 5000.0):
            for camera, background in ((EMCCD, 5.0), (CCD, 20.0)):
                centres = np.tile([[12, 12], [12, 36], [36, 12], [36, 36]], (n_frames, 1))
                frame, yx = np.repeat(np.arange(n_frames), 4), centres + rng.uniform(-0.5, 0.5, (4 * n_frames, 2))
                shape = (n_frames, 49, 49)
                light = (
                    airy(shape, frame, *yx.T, photons, sigma)
                    if disks
                    else draw_gaussians(shape, frame, *yx.T, np.full(len(yx), photons), sigma)
                )
                movie = camera.expose(light + background, rng)
                width = sigma
                if disks:  # estimated from molecules anywhere, as in a movie: those above are in rows
                    anywhere = airy(shape, frame, *rng.uniform(0, 48, (2, len(frame))), photons, sigma)
                    width = estimate_sigma_px(camera.expose(anywhere + background, rng))
                found = detector.detect(movie, camera=camera, sigma_px=width)
                bound = np.mean([bound_px(sigma, photons, background, camera, p) for p in yx[:40] % 1])
                truth = Localizations({"frame": frame, "y": yx[:, 0], "x": yx[:, 1]}, pixel_size_nm=100.0)
                near = evaluate(found.with_about(pixel_size_nm=100.0), truth, (max(30.0, 500 * bound),))[0]
                rmse = near.rmse_nm / 100 / np.sqrt(2)
                yield [
                    f"{sigma:g}", f"{width:.2f}", f"{photons:g}", "EMCCD" if camera is EMCCD else "CCD",
                    f"{100 * bound:.1f}", f"{100 * rmse:.1f}", f"{rmse / bound:.2f}", f"{near.recall:.3f}",
                    f"{near.false_positives / n_frames:.2f}",
                ]  # fmt: skip


# -- how well it knows itself -------------------------------------------------------------------------------------


class Known(NamedTuple):
    """What is collected over the movies that count; lists of arrays, and the PIT of every frame's count."""

    errors: list[NDArray]
    photons: list[NDArray]
    probabilities: list[NDArray]
    hits: list[NDArray]
    pit: list[float]


def draw_movie(rng: np.random.Generator) -> Simulation:
    """Draw the settings of a movie from the model's ranges."""
    domain, camera = Domain(), draw_camera(SHAPE, rng)
    density = float(draw_log_uniform(rng, (0.0008, domain.density_per_px[1])))
    assert camera.pixel_size_nm is not None
    return Simulation(
        frame_shape=SHAPE,
        n_frames=FRAMES,
        camera=camera,
        psf=GaussianPSF(camera.pixel_size_nm * float(draw_log_uniform(rng, domain.sigma_px))),
        structure=str(rng.choice(["uniform", "filaments"])),
        emitters_per_frame=density * SHAPE[0] * SHAPE[1],
        photons=float(draw_log_uniform(rng, domain.photons)),
        photons_spread=float(rng.uniform(0, 0.6)),
        min_photons=0.0,
        background=float(draw_log_uniform(rng, domain.background)),
        on_time_frames=0.0,
        molecules=20_000,
    )


def calibration(model: str, rng: np.random.Generator) -> tuple[Known, int]:
    """Collect what is known over the movies that count, and how many they are."""
    detector = Detector(model, device="cpu", threshold=MIN_PROBABILITY)
    known, used = Known([], [], [], [], []), 0
    for _ in range(MOVIES):
        settings = draw_movie(rng)
        movie, truth = simulate(settings, rng)
        size, sigma = settings.pixel_size_nm, settings.sigma_px
        if size * precision_px(sigma, settings.photons, settings.background, settings.camera) > KNOWN_NM:
            continue
        job = job_for(
            open_stack(movie), detector, DetectionOptions(settings.camera, psf=settings.psf, estimate_camera=False)
        )
        found = detect_all(job)
        halves = [[part(table, k) for table in (found, truth)] for k in (0, 1)]
        strong, real = sure(halves[0][0], detector), halves[0][1]
        if not len(real) or evaluate(strong, real, (NEAR_NM,))[0].recall < FOUND:
            continue
        used += 1
        add(known, *halves[1], detector, rng)
    return known, used


def part(table: Localizations, k: int) -> Localizations:
    """Return the even (0) or odd (1) frames."""
    return table.select(table.frame % 2 == k)


def sure(found: Localizations, detector: Detector) -> Localizations:
    """Return what is above the model's threshold."""
    return found.select(found["probability"] >= detector.card.threshold)


def add(known: Known, found: Localizations, truth: Localizations, detector: Detector, rng: np.random.Generator) -> None:
    """Add the frames of one movie to what is collected."""
    strong = sure(found, detector)
    mine, real = evaluate(strong, truth, (NEAR_NM,))[0].pairs.T
    spread = np.column_stack([strong["y_uncertainty"], strong["x_uncertainty"]])
    known.errors.append(((strong.yx[mine] - truth.yx[real]) / spread[mine]).ravel())
    known.photons.append(strong["photons"][mine] / truth["photons"][real])
    known.probabilities.append(found["probability"])
    known.hits.append(hits(found, truth))
    for frame in range(1, FRAMES, 2):
        known.pit.append(pit(found["probability"][found.frame == frame], int((truth.frame == frame).sum()), rng))


def hits(found: Localizations, truth: Localizations) -> NDArray[np.bool_]:
    """Say which points are a molecule: from the most probable on, each takes the nearest that none has taken yet.

    It must be within `NEAR_NM`. Were points matched by distance alone, a faint one that happens to lie nearer would
    take the molecule of a sure one.
    """
    assert truth.pixel_size_nm is not None
    hit = np.zeros(len(found), bool)
    for frame in np.unique(truth.frame):
        mine, molecules = np.flatnonzero(found.frame == frame), truth.yx[truth.frame == frame]
        distance = np.linalg.norm(found.yx[mine][:, None] - molecules, axis=2)
        distance[distance > NEAR_NM / truth.pixel_size_nm] = np.inf
        for i in np.argsort(-found["probability"][mine], kind="stable"):
            nearest = distance[i].argmin()
            hit[mine[i]] = np.isfinite(distance[i, nearest])
            if hit[mine[i]]:
                distance[:, nearest] = np.inf
    return hit


def pit(p: NDArray, number: int, rng: np.random.Generator) -> float:
    """Randomised probability integral transform of a count under the Poisson-binomial distribution of the points."""
    distribution = np.ones(1)
    for one in p:
        distribution = np.convolve(distribution, [1 - one, one])
    at = distribution[number] if number < len(distribution) else 0.0
    return float(distribution[:number].sum() + rng.uniform() * at)


def calibration_rows(model: str, rng: np.random.Generator, figures: dict[str, Any]) -> list[list[str]]:
    """Return what was measured and what is wanted, and put the first into `figures`."""
    known, used = calibration(model, rng)
    z, ratio = np.concatenate(known.errors), np.concatenate(known.photons)
    p, hit, pits = np.concatenate(known.probabilities), np.concatenate(known.hits), np.array(known.pit)
    bins = np.minimum((10 * p).astype(int), 9)
    gaps = [abs(p[bins == k].mean() - hit[bins == k].mean()) * (bins == k).mean() for k in np.unique(bins)]
    quarter = np.histogram(pits, 4, (0, 1))[0] / len(pits)
    each = [np.mean(r) for r in known.photons if len(r)]
    figures |= {
        "standard_deviation_of_error_over_uncertainty": round(float(z.std()), 3),
        "calibration_error_of_probability": round(float(sum(gaps)), 3),
        "mean_photons_found_over_true": round(float(ratio.mean()), 3),
        "pit_of_counts_in_quarters": [round(float(q), 2) for q in quarter],
    }
    return [
        ["movies used, of", f"{used} of {MOVIES}", "-"],
        ["molecules, frames", f"{len(ratio)}, {len(pits)}", "-"],
        ["standard deviation of error / uncertainty", f"{z.std():.3f}", "0.9 to 1.1"],
        ["the same, by the middle 68%", f"{(np.quantile(z, 0.84) - np.quantile(z, 0.16)) / 2:.3f}", "-"],
        ["expected calibration error of the probabilities", f"{sum(gaps):.3f}", "at most 0.05"],
        ["mean photons, found over true", f"{ratio.mean():.3f}", "0.95 to 1.05"],
        ["the same, each movie alike", f"{np.mean(each):.3f}", "-"],
        ["median photons, found over true", f"{np.median(ratio):.3f}", "-"],
        ["PIT of counts, share in each quarter", " ".join(f"{q:.2f}" for q in quarter), "0.25 each"],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--write-card", action="store_true")
    arguments = parser.parse_args()
    detector = Detector(arguments.model, device="cpu")
    print(f"model {detector.card.name}, threshold {detector.threshold:g}; machine: {machine()}\n")
    figures: dict[str, Any] = {"calibration_command": "python benchmarks/bench_calibration.py"}
    for name, disks in (("Gaussian", False), ("Airy disk", True)):
        rows = list(isolated_rows(arguments.model, np.random.default_rng(1), disks=disks))
        ratios = [float(row[RATIO]) for row in rows]
        figures[f"rmse_over_bound_{name.split()[0].lower()}"] = [min(ratios), max(ratios)]
        print(f"Isolated molecules, {name}; the bound is a Gaussian's.\n\n{markdown(HEAD, rows)}\n")
    rows = calibration_rows(arguments.model, np.random.default_rng(2), figures)
    print(markdown(["simulated movies of the domain", "measured", "wanted"], rows))
    if arguments.write_card:
        write_figures(arguments.model, figures)


if __name__ == "__main__":
    main()
