"""Seconds and memory to score a million localizations against a million molecules.

    python benchmarks/bench_scoring.py [--points 1000000] [--case crowded ...] [--pattern filaments ...] [--quick]

The result holds 90% of the molecules, with an error of 15 nm along each axis, and as many false ones as it lacks. It is
scored at 25 and 50 nm together, as the command line does by default, and at the 250 nm of the SMLM challenge; each
by the optimal pairing and, after a slash, by the greedy one, which is the challenge's.
Where frames are small enough, the plain way is timed too: a full matrix of distances for every frame, solved by
SciPy's `linear_sum_assignment`, at 50 nm alone.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np
from common import machine, markdown
from peaks import shown, with_peak
from point_patterns import PATTERNS, places
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from napari_subpixel.evaluation.evaluate import evaluate
from napari_subpixel.evaluation.matching import Pairing
from napari_subpixel.evaluation.scores import Evaluation
from napari_subpixel.localizations import Localizations

#: Molecules of a table.
POINTS = 1_000_000
#: Molecules of a table of a quick run.
QUICK_POINTS = 3_000
#: Size of a pixel.
PIXEL_NM = 100.0
#: Share of the molecules that are found.
FOUND = 0.9
#: Standard deviation of their error along each axis.
ERROR_PX = 0.15
#: Frames that a million molecules are spread over, and the width of a frame in pixels.
CASES = {"sparse": (100_000, 128), "crowded": (5_000, 64), "few frames": (10, 2048), "one frame": (1, 8192)}
#: The plain way is shown where a frame has no more molecules than this.
PLAIN_PER_FRAME = 500


def tables(case: str, pattern: str, n: int) -> tuple[Localizations, Localizations]:
    """Return a result and its truth."""
    rng = np.random.default_rng(1)
    frames, side = CASES[case]
    frames = max(1, frames * n // POINTS)
    truth_frame, truth = np.sort(rng.integers(0, frames, n)), places(pattern, n, side, rng)
    kept = rng.random(n) < FOUND
    n_false = n - np.count_nonzero(kept)
    found_frame = np.concatenate([truth_frame[kept], rng.integers(0, frames, n_false)])
    found = truth[:, kept] + rng.normal(0, ERROR_PX, (2, n - n_false))
    found = np.concatenate([found, places(pattern, n_false, side, rng)], axis=1)
    order = np.argsort(found_frame, kind="stable")
    about = {"pixel_size_nm": PIXEL_NM, "frame_shape": (side, side)}
    return (
        Localizations({"frame": found_frame[order], "y": found[0, order], "x": found[1, order]}, **about),
        Localizations({"frame": truth_frame, "y": truth[0], "x": truth[1]}, **about),
    )


def scored(
    found: Localizations, truth: Localizations, *tolerances_nm: float, pairing: Pairing = "optimal"
) -> tuple[float, Evaluation]:
    """Score, and return the seconds and the scores."""
    began = time.perf_counter()
    scores = evaluate(found, truth, tolerances_nm, pairing=pairing)
    return time.perf_counter() - began, scores


def plain(found: Localizations, truth: Localizations, tolerance_nm: float) -> tuple[float, int]:
    """Match by a matrix for each frame, and return the seconds and the number of pairs."""
    began, pairs = time.perf_counter(), 0
    numbers = np.intersect1d(found.frame, truth.frame)
    cuts = [(np.searchsorted(t.frame, numbers), np.searchsorted(t.frame, numbers, "right")) for t in (found, truth)]
    yx, other_yx = found.yx * PIXEL_NM, truth.yx * PIXEL_NM
    for first, last, other_first, other_last in zip(*cuts[0], *cuts[1], strict=True):
        distance = cdist(yx[first:last], other_yx[other_first:other_last])
        near = distance <= tolerance_nm
        chosen = linear_sum_assignment(np.where(near, distance, 1e6))
        pairs += int(near[chosen].sum())
    return time.perf_counter() - began, pairs


def row(case: str, pattern: str, n: int, repeats: int) -> list[object]:
    """Time one case; the best of the runs counts."""
    found, truth = tables(case, pattern, n)
    per_frame = n / max(1, CASES[case][0] * n // POINTS)
    default, challenge, greedy, greedy_challenge, matrix = (float("inf") for _ in range(5))
    for _ in range(repeats):
        (took, scores), peak = with_peak(partial(scored, found, truth, 25.0, 50.0))
        default = min(default, took)
        challenge = min(challenge, scored(found, truth, 250.0)[0])
        greedy = min(greedy, scored(found, truth, 25.0, 50.0, pairing="greedy")[0])
        greedy_challenge = min(greedy_challenge, scored(found, truth, 250.0, pairing="greedy")[0])
        if per_frame <= PLAIN_PER_FRAME:
            took, pairs = plain(found, truth, 50.0)
            assert pairs == scores[1].true_positives, f"{pairs} pairs, not {scores[1].true_positives}"
            matrix = min(matrix, took)
    return [
        case, pattern, f"{per_frame:,.0f}", f"{scores[1].jaccard:.3f}", f"{default:.2f} / {greedy:.2f}",
        f"{challenge:.2f} / {greedy_challenge:.2f}",
        f"{matrix:.2f}" if np.isfinite(matrix) else "-", shown(peak),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--case", action="append", choices=tuple(CASES))
    parser.add_argument("--pattern", action="append", choices=PATTERNS)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="few points, and once")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.points, arguments.repeats = QUICK_POINTS, 1
    print(f"machine: {machine()}; {arguments.points:,} against {arguments.points:,}, best of {arguments.repeats}\n")
    rows = [
        row(case, pattern, arguments.points, arguments.repeats)
        for case in arguments.case or CASES
        for pattern in arguments.pattern or ("uniform", "filaments")
    ]
    header = [
        "frames",
        "points",
        "a frame",
        "Jaccard at 50 nm",
        "at 25 and 50 nm, s",
        "at 250 nm, s",
        "plain way, s",
        "memory, GiB",
    ]
    print(markdown(header, rows))


if __name__ == "__main__":
    main()
