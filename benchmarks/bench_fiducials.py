"""Drift by fiducials of simulated beads with known truth: error, what was promised, and the share within the band.

    python benchmarks/bench_fiducials.py [--movies 5] [--quick]

Movies of 400 frames with beads of 2 nm alone, for some kinds of drift, numbers of beads, and uncertainties. Errors are
root mean squares along y and x over all movies, without the shift of the whole movie. The band is the part of all
frames and both axes whose true drift is within one standard deviation.
"""

from __future__ import annotations

import argparse

import numpy as np
from common import machine, markdown
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from napari_subpixel import Localizations, estimate_drift

PIXEL_NM = 100.0
SIGMA_NM = 2.0
N_FRAMES = 400
KINDS = ("none", "ramp", "slow walk", "fast walk", "smooth walk", "sinus", "jumps")
COUNTS = (1, 2, 5)
#: How uneven the noise of rows is, its power of the uncertainties that are stated, by what these are off, and the part
#: of the frames that a bead is in.
BEADS = {
    "even": (0.05, 1.0, 1.0, 1.0),
    "uneven": (0.5, 1.0, 1.0, 1.0),
    "more uneven than the noise": (0.5, 0.3, 1.0, 1.0),
    "half as large": (0.05, 1.0, 0.5, 1.0),
    "twice as large": (0.05, 1.0, 2.0, 1.0),
    "uneven, in 65% of the frames": (0.5, 1.0, 1.0, 0.65),
}
HEADER = ("beads", "uncertainties", "error [nm]", "promised [nm]", "noise of the mean [nm]", "band")


def drift(kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the drift in y and x by frame, nm."""
    t = np.arange(N_FRAMES)
    slow, fast = (np.cumsum(rng.normal(0, step, (N_FRAMES, 2)), axis=0) for step in (0.2, 3.0))
    return {
        "none": np.zeros((N_FRAMES, 2)),
        "ramp": np.outer(t / N_FRAMES, (80.0, -50.0)),
        "slow walk": slow,
        "fast walk": fast,
        "smooth walk": gaussian_filter1d(fast, 6, axis=0),
        "sinus": np.column_stack([40 * np.sin(t / 12 + rng.uniform(0, 6)), 10 * np.sin(t / 60)]),
        "jumps": slow + np.outer(t >= 160, (40.0, -25.0)) + np.outer(t >= 280, (-20.0, -15.0)),
    }[kind]


def movie(
    kind: str, n_beads: int, beads: tuple[float, ...], rng: np.random.Generator
) -> tuple[Localizations, NDArray[np.float64]]:
    """Return beads that drift, and the drift."""
    spread, power, stated, part = beads
    truth = drift(kind, rng)
    tables = []
    for place in rng.uniform(20, 110, (n_beads, 2)):
        frame = np.flatnonzero(rng.random(N_FRAMES) < part)
        uneven = np.exp(rng.normal(0, spread, len(frame)))
        noise = SIGMA_NM * uneven[:, None] ** power * rng.normal(size=(len(frame), 2))
        sigma = stated * SIGMA_NM * uneven / PIXEL_NM
        tables.append(np.column_stack([frame, place + (truth[frame] + noise) / PIXEL_NM, sigma]))
    frame, y, x, sigma = np.concatenate(tables).T
    columns = {"frame": frame.astype(int), "y": y, "x": x, "y_uncertainty": sigma, "x_uncertainty": sigma}
    return Localizations(columns, pixel_size_nm=PIXEL_NM, n_frames=N_FRAMES, frame_shape=(128, 128)), truth


def line(label: str, n_beads: int, name: str, kinds: tuple[str, ...], n_movies: int) -> list[object]:
    """Return the line of a number of beads and of their uncertainties."""
    squares, promised, band = [], [], []
    for kind in kinds:
        for k in range(n_movies):
            rng = np.random.default_rng([k, n_beads, KINDS.index(kind), list(BEADS).index(name)])
            table, truth = movie(kind, n_beads, BEADS[name], rng)
            curve = estimate_drift(table, fiducials=True)
            off = np.column_stack([curve.y_nm, curve.x_nm]) - truth
            off -= off.mean(axis=0)
            squares.append((off**2).mean())
            promised.append(curve.rms_error_nm**2)
            band.append((np.abs(off) <= np.column_stack([curve.y_error_nm, curve.x_error_nm])).mean())
    error, promise = (f"{np.sqrt(np.mean(values)):.2f}" for values in (squares, promised))
    noise = SIGMA_NM / np.sqrt(n_beads * BEADS[name][3])
    return [n_beads, label, error, promise, f"{noise:.2f}", f"{np.mean(band):.0%}"]


def main() -> None:
    """Print one table by uncertainties, over all kinds of drift, and one by kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=5, help="of each kind")
    parser.add_argument("--quick", action="store_true", help="one movie of two kinds")
    arguments = parser.parse_args()
    print(f"machine: {machine()}\n")
    kinds, n = (("smooth walk", "jumps"), 1) if arguments.quick else (KINDS, arguments.movies)
    print(markdown(HEADER, [line(name, count, name, kinds, n) for name in BEADS for count in COUNTS]))
    print()
    by_kind = (HEADER[0], "drift", *HEADER[2:])
    print(markdown(by_kind, [line(kind, count, "even", (kind,), n) for kind in kinds for count in COUNTS]))


if __name__ == "__main__":
    main()
