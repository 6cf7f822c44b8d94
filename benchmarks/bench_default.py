"""What the model for many microscopes reaches: on the test movies, near the Cramer-Rao bound, in its probabilities.

Nothing here is trained, tuned or chosen on the test movies. They need their folder: ``NAPARI_SUBPIXEL_DATA``.
``--model NAME|PATH`` measures another model of its kind; ``--simulation-only`` leaves the movies out; ``--write-card``
puts the scores on them into the model's card.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import data_folder, machine, markdown
from numpy.typing import NDArray

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import within_frame
from napari_subpixel.detector import Detector
from napari_subpixel.domain import Domain
from napari_subpixel.estimate import estimate_sigma_px
from napari_subpixel.evaluate import evaluate
from napari_subpixel.localizations import Localizations
from napari_subpixel.merging import FAINTEST
from napari_subpixel.models import find, read_card, write_card
from napari_subpixel.psf import draw_gaussians, pixel_fractions
from napari_subpixel.scenes import Scene, add_light, draw_scene, precision_px
from napari_subpixel.stacks import open_stack

EMCCD = Camera(100.0, 100.0, 145.28, 1.0, 300.0)
CCD = Camera(100.0, 200.0, 1.0)
CHALLENGE = Camera(100.0, 100.0, 45.0, 0.9, 300.0)
#: Movie, its truth, camera, sigma in pixels, floors at 25 and 50 nm.
MOVIES = (
    ("deepstorm_demo1/test.tif", "deepstorm_demo1/test_truth.csv", EMCCD, 1.096, 0.34, 0.67),
    ("nairr_2dgauss/validate_ld.tif", "nairr_2dgauss/validate_ld_truth.csv", CCD, 1.088, None, 0.90),
    ("nairr_2dgauss/validate_md.tif", "nairr_2dgauss/validate_md_truth.csv", CCD, 1.088, None, 0.75),
    ("nairr_2dgauss/validate_hd.tif", "nairr_2dgauss/validate_hd_truth.csv", CCD, 1.088, None, 0.65),
)  # fmt: skip
#: What of the challenge's astigmatic movie a two-dimensional model has to find.
BRIGHT_PHOTONS, IN_FOCUS_NM, BORDER_NM = 1000.0, 300.0, 500.0
#: Scenes in which the model has to know itself: their bound, and the share of molecules found, within this distance.
KNOWN_PX, FOUND, NEAR_NM = 0.5, 0.9, 100.0
SCENES, SCENE_SHAPE = 400, (64, 72)


# -- the test movies ----------------------------------------------------------------------------------------------


def movie_rows(model: str, figures: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the scores on each test movie, and put them into `figures`."""
    for movie, truth_name, camera, sigma_px, *floors in MOVIES:
        truth = formats.read(data_folder() / truth_name, pixel_size_nm=100)
        detector = Detector(model, device="cpu")
        with open_stack(data_folder() / movie) as stack:
            frames = stack[:]
        began = time.perf_counter()
        found = detector.detect(frames, camera=camera, sigma_px=sigma_px).with_about(pixel_size_nm=100.0)
        seconds = time.perf_counter() - began
        scores = evaluate(found, truth, (25.0, 50.0, 100.0))
        wanted = ["-" if floor is None else f"{floor:.2f}" for floor in floors]
        for score in scores[:2]:
            figures[f"{Path(movie).stem}_jaccard_{score.tolerance_nm:g}_nm"] = round(score.jaccard, 3)
        cells = [f"{s.jaccard:.3f} ({w})" for s, w in zip(scores, [*wanted, "-"], strict=True)]
        yield [movie, *cells, f"{scores[2].recall:.3f}", f"{len(frames) / seconds:.0f}"]


