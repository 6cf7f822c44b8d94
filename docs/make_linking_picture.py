"""Make the picture of linking: the share of molecules found whole by a fixed radius, and by their uncertainties.

    python docs/make_linking_picture.py

Molecules on filaments, of uncertainties from 5 to 25 nm, are simulated; the fixed radius links each row to the nearest
free one of the frame before.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.figures import BLUE, VERMILION, new_figure, save_figure
from napari_subpixel.analysis.linking import link
from napari_subpixel.localizations import Localizations

PICTURE = Path(__file__).parent / "images" / "linking.png"
#: Molecules that are simulated,
N_MOLECULES = 12_000
#: in so many frames,
N_FRAMES = 1_500
#: each on for so many of them on average,
ON_FRAMES = 3.0
#: on so many filaments
FILAMENTS = 20
#: in a square field this wide.
FIELD_NM = 8_000.0
#: Width of a camera pixel.
PIXEL_NM = 100.0
#: Fixed radii that are tried.
RADII_NM = (15, 20, 30, 40, 50, 60, 80, 100, 130)


def main() -> None:
    """Simulate, link both ways, draw."""
    table, event = simulated()
    ours = f1_of_whole(event, link(table).group)
    fixed = [f1_of_whole(event, by_radius(table, radius)) for radius in RADII_NM]
    figure = new_figure(6.0, 3.4)
    axes = figure.subplots()
    axes.plot(RADII_NM, fixed, "o-", color=VERMILION, label="a fixed radius")
    axes.axhline(ours, color=BLUE, label="by their uncertainties")
    axes.set_xlabel("radius [nm]")
    axes.set_ylabel("F1 of molecules found whole")
    axes.legend(frameon=False)
    save_figure(figure, PICTURE, title="Linking", overwrite=True)
    print(f"{ours:.3f}; by radius {max(fixed):.3f} at best")


def simulated() -> tuple[Localizations, NDArray[np.int64]]:
    """Return rows of molecules on straight filaments, and the molecule of each."""
    rng = np.random.default_rng(7)
    start, angle = rng.uniform(0, FIELD_NM, (FILAMENTS, 2)), rng.uniform(0, np.pi, FILAMENTS)
    which, along = rng.integers(FILAMENTS, size=N_MOLECULES), rng.uniform(-FIELD_NM / 2, FIELD_NM / 2, N_MOLECULES)
    place = start[which] + np.column_stack([np.sin(angle[which]), np.cos(angle[which])]) * along[:, None]
    on, first = rng.geometric(1 / ON_FRAMES, N_MOLECULES), rng.integers(0, N_FRAMES, N_MOLECULES)
    event = np.repeat(np.arange(N_MOLECULES), on)
    frame = first[event] + np.arange(on.sum()) - np.repeat(np.cumsum(on) - on, on)
    order = np.argsort(frame, kind="stable")
    event, frame = event[order], frame[order]
    sigma = np.exp(rng.uniform(np.log(5), np.log(25), len(event)))
    y, x = (place[event] + rng.normal(size=(len(event), 2)) * sigma[:, None]).T / PIXEL_NM
    columns = {"frame": frame, "y": y, "x": x, "y_uncertainty": sigma / PIXEL_NM, "x_uncertainty": sigma / PIXEL_NM}
    return Localizations(columns, pixel_size_nm=PIXEL_NM), event


def by_radius(table: Localizations, radius_nm: float) -> NDArray[np.int64]:
    """Return groups of rows that are within a radius of the nearest free row of the frame before."""
    group = np.full(len(table), -1)
    edges = np.searchsorted(table.frame, np.arange(table.frame[-1] + 2))
    n = 0
    for frame in range(len(edges) - 1):
        before = range(edges[frame - 1], edges[frame]) if frame else range(0)
        now = range(edges[frame], edges[frame + 1])
        far = np.linalg.norm(table.yx[now][:, None] - table.yx[before][None], axis=-1) * PIXEL_NM
        taken: set[int] = set()
        for i, j in np.argwhere(far <= radius_nm)[np.argsort(far[far <= radius_nm])]:
            if group[now[i]] < 0 and before[j] not in taken:
                taken.add(before[j])
                group[now[i]] = group[before[j]]
        for i in now:
            if group[i] < 0:
                group[i], n = n, n + 1
    return group


def f1_of_whole(event: NDArray[np.int64], group: NDArray[np.int64]) -> float:
    """Return F1 of the groups that have exactly the rows of a molecule."""
    (_, event), (_, group) = (np.unique(values, return_inverse=True) for values in (event, group))
    in_event, in_group = np.bincount(event), np.bincount(group)
    pairs, counts = np.unique(np.column_stack([event, group]), axis=0, return_counts=True)
    whole = (counts == in_event[pairs[:, 0]]) & (counts == in_group[pairs[:, 1]])
    return float(2 * whole.sum() / (len(in_event) + len(in_group)))


if __name__ == "__main__":
    main()
