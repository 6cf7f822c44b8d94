"""Spots that are long, dim, narrow or at edges: warnings, false points and lost molecules; simulated.

    python benchmarks/bench_spots.py [--part NAME] [--model NAME] [--seed N] [--quick]

Parts: `round`, `long` and `aligned` count the movies with a warning that spots are not round; `dim` compares what is
found with and without the limit of significance; `fragments` counts points per long molecule; `narrow` is a PSF of
0.5 px; `edges` counts false points along edges that do not move; `same` compares tiles and batches.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from common import machine, markdown
from scipy.spatial import cKDTree
from spot_movies import ALIGNED, EDGES, KINDS, SCMOS, spots, with_edge

from napari_subpixel.calibration.elongation import measure_elongation
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.localizations import Localizations, concat
from napari_subpixel.psf import GaussianPSF
from napari_subpixel.runs.pipeline import detect_all
from napari_subpixel.stacks import open_stack

#: Standard deviations of the point spread function.
SIGMAS_PX = (0.8, 1.0, 1.3, 1.7, 2.0)
#: Photons of a molecule in a frame.
PHOTONS = (200.0, 500.0, 1000.0, 3000.0, 20_000.0)
#: Photons per pixel.
BACKGROUNDS = (5.0, 50.0, 200.0)
#: Molecules in a frame of 128 x 128 pixels.
DENSITIES = (8.0, 30.0, 80.0)
#: Share of the long spots where some are.
FIFTH = 0.2
#: A molecule is found by a point within this distance.
NEAR_PX = 2.5
#: Molecules beyond the frame are found in it, near its edge.
BORDER_NM = 500.0

Rows = list[list[object]]


def is_warned(movie: Any, sigma_px: float) -> bool | None:
    """Return whether there is a warning that spots are not round; None where too few are isolated."""
    found = measure_elongation(open_stack(movie), SCMOS, sigma_px)
    return None if found is None else not found.is_round


def counted(warned: list[bool | None]) -> str:
    """Return how many of the movies with isolated spots have a warning."""
    known = [one for one in warned if one is not None]
    return f"{sum(known)} of {len(known)}"


def round_ones(arguments: argparse.Namespace, rng: np.random.Generator) -> tuple[list[str], Rows]:
    """Movies of round spots that have a warning."""
    sigmas = SIGMAS_PX[1:3] if arguments.quick else SIGMAS_PX
    rows: Rows = []
    for density in DENSITIES:
        row: list[object] = [f"{density:g}"]
        for photons in PHOTONS:
            settings = itertools.product(sigmas, BACKGROUNDS)
            row.append(
                counted([
                    is_warned(spots(rng, photons=photons, background=b, sigma_px=s, per_frame=density)[0], s)
                    for s, b in settings
                ])
            )  # fmt: skip
        rows.append(row)
    return ["round spots a frame", *(f"{photons:g} photons" for photons in PHOTONS)], rows


def long_ones(arguments: argparse.Namespace, rng: np.random.Generator) -> tuple[list[str], Rows]:
    """Movies of which a fifth of the spots is long that have a warning."""
    sigmas = SIGMAS_PX[2:3] if arguments.quick else SIGMAS_PX
    rows: Rows = []
    for kind, ratio in itertools.product(KINDS, (1.3, 1.5, 2.0)):
        row: list[object] = [f"{kind}, {ratio:g} : 1"]
        for photons in PHOTONS[2:]:
            of = {"photons": photons, "background": 20.0, "ratio": ratio, "share": FIFTH, "kind": kind, "n_frames": 60}
            row.append(counted([is_warned(spots(rng, sigma_px=s, **of)[0], s) for s in sigmas]))
        rows.append(row)
    return ["a fifth is long", *(f"{photons:g} photons" for photons in PHOTONS[2:])], rows


def aligned_ones(arguments: argparse.Namespace, rng: np.random.Generator) -> tuple[list[str], Rows]:
    """Movies of which all spots are long in one direction that have a warning."""
    sigmas, backgrounds = (SIGMAS_PX[2:3], BACKGROUNDS[:1]) if arguments.quick else (SIGMAS_PX, BACKGROUNDS)
    rows: Rows = []
    for ratio in (1.1, 1.15, 1.2, 1.3):
        row: list[object] = [f"{ratio:g} : 1"]
        for photons in PHOTONS[:4]:
            of = {"photons": photons, "ratio": ratio, "share": 1.0, "kind": ALIGNED, "n_frames": 60}
            settings = itertools.product(sigmas, backgrounds)
            row.append(counted([is_warned(spots(rng, sigma_px=s, background=b, **of)[0], s) for s, b in settings]))
        rows.append(row)
    return ["all are long, in one direction", *(f"{photons:g} photons" for photons in PHOTONS[:4])], rows


def options(sigma_px: float = 1.3, **more: Any) -> DetectionOptions:
    """Return what is given of the microscope: all but how bright molecules are."""
    return DetectionOptions(SCMOS, psf=GaussianPSF(100.0 * sigma_px), **more)


def dim_ones(arguments: argparse.Namespace, rng: np.random.Generator) -> tuple[list[str], Rows]:
    """Precision and recall with and without the limit of significance, of three molecules in 256 x 256 pixels."""
    detector, rows = arguments.detector, []
    for photons, background in ((200.0, 5.0), (500.0, 20.0), (3000.0, 50.0), (10_000.0, 100.0), (30_000.0, 100.0)):
        movie, truth = spots(
            rng, photons=photons, background=background, sigma_px=1.3, per_frame=3.0, shape=(256, 256), spread=0.5,
            n_frames=12 if arguments.quick else 60,
        )  # fmt: skip
        job = job_for(open_stack(movie), detector, options())
        row: list[object] = [f"{photons:g} photons on {background:g}", f"{job.min_significance:g}"]
        for limit in (0.0, job.min_significance):
            table = detect_all(replace(job, min_significance=limit))
            score = evaluate(table.with_about(pixel_size_nm=100.0), truth, 100.0 * NEAR_PX, border_nm=BORDER_NM)[0]
            row += [f"{score.precision:.3f}", f"{score.recall:.3f}"]
        rows.append(row)
    return ["three molecules a frame", "limit", "precision without", "recall", "precision with", "recall"], rows


def fragments(arguments: argparse.Namespace, rng: np.random.Generator) -> tuple[list[str], Rows]:
    """Points per isolated long molecule, without and with its photons given, and errors over uncertainties."""
    rows: Rows = []
    for photons, spread in itertools.product((2000.0, 6000.0, 20_000.0), (0.2, 0.5)):
        movie, truth = spots(
            rng, photons=photons, background=20.0, sigma_px=1.3, ratio=2.0, share=1.0, per_frame=6.0, spread=spread,
            n_frames=20 if arguments.quick else 60,
        )  # fmt: skip
        row: list[object] = [f"{photons:g} photons, spread by {spread:.0%}"]
        for given in (None, photons):
            table = detect_all(job_for(open_stack(movie), arguments.detector, options(molecule_photons=given)))
            number, ratio = per_molecule(table, truth)
            row += [f"{number:.2f}", f"{ratio:.1f}"]
        rows.append(row)
    return [
        "spots twice as long as wide",
        "points each",
        "error / stated",
        "photons given: points",
        "error / stated",
    ], rows


def per_molecule(table: Localizations, truth: Localizations, isolated_px: float = 16.0) -> tuple[float, float]:
    """Return the points per isolated molecule, and the robust ratio of errors to uncertainties of those with one."""
    places, true = (np.column_stack([t.frame * 1e4, t.y, t.x]) for t in (table, truth))
    alone = np.array([len(near) == 1 for near in cKDTree(true).query_ball_point(true, isolated_px)])
    near = cKDTree(places).query_ball_point(true[alone], isolated_px / 2)
    numbers = np.array([len(points) for points in near])
    one = [k for k in range(len(near)) if numbers[k] == 1]
    index = np.array([near[k][0] for k in one], int)
    errors = (places[index] - true[alone][one])[:, 1:]
    stated = np.column_stack([table["y_uncertainty"], table["x_uncertainty"]])[index]
    ratio = 1.4826 * np.median(np.abs(errors / stated)) if len(one) else np.nan
    return float(numbers.mean()), float(ratio)


def narrow(arguments: argparse.Namespace, rng: np.random.Generator) -> tuple[list[str], Rows]:
    """Molecules found where the PSF is narrower than the model knows."""
    rows: Rows = []
    for photons, background in ((500.0, 5.0), (2000.0, 20.0), (10_000.0, 50.0)):
        movie, truth = spots(rng, photons=photons, background=background, sigma_px=0.5, n_frames=40)
        table = detect_all(job_for(open_stack(movie), arguments.detector, options(0.5)))
        score = evaluate(table.with_about(pixel_size_nm=100.0), truth, 100.0, border_nm=BORDER_NM)[0]
        rows.append([f"{photons:g} photons on {background:g}", f"{score.recall:.2f}", f"{score.precision:.2f}"])
    return ["sigma 0.5 px", "recall", "precision"], rows


def edges(arguments: argparse.Namespace, rng: np.random.Generator) -> tuple[list[str], Rows]:
    """False points along edges that do not move, and true ones, before and after static points are dropped."""
    rows: Rows = []
    for kind, k in itertools.product(EDGES, range(1 if arguments.quick else 3)):
        movie, truth = with_edge(kind, rng)
        job = job_for(open_stack(movie), arguments.detector, options())
        row: list[object] = [f"{kind} {k + 1}", len(truth)]
        for drop in (False, True):
            table = detect_all(replace(job, drop_static=drop))
            true = near_truth(table, truth)
            row += [int(true.sum()), int((~true).sum())]
        rows.append(row)
    return ["edge", "molecules", "true", "false", "dropped: true", "false"], rows


def near_truth(table: Localizations, truth: Localizations) -> Any:
    """Return which points lie within `NEAR_PX` of a molecule."""
    places, true = (np.column_stack([t.frame * 1e4, t.y, t.x]) for t in (table, truth))
    return cKDTree(true).query(places)[0] < NEAR_PX


def same(arguments: argparse.Namespace, rng: np.random.Generator) -> tuple[list[str], Rows]:
    """Points that differ between tiles and batches, with a limit of significance."""
    movie, _ = spots(
        rng, photons=400.0, background=50.0, sigma_px=1.3, per_frame=25.0, spread=0.7, shape=(256, 256),
        n_frames=12 if arguments.quick else 40,
    )  # fmt: skip

    def found(tile_px: int, batch: int) -> Localizations:
        detector = Detector(arguments.model, device="cpu", tile_px=tile_px)
        return concat([
            detector.detect(movie[k : k + batch], first_frame=k, camera=SCMOS, sigma_px=1.3, min_significance=5.0)
            for k in range(0, len(movie), batch)
        ])  # fmt: skip

    first, rows = found(256, len(movie)), []
    for tile_px, batch in ((64, len(movie)), (256, 7), (128, 1)):
        table = found(tile_px, batch)
        places = [np.column_stack([t.frame * 1e4, t.y, t.x]) for t in (first, table)]
        apart, which = cKDTree(places[1]).query(places[0])
        there = apart < 0.1
        change = np.abs(first["probability"][there] - table["probability"][which[there]])
        rows.append([
            f"tiles of {tile_px} px, batches of {batch}", len(first), len(table), int((~there).sum()),
            f"{apart[there].max():.1e}", f"{change.max():.1e}",
        ])  # fmt: skip
    return ["against tiles of 256 px, one batch", "points", "points", "not in both", "moved, px", "probability"], rows


PARTS: dict[str, Callable[[argparse.Namespace, np.random.Generator], tuple[list[str], Rows]]] = {
    "round": round_ones, "long": long_ones, "aligned": aligned_ones, "dim": dim_ones, "fragments": fragments,
    "narrow": narrow, "edges": edges, "same": same,
}  # fmt: skip


def tables(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield a table for each part."""
    for name in arguments.part or PARTS:
        header, rows = PARTS[name](arguments, np.random.default_rng([arguments.seed, len(name)]))
        yield f"{PARTS[name].__doc__}\n\n{markdown(header, rows)}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append", help="one of the parts; may be repeated")
    parser.add_argument("--model", default="default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    arguments.detector = Detector(arguments.model, device="cpu")
    print(f"machine: {machine()}\n")
    for table in tables(arguments):
        print(table, flush=True)


if __name__ == "__main__":
    main()
