"""Simulated rows of blinking molecules whose events are known, for the tests of what follows detection."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from napari_subpixel.localizations import Localizations

PIXEL_NM = 100.0


class Blinking(NamedTuple):
    """Rows, the event of each, and the true place of every event in nm."""

    table: Localizations
    event: np.ndarray
    place_nm: np.ndarray


def blinking(
    *, n_events: int = 4000, n_frames: int = 3000, on_frames: float = 3.0, sigma_nm: float = 10.0, spread: float = 0.3,
    field_nm: float = 9000.0, sites: int | None = None, missed: float = 0.0, factor: float = 1.0, seed: int = 0,
) -> Blinking:  # fmt: skip
    """Return molecules that are on for a geometric time, anywhere or on sites in pairs 20 nm apart.

    `missed` is the share of rows that are not there, `factor` how far uncertainties are from the true spread.
    """
    rng = np.random.default_rng(seed)
    if sites is None:
        place = rng.uniform(0, field_nm, (n_events, 2))
    else:
        pairs = rng.uniform(0, field_nm, (sites // 2, 2))
        place = np.concatenate([pairs, pairs + np.array([20.0, 0.0])])[rng.integers(sites // 2 * 2, size=n_events)]
    on, start = rng.geometric(1 / on_frames, n_events), rng.integers(0, n_frames, n_events)
    event = np.repeat(np.arange(n_events), on)
    frame = start[event] + np.arange(on.sum()) - np.repeat(np.cumsum(on) - on, on)
    there = (frame < n_frames) & (rng.random(len(frame)) >= missed)
    order = np.argsort(frame[there], kind="stable")
    event, frame = event[there][order], frame[there][order]
    sigma = sigma_nm * rng.lognormal(0, spread, (2, len(event)))
    y, x = (place[event].T + rng.normal(size=sigma.shape) * sigma * factor) / PIXEL_NM
    table = Localizations(
        {"frame": frame, "y": y, "x": x, "photons": 1e5 / sigma.mean(axis=0) ** 2, "y_uncertainty": sigma[0] / PIXEL_NM,
         "x_uncertainty": sigma[1] / PIXEL_NM},
        pixel_size_nm=PIXEL_NM, n_frames=n_frames,
    )  # fmt: skip
    return Blinking(table, event, place)


def f1_of_whole_events(event: np.ndarray, group: np.ndarray) -> float:
    """Return F1 of the groups that have exactly the rows of an event."""
    (_, event), (_, group) = (np.unique(values, return_inverse=True) for values in (event, group))
    in_event, in_group = np.bincount(event), np.bincount(group)
    pairs, counts = np.unique(np.column_stack([event, group]), axis=0, return_counts=True)
    whole = (counts == in_event[pairs[:, 0]]) & (counts == in_group[pairs[:, 1]])
    return 2 * whole.sum() / (len(in_event) + len(in_group))
