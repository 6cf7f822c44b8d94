"""Beads are not taken for molecules where precision and resolution are measured, and molecules not for beads."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.analysis.beads import find_beads
from napari_subpixel.analysis.blinking import blinking_times
from napari_subpixel.analysis.linking import link
from napari_subpixel.analysis.resolution import resolution
from napari_subpixel.localizations import Localizations, concat
from tests.analysis.molecules import PIXEL_NM, blinking

N_FRAMES = 1200


def bead(
    place_px: tuple[float, float], *, drift_nm: float = 0.0, part: float = 0.95, rows: int = 1, sigma_nm: float = 1.5,
    seed: int = 0,
) -> Localizations:  # fmt: skip
    """Return the rows of a bead that is in a part of the frames, several times in each."""
    rng = np.random.default_rng(seed)
    frame = np.repeat(np.flatnonzero(rng.random(N_FRAMES) < part), rows)
    yx_nm = np.array(place_px) * PIXEL_NM + drift_nm * frame[:, None] / N_FRAMES
    y, x = ((yx_nm + rng.normal(0, sigma_nm, yx_nm.shape)) / PIXEL_NM).T
    sigma = np.full(len(frame), sigma_nm / PIXEL_NM)
    columns = {"frame": frame, "y": y, "x": x, "photons": np.full(len(frame), 2e4)}
    return Localizations(
        {**columns, "y_uncertainty": sigma, "x_uncertainty": sigma}, pixel_size_nm=PIXEL_NM, n_frames=N_FRAMES
    )


@pytest.fixture(scope="module")
def sites() -> Localizations:
    return blinking(n_frames=N_FRAMES, sites=150, n_events=2000, field_nm=3000.0, seed=3).table


def test_beads_are_left_out_of_the_resolution_and_reported(sites) -> None:
    beads = bead((20.0, 31.0), drift_nm=400.0), bead((24.0, 12.0), drift_nm=400.0, part=0.7, rows=2, seed=1)
    measured, alone = resolution(concat([sites, *beads])), resolution(sites)
    document = measured.to_dict()
    assert document["n_localizations"] == len(sites) + sum(map(len, beads))
    assert document["n_bead_localizations"] == pytest.approx(sum(map(len, beads)), rel=0.02)
    assert len(document["beads_px"]) == 2
    assert "as beads do (y " in document["warnings"][0]
    assert measured.nena.nena_nm == pytest.approx(alone.nena.nena_nm, rel=0.01)
    assert measured.frc.frc_nm == pytest.approx(alone.frc.frc_nm, rel=0.1)


def test_beads_are_no_molecules_when_rows_are_linked(sites) -> None:
    beads = bead((20.0, 31.0)), bead((44.0, 12.0), part=0.7, seed=1)
    linked, alone = link(concat([sites, *beads])), link(sites)
    times = blinking_times(linked)
    assert times.on_frames.mean() == pytest.approx(blinking_times(alone).on_frames.mean(), rel=0.02)
    assert times.on_frames.max() < 100
    assert "are left out of on and off times: most frames have one at 2 places, as beads do (y " in times.warnings[0]
    molecules = linked.marked()
    assert molecules["fiducial"].sum() == linked.is_bead.sum() == linked.to_dict()["n_bead_molecules"] > 0
    assert molecules["n_frames"][molecules["fiducial"] == 1].sum() == pytest.approx(sum(map(len, beads)), rel=0.02)
    assert alone.marked() is alone.molecules
    assert blinking_times(alone).warnings == ()


def test_a_table_of_beads_alone_has_no_resolution_and_says_why() -> None:
    measured = resolution(concat([bead((20.0, 31.0)), bead((44.0, 12.0), seed=1)]))
    assert (measured.nena.nena_nm, measured.frc.frc_nm, measured.decorrelation_nm) == (None, None, None)
    assert "2,2" in measured.warnings[0]
    assert "as beads do" in measured.warnings[0]


def crowded_filament(rng: np.random.Generator, n_frames: int = 300) -> Localizations:
    """Return a filament with several molecules in every frame."""
    n = 40 * n_frames
    columns = {"frame": np.sort(rng.integers(0, n_frames, n)), "y": 20 + rng.normal(0, 0.12, n)}
    sigma = np.full(n, 0.1)
    return Localizations(
        {**columns, "x": rng.uniform(0, 60, n), "y_uncertainty": sigma, "x_uncertainty": sigma}, pixel_size_nm=100
    )


def test_what_is_no_bead_is_kept(sites) -> None:
    rng = np.random.default_rng(8)
    long_lived = blinking(n_events=300, n_frames=3000, on_frames=80.0, seed=4).table
    busy_sites = blinking(n_events=20_000, n_frames=N_FRAMES, sites=300, seed=5).table
    for table in (sites, long_lived, busy_sites, crowded_filament(rng), sites[:0], sites[:1]):
        assert not find_beads(table).rows.any()


def test_two_beads_near_each_other_stay_two_where_the_sample_drifts() -> None:
    def stepping(x_px: float, seed: int) -> Localizations:
        rows = bead((20.0, x_px), seed=seed)
        return rows.with_columns(x=rows.x + 0.9 * (rows.frame * 10 // N_FRAMES))

    beads = find_beads(concat([stepping(31.0, 0), stepping(33.0, 1)]))
    assert beads.rows.mean() > 0.98
    assert [place[1] for place in beads.places] == pytest.approx([31 + 4.05, 33 + 4.05], abs=0.6)
