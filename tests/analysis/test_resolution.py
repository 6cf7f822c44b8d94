"""Localization precision and resolution: against what a simulation was made with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_subpixel import Localizations
from napari_subpixel.analysis.decorrelation import decorrelation, highest_frequency
from napari_subpixel.analysis.frc import N_SPLITS, frc
from napari_subpixel.analysis.linking import link
from napari_subpixel.analysis.nena import nena, scatter_of, textbook_nena
from napari_subpixel.analysis.next_frame import NextFrameRows
from napari_subpixel.analysis.resolution import resolution
from napari_subpixel.analysis.returns import returns_per_row
from napari_subpixel.analysis.tiles import fading
from napari_subpixel.errors import PixelSizeError

from .molecules import blinking


class Simulated(NamedTuple):
    """Rows of molecules that are on for some frames: positions and sigma in nm, and the molecule of each."""

    frame: NDArray[np.int64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    sigma: NDArray[np.float64]
    molecule: NDArray[np.int64]

    def table(self, factor: float = 1.0, *, uncertainties: bool = True) -> Localizations:
        """As a table; its uncertainties are too small by `factor`."""
        columns = {"frame": self.frame, "y": self.y / 100, "x": self.x / 100}
        if uncertainties:
            columns |= {f"{axis}_uncertainty": self.sigma / factor / 100 for axis in "yx"}
        return Localizations(columns, pixel_size_nm=100)


def simulated(
    places: NDArray[np.float64], rng: np.random.Generator, *, n_frames: int = 3000, mean_on: float = 3.0,
    spread: float = 0.5, sigma_nm: float = 10.0, visits: NDArray[np.int64] | None = None, more_nm: float = 0.0,
) -> Simulated:  # fmt: skip
    """Let molecules at `places` be on; their sigmas are log-normal, with the mean `sigma_nm`."""
    visits = np.ones(len(places), np.int64) if visits is None else visits
    molecule = np.repeat(np.arange(len(places)), visits)
    on = rng.geometric(1 / mean_on, len(molecule))
    event = np.repeat(np.arange(len(molecule)), on)
    since = np.arange(len(event)) - np.repeat(np.cumsum(on) - on, on)
    frame = rng.integers(0, n_frames, len(molecule))[event] + since
    ends = (since == 0) | (since == on[event] - 1)
    sigma = np.exp(rng.normal(0, spread, len(event))) / np.sqrt(np.where(ends, rng.uniform(0.2, 1, len(event)), 1.0))
    sigma *= sigma_nm / sigma.mean()
    yx = places[molecule[event]] + rng.normal(size=(len(event), 2)) * np.hypot(sigma, more_nm)[:, None]
    order = np.argsort(frame, kind="stable")
    return Simulated(frame[order], *yx[order].T, sigma[order], molecule[event][order])


def on_filaments(n: int, rng: np.random.Generator, width_nm: float = 8.0, field_nm: float = 6000.0) -> NDArray:
    angle, middle = rng.uniform(0, np.pi, 15), rng.uniform(0.3 * field_nm, 0.7 * field_nm, (15, 2))
    which, along = rng.integers(15, size=n), rng.uniform(-0.5, 0.5, n) * field_nm
    way = np.column_stack([np.sin(angle), np.cos(angle)])[which]
    across = np.column_stack([way[:, 1], -way[:, 0]]) * rng.normal(0, width_nm, n)[:, None]
    return middle[which] + way * along[:, None] + across


def in_plane(n: int, rng: np.random.Generator, field_nm: float = 6000.0) -> NDArray:
    return rng.uniform(0, field_nm, (n, 2))


# -- NeNA ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("structure", [in_plane, on_filaments])
@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("factor", [1.0, 2.5, 0.6])
def test_nena_is_the_mean_of_the_true_sigmas_at_any_spread(structure, spread, factor) -> None:
    rng = np.random.default_rng(5)
    rows = simulated(structure(6000, rng), rng, spread=spread)
    measured = nena(rows.table(factor))
    assert measured.nena_nm == pytest.approx(rows.sigma.mean(), rel=0.03)
    assert measured.uncertainty_factor == pytest.approx(factor, rel=0.03)
    assert 0.001 < measured.nena_error_nm / measured.nena_nm < 0.02


def test_textbook_value_is_that_of_equal_rows_and_below_the_mean_of_unequal_ones() -> None:
    rng = np.random.default_rng(6)
    equal = simulated(in_plane(6000, rng), rng)._replace(sigma=np.zeros(0))
    sigma = np.full(len(equal.frame), 10.0)
    places = in_plane(equal.molecule.max() + 1, rng)
    equal = equal._replace(sigma=sigma)
    equal = equal._replace(
        **dict(zip("yx", (places[equal.molecule] + rng.normal(0, 10, (len(sigma), 2))).T, strict=True))
    )
    for table in (equal.table(), equal.table(uncertainties=False)):
        assert nena(table).textbook_nm == pytest.approx(10, rel=0.04)
    unequal = simulated(in_plane(6000, rng), rng)
    assert nena(unequal.table()).textbook_nm < 0.8 * unequal.sigma.mean()


def test_error_of_nena_covers_its_scatter() -> None:
    measured = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        measured.append(nena(simulated(in_plane(1500, rng), rng, n_frames=1000).table()))
    factors = np.array([one.uncertainty_factor for one in measured])
    errors = np.array([one.uncertainty_factor_error for one in measured])
    assert 0.4 < factors.std(ddof=1) / errors.mean() < 1.8
    assert abs(factors.mean() - 1) < 0.015


def test_uncertainties_that_need_two_factors_are_called_uneven_and_the_mean_holds() -> None:
    rng = np.random.default_rng(8)
    rows = simulated(in_plane(8000, rng), rng, more_nm=8.0)
    measured = nena(rows.table())
    assert "uneven" in " ".join(measured.warnings)
    assert measured.nena_nm == pytest.approx(np.hypot(rows.sigma, 8).mean(), rel=0.03)
    assert measured.factors[0][1] > 1.2 * measured.factors[-1][1]
    assert scatter_of(rows.table(), measured).mean() == pytest.approx(measured.nena_nm)


def test_even_uncertainties_give_no_warning() -> None:
    rng = np.random.default_rng(9)
    assert nena(simulated(on_filaments(6000, rng), rng).table()).warnings == ()


def test_molecules_of_one_frame_each_give_no_nena_rather_than_a_wrong_one() -> None:
    rng = np.random.default_rng(10)
    measured = nena(simulated(in_plane(6000, rng), rng, mean_on=1.0).table())
    assert (measured.nena_nm, measured.textbook_nm) == (None, None)
    assert "hardly any" in measured.warnings[0]


def test_rows_without_an_uncertainty_are_left_out() -> None:
    rng = np.random.default_rng(11)
    rows = simulated(in_plane(4000, rng), rng)
    bad = rows.table()["x_uncertainty"].astype(float)
    bad[::10] = np.nan
    bad[1::10] = 0
    table = rows.table().with_columns(x_uncertainty=bad)
    measured = nena(table)
    assert measured.uncertainty_factor == pytest.approx(1, rel=0.04)
    assert "rows without an uncertainty" in measured.warnings[0]


def test_pairs_are_those_of_consecutive_frames_near_each_other() -> None:
    frame, y, x = [5, 6, 6, 8, 9, -1, 0], [0, 0.5, 9, 0, 0.1, 4, 4], [0, 0, 0, 0, 0, 4, 4]
    pairs = NextFrameRows.of(frame, y, x).pairs(np.full((7, 2), 0.5), 2.0)
    assert sorted(zip(pairs.earlier.tolist(), pairs.later.tolist(), strict=True)) == [(0, 1), (3, 4), (5, 6)]
    assert sorted(pairs.distance.tolist()) == pytest.approx([0, 0.1, 0.5])


def of_sites(n: int, field_nm: float, visits: int, sigma_nm: float) -> Simulated:
    """Random sites that are visited by molecules of one frame and one sigma each."""
    rng = np.random.default_rng(n)
    places = in_plane(n, rng, field_nm)
    rows = simulated(places, rng, mean_on=1.0, visits=rng.poisson(visits, n))
    y, x = (places[rows.molecule] + rng.normal(0, sigma_nm, (len(rows.frame), 2))).T
    return rows._replace(y=y, x=x, sigma=np.full(len(y), sigma_nm))


# -- FRC ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("visits", "sigma_nm"), [(10, 10.0), (30, 6.0)])
def test_frc_of_sites_that_are_visited_at_random_is_the_known_one(visits, sigma_nm) -> None:
    # Of random sites with Q visits each, FRC = Q/2 H / (Q/2 H + 1), H = exp(-(2 pi sigma q)^2): 1/7 where H = 1 / 3Q.
    rows = of_sites(1200, 4000.0, visits, sigma_nm)
    measured = frc(rows.table(), rows.sigma)
    known = 2 * np.pi * sigma_nm / np.sqrt(np.log(3 * visits))
    assert measured.frc_nm == pytest.approx(known, rel=0.03)
    assert abs(measured.frc_nm - known) < 3 * measured.frc_error_nm
    assert len(measured.splits_nm) == N_SPLITS
    assert not measured.is_corrected
    assert measured.visits == pytest.approx(1 + visits, rel=0.15)
    assert "places are seen" in measured.warnings[0]


def test_frc_is_corrected_for_molecules_that_come_back() -> None:
    rng = np.random.default_rng(21)
    places = on_filaments(4000, rng)
    rows = simulated(places, rng, spread=0.2, visits=1 + rng.poisson(1.5, len(places)))
    measured = frc(rows.table(), rows.sigma)
    # All rows of a molecule in one half: molecules in random order take the place of time.
    order = np.argsort(rng.permutation(len(places))[rows.molecule], kind="stable")
    by_molecule = Simulated(*(column[order] for column in rows))
    time = np.concatenate([[0], np.cumsum(np.diff(by_molecule.molecule) != 0)]) * 3
    known = frc(by_molecule._replace(frame=time).table(), by_molecule.sigma)
    assert known.visits == 1
    assert measured.is_corrected
    assert measured.frc_nm == pytest.approx(known.frc_nm, rel=0.2)
    assert measured.uncorrected_nm < 0.6 * known.frc_nm


def test_the_correction_fades_out_between_molecules_that_come_back_and_sites() -> None:
    measured = [frc(rows.table(), rows.sigma) for rows in (of_structured(visits) for visits in (4.4, 4.7, 5.0, 5.3))]
    assert all(0 < each.correction < 1 for each in measured)
    assert np.diff([each.correction for each in measured]).max() < 0
    values = np.array([each.frc_nm for each in measured])
    low, high = (np.array([getattr(each, name) for each in measured]) for name in ("uncorrected_nm", "corrected_nm"))
    assert (low < values).all()
    assert (values < high).all()
    assert np.abs(np.diff(values)).max() < 0.3 * (high - low).min()
    assert measured[1].frc_error_nm > 0.3 * (high - low)[1]
    assert "may be binding sites or molecules that come back" in measured[1].warnings[0]


def of_structured(visits: float) -> Simulated:
    """Molecules on filaments that come back."""
    rng = np.random.default_rng(31)
    places = on_filaments(2500, rng)
    return simulated(places, rng, spread=0.2, mean_on=1.5, visits=1 + rng.poisson(visits - 1, len(places)))


def test_molecules_that_never_come_back_are_not_corrected_for() -> None:
    rng = np.random.default_rng(22)
    rows = simulated(on_filaments(8000, rng), rng, spread=0.2)
    measured = frc(rows.table(), rows.sigma)
    assert measured.visits == 1
    assert measured.frc_nm == measured.uncorrected_nm
    assert not measured.warnings


def test_a_molecule_of_many_frames_stays_in_one_half() -> None:
    # Alone in a plane, no molecule comes back: on for a hundred frames each, they would correlate if they were divided.
    rng = np.random.default_rng(23)
    rows = simulated(in_plane(300, rng), rng, n_frames=3000, mean_on=60.0, spread=0.1)
    measured = frc(rows.table(), rows.sigma)
    assert measured.frc_nm is None or measured.frc_nm > 200


@pytest.mark.parametrize(("n", "field_nm"), [(400, 6000.0), (8000, 4000.0)])
def test_a_field_without_structure_has_no_frc_and_the_reason_is_given(n, field_nm) -> None:
    rng = np.random.default_rng(27)
    rows = simulated(in_plane(n, rng, field_nm), rng, spread=0.2)
    measured = frc(rows.table(), rows.sigma)
    assert (measured.frc_nm, measured.uncorrected_nm, measured.corrected_nm) == (None, None, None)
    assert any(part in measured.warnings[0] for part in ("outline of the field", "by chance", "do not correlate"))


def test_frc_of_a_large_field_is_that_of_its_tiles() -> None:
    rows = of_sites(6000, 16_000.0, 12, 10.0)
    measured = frc(rows.table(), rows.sigma)
    assert measured.n_tiles > 1
    assert measured.n_rows < len(rows.frame)
    assert measured.frc_nm == pytest.approx(2 * np.pi * 10 / np.sqrt(np.log(36)), rel=0.04)


def test_the_same_seed_gives_the_same_splits_and_another_one_others() -> None:
    rng = np.random.default_rng(25)
    rows = simulated(on_filaments(3000, rng), rng, spread=0.2)
    first, again, other = (frc(rows.table(), rows.sigma, seed=seed) for seed in (0, 0, 1))
    assert first.splits_nm == again.splits_nm != other.splits_nm


def test_returns_are_counted() -> None:
    rng = np.random.default_rng(26)
    place = np.repeat(in_plane(1500, rng), 4, axis=0)
    y, x = (place + rng.normal(0, 10, place.shape)).T
    block = np.arange(len(y)) % 4
    assert returns_per_row(y, x, np.full(len(y), 10.0), block) == pytest.approx(3, rel=0.1)
    assert returns_per_row(y, x, np.full(len(y), 10.0), np.zeros(len(y), np.int64)) == 0


# -- decorrelation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma_px", [2.0, 3.0])
def test_decorrelation_follows_the_width_of_the_spots(sigma_px) -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(31)
    image = gaussian_filter((rng.random((256, 256)) < 0.02).astype(float), sigma_px) + rng.normal(0, 1e-4, (256, 256))
    assert 2 / highest_frequency(image) == pytest.approx(2.355 * sigma_px, rel=0.15)


def test_decorrelation_of_nothing_is_none() -> None:
    assert highest_frequency(np.zeros((64, 64))) == 0
    one_place = Localizations({"frame": np.arange(200), "y": np.ones(200), "x": np.ones(200)}, pixel_size_nm=100)
    assert decorrelation(one_place, np.full(200, 10.0)) == (None, "all rows are in one place: no image to decorrelate")
    assert "99 rows are too few" in decorrelation(one_place[:99], np.full(99, 10.0)).why_not


@pytest.mark.parametrize(("sigma_px", "signal_to_noise"), [(2.0, 1.0), (5.0, 1e4), (8.0, 5.0)])
def test_decorrelation_of_wide_spots_in_noise_is_right_or_none(sigma_px, signal_to_noise) -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(32)
    image = gaussian_filter((rng.random((256, 256)) < 0.02).astype(float), sigma_px)
    image = image / image.std() + rng.normal(0, 1 / signal_to_noise, image.shape)
    highest = highest_frequency(image * np.outer(fading(256), fading(256)))
    assert highest == 0 or 2 / highest == pytest.approx(2.355 * sigma_px, rel=0.25)


# -- all of them --------------------------------------------------------------------------------------------------


def test_resolution_of_filaments() -> None:
    rng = np.random.default_rng(41)
    rows = simulated(on_filaments(5000, rng), rng, spread=0.3)
    measured = resolution(rows.table(1.5))
    document = measured.to_dict()
    assert document["n_localizations"] == len(rows.frame)
    assert document["nena_nm"] == pytest.approx(10, rel=0.03)
    assert document["uncertainty_factor"] == pytest.approx(1.5, rel=0.03)
    # The column is wrong, and the FRC does not depend on it: the scatter is used.
    assert document["frc_nm"] == pytest.approx(frc(rows.table(), rows.sigma).frc_nm, rel=0.1)
    assert 5 < document["decorrelation_nm"] < 40


def test_resolution_without_uncertainties_has_the_textbook_s_nena_and_says_so() -> None:
    rng = np.random.default_rng(42)
    rows = simulated(on_filaments(4000, rng), rng, spread=0.1)
    measured = resolution(rows.table(uncertainties=False))
    assert measured.nena.nena_nm is None
    assert measured.nena.textbook_nm is not None
    assert measured.frc.frc_nm is not None
    assert "no uncertainties" in measured.warnings[0]


def test_without_uncertainties_sites_of_few_molecules_have_no_precision_of_micrometres() -> None:
    rng = np.random.default_rng(0)
    frame = np.sort(rng.integers(0, 400, 2000))
    yx = rng.uniform(2, 60, (100, 2))[rng.integers(0, 100, 2000)] + rng.normal(0, 0.1, (2000, 2))
    measured = resolution(Localizations({"frame": frame, "y": yx[:, 0], "x": yx[:, 1]}, pixel_size_nm=100))
    assert measured.nena.textbook_nm is None or measured.nena.textbook_nm == pytest.approx(10, rel=0.3)
    assert measured.frc.frc_nm < 100
    assert measured.decorrelation_nm < 100


def test_resolution_needs_the_pixel_size() -> None:
    with pytest.raises(PixelSizeError, match="pixel size"):
        resolution(Localizations({"frame": [0], "y": [1], "x": [1]}))


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"frame": [], "y": [], "x": []}, "no rows"),
        ({"frame": [3] * 500, "y": range(500), "x": range(500)}, "all rows are in one frame"),
        ({"frame": range(500), "y": [4] * 500, "x": [4] * 500}, "all rows are in one place"),
        ({"frame": range(0, 1000, 2), "y": range(500), "x": range(500)}, "no two consecutive frames"),
        ({"frame": [0], "y": [1], "x": [1]}, "all rows are in one frame"),
    ],
)
def test_what_cannot_be_measured_is_said(columns, what) -> None:
    n = len(columns["frame"])
    table = Localizations({**columns, "y_uncertainty": [0.1] * n, "x_uncertainty": [0.1] * n}, pixel_size_nm=100)
    measured = resolution(table)
    assert what in " ".join(measured.warnings)
    assert measured.nena.nena_nm is None
    assert what == "no two consecutive frames" or measured.frc.frc_nm is None


def test_textbook_needs_pairs() -> None:
    rows = NextFrameRows.of([0, 1], [0.0, 1.0], [0.0, 1.0])
    assert textbook_nena(rows, 1.0) is None


def test_linked_rows_are_no_table_for_nena():
    linked = link(blinking(n_events=400, n_frames=400).table).molecules
    assert resolution(linked).warnings[0].startswith("the rows are linked molecules, which are in one frame each")