def challenge_row(model: str) -> list[str]:
    """Of the molecules that have to be found in the challenge's movie, how many are within 100 nm, offset removed."""
    folder = data_folder() / "challenge2016_mt0_n1_ld"
    truth = formats.read(folder / "activations_frames_1-64.csv", pixel_size_nm=100)
    with open_stack(folder / "frames_1-64.tif") as stack:
        frames = stack[:]
    found = Detector(model, device="cpu").detect(frames, camera=CHALLENGE, sigma_px=estimate_sigma_px(frames))
    score = evaluate(found.with_about(pixel_size_nm=100.0), truth, (100.0,), remove_offset=True)[0]
    height, width = frames.shape[1:]
    inside = within_frame(truth.y, truth.x, (height, width), border_px=BORDER_NM / 100)
    wanted = inside & (truth["photons"] > BRIGHT_PHOTONS) & (np.abs(truth["z_nm"]) < IN_FOCUS_NM)
    hit = np.zeros(len(truth), bool)
    hit[score.pairs[:, 1]] = True
    return [f"{(hit & wanted).sum()} of {wanted.sum()}", f"{score.false_positives} of {len(found)}"]


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


def isolated_rows(model: str, rng: np.random.Generator, n_frames: int = 60) -> Iterator[list[str]]:
    detector = Detector(model, device="cpu")
    for sigma in (0.9, 1.2, 1.6):
        for photons in (500.0, 1500.0, 5000.0):
            for camera, background in ((EMCCD, 5.0), (CCD, 20.0)):
                centres = np.tile([[12, 12], [12, 36], [36, 12], [36, 36]], (n_frames, 1))
                frame, yx = np.repeat(np.arange(n_frames), 4), centres + rng.uniform(-0.5, 0.5, (4 * n_frames, 2))
                light = draw_gaussians((n_frames, 49, 49), frame, *yx.T, np.full(len(yx), photons), sigma)
                found = detector.detect(camera.expose(light + background, rng), camera=camera, sigma_px=sigma)
                bound = np.mean([bound_px(sigma, photons, background, camera, p) for p in yx[:40] % 1])
                truth = Localizations({"frame": frame, "y": yx[:, 0], "x": yx[:, 1]}, pixel_size_nm=100.0)
                near = evaluate(found.with_about(pixel_size_nm=100.0), truth, (max(30.0, 500 * bound),))[0]
                rmse = near.rmse_nm / 100 / np.sqrt(2)
                yield [
                    f"{sigma:g}", f"{photons:g}", "EMCCD" if camera is EMCCD else "CCD", f"{100 * bound:.1f}",
                    f"{100 * rmse:.1f}", f"{rmse / bound:.2f}", f"{near.recall:.3f}",
                    f"{near.false_positives / n_frames:.2f}",
                ]  # fmt: skip


# -- how well it knows itself -------------------------------------------------------------------------------------


class Known(NamedTuple):
    """What is collected over scenes: see `calibration`."""

    errors: list[NDArray]
    photons: list[NDArray]
    probabilities: list[NDArray]
    hits: list[NDArray]
    pit: list[float]


def calibration(model: str, rng: np.random.Generator) -> tuple[Known, int]:
    """Collect errors over uncertainty, photon ratios, probabilities with hits, and the PIT of counts, over scenes."""
    detector = Detector(model, device="cpu")
    sure, every = detector.threshold, Detector(model, device="cpu", threshold=FAINTEST)
    known, used = Known([], [], [], [], []), 0
    for _ in range(SCENES):
        scene = draw_scene(Domain(), SCENE_SHAPE, rng)
        found, truth = detected(every, scene, rng)
        if not len(truth):
            continue
        near = evaluate(found.select(found["probability"] >= sure), truth, (NEAR_NM,))[0]
        median = float(np.median(truth["photons"]))
        if (
            near.recall < FOUND
            or precision_px(scene.sigma_px, median, scene.background.mean(), scene.camera) > KNOWN_PX
        ):
            continue
        used += 1
        add_scene(known, found, truth, sure, rng)
    return known, used


def detected(detector: Detector, scene: Scene, rng: np.random.Generator) -> tuple[Localizations, Localizations]:
    """Return what is found in one exposure of a scene, and its truth."""
    light = scene.background[None].copy()
    add_light(light, [scene])
    frame = scene.camera.expose(light, rng)
    found = detector.detect(frame, camera=scene.camera, sigma_px=scene.sigma_px)
    y, x, photons = scene.molecules[scene.seen].T
    truth = Localizations({"frame": np.zeros(len(y), int), "y": y, "x": x, "photons": photons})
    size = {"pixel_size_nm": scene.camera.pixel_size_nm}
    return found.with_about(**size), truth.with_about(**size)


def add_scene(known: Known, found: Localizations, truth: Localizations, sure: float, rng: np.random.Generator) -> None:
    """Add one scene to what is collected."""
    strong = found.select(found["probability"] >= sure)
    near = evaluate(strong, truth, (NEAR_NM,))[0]
    mine, real = near.pairs.T
    spread = np.column_stack([strong["y_uncertainty"], strong["x_uncertainty"]])
    known.errors.append(((strong.yx[mine] - truth.yx[real]) / spread[mine]).ravel())
    known.photons.append(strong["photons"][mine] / truth["photons"][real])
    hit = np.zeros(len(found), bool)
    hit[evaluate(found, truth, (NEAR_NM,))[0].pairs[:, 0]] = True
    known.probabilities.append(found["probability"])
    known.hits.append(hit)
    distribution = np.ones(1)
    for p in found["probability"]:
        distribution = np.convolve(distribution, [1 - p, p])
    below = distribution[: len(truth)].sum()
    at = distribution[len(truth)] if len(truth) < len(distribution) else 0.0
    known.pit.append(float(below + rng.uniform() * at))


def calibration_rows(model: str, rng: np.random.Generator) -> list[list[str]]:
    known, used = calibration(model, rng)
    z, ratio = np.concatenate(known.errors), np.concatenate(known.photons)
    p, hit, pit = np.concatenate(known.probabilities), np.concatenate(known.hits), np.array(known.pit)
    bins = np.minimum((10 * p).astype(int), 9)
    gaps = [abs(p[bins == k].mean() - hit[bins == k].mean()) * (bins == k).mean() for k in np.unique(bins)]
    quarter = np.histogram(pit, 4, (0, 1))[0] / len(pit)
    return [
        ["scenes used, of", f"{used} of {SCENES}", "-"],
        ["standard deviation of error / uncertainty", f"{z.std():.3f}", "0.9 to 1.1"],
        ["the same, by the middle 68%", f"{(np.quantile(z, 0.84) - np.quantile(z, 0.16)) / 2:.3f}", "-"],
        ["expected calibration error of the probabilities", f"{sum(gaps):.3f}", "at most 0.05"],
        ["mean photons, found over true", f"{ratio.mean():.3f}", "0.95 to 1.05"],
        ["median photons, found over true", f"{np.median(ratio):.3f}", "-"],
        ["PIT of counts, share in each quarter", " ".join(f"{q:.2f}" for q in quarter), "0.25 each"],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="versatile")
    parser.add_argument("--simulation-only", action="store_true")
    parser.add_argument("--write-card", action="store_true")
    arguments = parser.parse_args()
    detector = Detector(arguments.model, device="cpu")
    print(f"model {detector.card.name}, threshold {detector.threshold:g}; machine: {machine()}\n")
    figures: dict[str, Any] = {"command": "make bench"}
    if not arguments.simulation_only:
        head = ["movie", "J@25 nm (floor)", "J@50 nm (floor)", "J@100 nm", "recall@100 nm", "frames/s"]
        print(markdown(head, list(movie_rows(arguments.model, figures))) + "\n")
        if arguments.write_card:
            path = find(arguments.model)
            write_card(path, replace(read_card(path), figures=figures))
        head = ["challenge2016, bright and in focus, found within 100 nm (floor: all)", "points without a molecule"]
        print(markdown(head, [challenge_row(arguments.model)]) + "\n")
    head = ["sigma, px", "photons", "camera", "bound, nm", "RMSE, nm", "ratio", "recall", "false a frame"]
    print(markdown(head, list(isolated_rows(arguments.model, np.random.default_rng(1)))) + "\n")
    print(markdown(["scenes of the domain", "measured", "wanted"],
                   calibration_rows(arguments.model, np.random.default_rng(2))))  # fmt: skip


if __name__ == "__main__":
    main()
