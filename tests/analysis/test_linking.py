"""Linking against simulated events, and the columns of what is merged."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.analysis import link_ranges
from napari_subpixel.analysis.blinking import blinking_times, plot_times, write_times
from napari_subpixel.analysis.linking import link
from napari_subpixel.analysis.parts import keep_frames
from napari_subpixel.errors import InputError, LinkDistanceError, PixelSizeError
from napari_subpixel.localizations import Localizations, concat

from .molecules import PIXEL_NM, Blinking, blinking, f1_of_whole_events


@pytest.fixture(scope="module")
def simulated() -> Blinking:
    return blinking()


@pytest.mark.parametrize(
    ("settings", "least"),
    [({}, 0.99), ({"sites": 800}, 0.96), ({"field_nm": 2500.0}, 0.97), ({"factor": 1.5}, 0.97), ({"spread": 0.6}, 0.97),
     ({"sigma_nm": 3.0}, 0.99), ({"on_frames": 10.0}, 0.97), ({"n_events": 400, "n_frames": 300}, 0.98)],
)  # fmt: skip
def test_events_are_found_whole(settings, least):
    table, event, _ = blinking(seed=1, **settings)
    assert f1_of_whole_events(event, link(table).group) > least


def test_the_distance_that_counts_is_that_of_the_uncertainties():
    # Precise rows 60 nm apart are two molecules; rows as vague as that are one.
    rng = np.random.default_rng(0)
    frame = np.repeat(np.arange(200), 2)
    for sigma_nm, n_molecules in ((5.0, 2), (60.0, None)):
        x = (np.tile([0.0, 60.0], 200) + rng.normal(0, sigma_nm, 400)) / PIXEL_NM
        y = rng.normal(0, sigma_nm, 400) / PIXEL_NM
        sigma = np.full(400, sigma_nm / PIXEL_NM)
        table = Localizations({"frame": frame, "y": y, "x": x, "y_uncertainty": sigma, "x_uncertainty": sigma})
        linked = link(table)
        if n_molecules:
            assert len(linked.molecules) == n_molecules
        assert not has_two_of_a_frame(frame, linked.group)


def has_two_of_a_frame(frame: np.ndarray, group: np.ndarray) -> bool:
    pairs = np.column_stack([frame, group])
    return len(np.unique(pairs, axis=0)) < len(pairs)


@pytest.mark.parametrize("settings", [{"field_nm": 300.0}, {"sites": 20, "n_frames": 300}, {"field_nm": 0.0}])
def test_two_rows_of_a_frame_never_become_one(settings):
    table = blinking(n_events=1500, **settings).table
    assert not has_two_of_a_frame(table.frame, link(table, max_dark_frames=4).group)


def test_dark_frames_are_bridged_as_far_as_molecules_blink():
    steady, blinks = blinking(on_frames=5.0, seed=2), blinking(on_frames=8.0, missed=0.25, seed=2)
    assert link(steady.table).max_dark_frames == 0
    linked = link(blinks.table)
    assert 1 <= linked.max_dark_frames <= 4
    none = link(blinks.table, max_dark_frames=0)
    assert len(none.molecules) > 1.5 * len(linked.molecules)
    whole = f1_of_whole_events(blinks.event, linked.group)
    assert whole > 0.9 > f1_of_whole_events(blinks.event, none.group)


def test_a_link_is_no_longer_than_the_distance_asked_for(simulated):
    linked = link(simulated.table, max_distance_nm=8)
    assert len(linked.molecules) > 1.2 * len(link(simulated.table).molecules)
    with pytest.raises(PixelSizeError):
        link(simulated.table.with_about(pixel_size_nm=None), max_distance_nm=8)
    assert len(link(simulated.table.with_about(pixel_size_nm=None)).molecules) == len(link(simulated.table).molecules)


def test_merged_positions_are_as_good_as_their_uncertainties(simulated):
    linked = link(simulated.table)
    molecules = linked.molecules
    first = np.unique(linked.group, return_index=True)[1]
    error = molecules.yx * PIXEL_NM - simulated.place_nm[simulated.event[first]]
    promised = np.column_stack([molecules["y_uncertainty"], molecules["x_uncertainty"]]) * PIXEL_NM
    ratio = np.sqrt((error**2).mean() / (promised.astype(float) ** 2).mean())
    assert 0.9 < ratio < 1.1
    assert 0.93 < linked.uncertainty_factor < 1.07
    assert linked.warnings == ()


def test_uncertainties_that_are_wrong_are_reported():
    linked = link(blinking(factor=1.6).table)
    assert linked.uncertainty_factor == pytest.approx(1.6, rel=0.07)
    assert "1.6 times as far" in linked.warnings[0].replace(f"{linked.uncertainty_factor:.2f}", "1.6")


def test_the_columns_of_a_molecule():
    table = Localizations(
        {"frame": [3, 4, 5, 5], "y": [1.0, 1.2, 1.1, 9.0], "x": [2.0, 2.0, 2.3, 9.0], "photons": [100, 200, 400, 50],
         "background": [5, 7, 9, 1], "probability": [0.5, 0.8, 0.9, 0.25], "y_uncertainty": [0.1, 0.2, 0.1, 0.1],
         "x_uncertainty": [0.2, 0.2, 0.2, 0.3], "z_nm": [10, 20, 60, -5], "class_index": [1, 1, 1, 2]},
        extra={"chi2": [1.0, 2.0, 3.0, 4.0], "saturated": [0, 6, 2, 0]},
        pixel_size_nm=100, n_frames=40, provenance={"model": "x"},
    )  # fmt: skip
    molecules = link(table, max_distance_nm=80).molecules
    assert len(molecules) == 2
    row = {name: molecules[name][0] for name in molecules.columns}
    weights = 1 / np.array([0.1, 0.2, 0.1]) ** 2
    assert row["y"] == pytest.approx((weights * [1.0, 1.2, 1.1]).sum() / weights.sum(), abs=1e-6)
    assert row["x"] == pytest.approx(2.1, abs=1e-6)
    assert row["y_uncertainty"] == pytest.approx(weights.sum() ** -0.5)
    assert row["x_uncertainty"] == pytest.approx(0.2 / np.sqrt(3))
    assert (row["photons"], row["background"], row["chi2"], row["class_index"]) == (700, 7, 2, 1)
    assert row["probability"] == pytest.approx(1 - 0.5 * 0.2 * 0.1)
    assert (row["frame"], row["first_frame"], row["last_frame"], row["n_frames"]) == (3, 3, 5, 3)
    assert molecules["saturated"].tolist() == [6, 0]
    assert molecules["saturated"].dtype.kind == "i"
    both = weights + 1 / 0.2**2
    assert row["z_nm"] == pytest.approx((both * [10, 20, 60]).sum() / both.sum(), rel=1e-5)
    assert (molecules.pixel_size_nm, molecules.n_frames) == (100, 40)
    assert molecules.provenance["model"] == "x"
    assert molecules.provenance["link"]["molecules"] == 2


def test_molecules_are_the_same_in_ranges_of_frames(monkeypatch):
    table = blinking(n_events=6000, n_frames=4000, on_frames=6.0, missed=0.1, seed=11).table
    # One that is on in every frame, across all ranges.
    bead = Localizations(
        {"frame": np.arange(4000), "y": np.full(4000, 95.0), "x": np.full(4000, 95.0),
         **{name: np.full(4000, value) for name, value in zip(table.columns[3:], (900.0, 0.1, 0.1), strict=True)}},
        **table.about,
    )  # fmt: skip
    table = concat([table, bead])
    whole = link(table)
    monkeypatch.setattr(link_ranges, "RANGE_ROWS", 3000)
    monkeypatch.setattr(link_ranges, "FRAMES_BEFORE", 60)
    ranges = link(table)
    assert len(link_ranges._ranges(np.sort(table.frame), 2)) > 8
    np.testing.assert_array_equal(ranges.group, whole.group)
    assert (ranges.molecules["n_frames"] == 4000).any()


def test_linking_can_be_ended_between_ranges(monkeypatch):
    table = blinking(n_events=3000, n_frames=4000, seed=12).table
    monkeypatch.setattr(link_ranges, "RANGE_ROWS", 500)
    monkeypatch.setattr(link_ranges, "FRAMES_BEFORE", 20)
    n_ranges = len(link_ranges._ranges(np.sort(table.frame), 2))
    assert n_ranges > 8
    steps = link.steps(table, max_dark_frames=1)
    assert [next(steps) for _ in range(3)] == ["statistics", "linking", "linking"]
    steps.close()
    named = list(link.steps(table, max_dark_frames=1))
    assert named == ["statistics", *["linking"] * (n_ranges + 1), "molecules"]


def test_a_seam_between_ranges_makes_no_two_rows_of_a_frame_one(monkeypatch):
    monkeypatch.setattr(link_ranges, "RANGE_ROWS", 200)
    monkeypatch.setattr(link_ranges, "FRAMES_BEFORE", 1)
    monkeypatch.setattr(link_ranges, "GAPS_BEFORE", 1)
    table = blinking(n_events=1500, n_frames=300, field_nm=300.0).table
    linked = link(table, max_dark_frames=3)
    assert not has_two_of_a_frame(table.frame, linked.group)
    first = np.unique(linked.group, return_index=True)[1]
    assert (np.diff(first) > 0).all()


def test_all_rows_can_be_kept_with_their_group(simulated):
    linked = link(simulated.table)
    grouped = linked.grouped()
    assert len(grouped) == len(simulated.table)
    np.testing.assert_array_equal(grouped["group"], linked.group)
    assert grouped["group"].max() + 1 == len(linked.molecules)


def test_the_order_of_rows_does_not_matter(simulated):
    order = np.random.default_rng(1).permutation(len(simulated.table))
    group, shuffled = link(simulated.table).group, link(simulated.table.select(order)).group
    assert f1_of_whole_events(group[order], shuffled) > 0.999


def test_molecules_linked_again_stay_as_they_are(simulated):
    molecules = link(simulated.table, max_dark_frames=0).molecules
    again = link(molecules, max_dark_frames=0).molecules
    assert len(again) > 0.99 * len(molecules)
    assert again["n_frames"].sum() == len(simulated.table)


def without_uncertainties(table: Localizations) -> Localizations:
    return Localizations({name: table[name] for name in ("frame", "y", "x", "photons")}, **table.about)


def test_without_uncertainties_one_is_estimated_and_said(simulated):
    linked = link(without_uncertainties(simulated.table))
    assert f1_of_whole_events(simulated.event, linked.group) > 0.97
    assert "no uncertainties" in linked.warnings[0]
    assert "y_uncertainty" not in linked.molecules
    assert np.isnan(linked.uncertainty_factor)


def test_without_uncertainties_few_rows_need_a_distance(simulated):
    few = without_uncertainties(simulated.table)[:40]
    with pytest.raises(LinkDistanceError, match="no uncertainties"):
        link(few)
    assert len(link(few, max_distance_nm=50).molecules) < 40


def test_rows_without_an_uncertainty_take_the_median_of_the_others(simulated):
    table = simulated.table
    holes = table["y_uncertainty"].copy()
    holes[::10], holes[1::10] = np.nan, 0
    linked = link(table.with_columns(y_uncertainty=holes))
    assert "rows have no uncertainty" in linked.warnings[0]
    assert f1_of_whole_events(simulated.event, linked.group) > 0.97
    assert np.isfinite(linked.molecules.yx).all()


def test_no_rows_one_row_one_frame_and_one_place():
    row = {"frame": [4], "y": [1.0], "x": [2.0], "y_uncertainty": [0.1], "x_uncertainty": [0.1]}
    assert len(link(Localizations({name: [] for name in row})).molecules) == 0
    assert link(Localizations.empty()).molecules.columns[-3:] == ("n_frames", "first_frame", "last_frame")
    one = link(Localizations(row))
    assert one.molecules["n_frames"].tolist() == [1]
    table = Localizations({name: np.repeat(values, 500) for name, values in row.items()})
    frame = link(table)
    assert len(frame.molecules) == 500
    assert frame.warnings == ("all rows are in frame 4: there is nothing to link",)
    fiducial = link(table.with_columns(frame=np.arange(500)))
    assert fiducial.molecules["n_frames"].tolist() == [500]
    crowd = table.with_columns(frame=np.arange(500) // 50)
    assert not has_two_of_a_frame(crowd.frame, link(crowd).group)


def test_a_far_outlier_does_not_cost_the_others_their_links(simulated):
    table = simulated.table
    y = table.y.copy()
    y[0] = 1e9
    assert f1_of_whole_events(simulated.event, link(table.with_columns(y=y)).group) > 0.9


@pytest.mark.parametrize("settings", [{"max_dark_frames": -1}, {"max_dark_frames": 1.5}, {"max_distance_nm": 0}])
def test_what_cannot_be_is_refused(simulated, settings):
    with pytest.raises(InputError):
        link(simulated.table, **settings)


def test_on_and_off_times_are_those_simulated(tmp_path):
    table, event, _ = blinking(sites=60, n_events=3000, n_frames=6000, on_frames=4.0, sigma_nm=4.0, seed=3)
    times = blinking_times(link(table))
    first = np.unique(event, return_index=True)[1]
    assert times.on_frames.mean() == pytest.approx(len(event) / len(first), rel=0.05)
    # 50 events at each of 60 sites: 116 frames from one to the next, in pairs of sites told apart by 5 sigma.
    assert times.off.whole.mean() == pytest.approx(6000 / 50 - 4, rel=0.12)
    summary = times.to_dict()
    assert sum(summary["on_frames"]["counts"]) == len(times.on.whole)
    assert sum(summary["off_frames"]["counts"]) == len(times.off.whole)
    write_times(tmp_path / "times.csv", times)
    lines = (tmp_path / "times.csv").read_text().splitlines()
    assert lines[0] == "first_frame,on_frames,off_frames_before,dark_until_end"
    assert len(lines) == len(times.on_frames) + 1
    plot_times(tmp_path / "times.png", times)
    plot_times(tmp_path / "none.png", blinking_times(link(table[:0])))
    assert (tmp_path / "times.png").stat().st_size > 5000


def test_times_of_a_part_of_a_movie_end_with_the_part():
    table = blinking(sites=60, n_events=3000, n_frames=6000, on_frames=4.0, sigma_nm=4.0, seed=3).table
    whole, part = (blinking_times(link(t)) for t in (table, keep_frames(table, 0, 1500)))
    assert part.stop == 1500
    assert part.dark_until_end.max() < 1500
    assert part.off.mean_with_cut == pytest.approx(whole.off.mean_with_cut, rel=0.15)
    ends = keep_frames(table, 0, int(table.frame[len(table) // 2]) + 1)
    assert blinking_times(link(ends)).on.is_cut.any()


def test_each_molecule_at_a_place_is_followed_and_not_only_the_newest():
    columns = {"frame": [0, 0, 9], "y": [5.0, 5.0, 5.0], "x": [5.0, 5.6, 5.3]}
    sigma = np.full(3, 0.1)
    table = Localizations({**columns, "y_uncertainty": sigma, "x_uncertainty": sigma}, pixel_size_nm=100, n_frames=50)
    times = blinking_times(link(table, max_dark_frames=0))
    assert times.off_frames.tolist() == [-1, -1, 8]
    assert times.dark_until_end.tolist() == [-1, -1, 40]


@pytest.mark.parametrize(
    ("mean_on", "mean_off", "n_frames"), [(20.0, 400.0, 700), (4.0, 150.0, 5000), (60.0, 90.0, 200)]
)
def test_the_mean_times_of_a_short_movie_are_those_of_a_long_one(mean_on, mean_off, n_frames):
    rng = np.random.default_rng(8)
    n_sites, n_times = 400, 2 * int(n_frames / (mean_on + mean_off)) + 12
    on, off = rng.geometric(1 / mean_on, (n_sites, n_times)), rng.geometric(1 / mean_off, (n_sites, n_times))
    # A site has been blinking for long when the movie begins.
    first = np.cumsum(on + off, axis=1) - on - n_frames // 2 - rng.integers(0, int(mean_on + mean_off), (n_sites, 1))
    on, first = on.ravel(), first.ravel()
    site = np.repeat(np.arange(n_sites).repeat(n_times), on)
    frame = np.repeat(first, on) + np.arange(on.sum()) - np.repeat(np.cumsum(on) - on, on)
    there = (frame >= 0) & (frame < n_frames)
    frame, site = frame[there], site[there]
    y, x = np.stack([site // 20, site % 20]) + rng.normal(0, 0.05, (2, len(site)))
    sigma = np.full(len(site), 0.05)
    table = Localizations(
        {"frame": frame, "y": y, "x": x, "y_uncertainty": sigma, "x_uncertainty": sigma}, n_frames=n_frames
    )
    times = blinking_times(link(table))
    for statistics, mean in ((times.on, mean_on), (times.off, mean_off)):
        error = 4 * mean / np.sqrt(len(statistics.whole))
        assert statistics.mean_with_cut == pytest.approx(mean, abs=error + 0.02 * mean)
        assert statistics.mean_with_cut >= statistics.whole.mean()
        # What is expected of the mean is what there is.
        length = np.arange(statistics.shortest, n_frames, dtype=float)
        assert statistics.expected(length).sum() == pytest.approx(len(statistics.whole), rel=0.05)
    if n_frames < 2 * mean_off:
        assert times.off.whole.mean() < 0.7 * mean_off


def test_the_plot_needs_no_warning_for_long_times(tmp_path):
    table = Localizations(
        {"frame": np.arange(900), "y": np.ones(900), "x": np.ones(900), "y_uncertainty": np.full(900, 0.1),
         "x_uncertainty": np.full(900, 0.1)}
    )  # fmt: skip
    plot_times(tmp_path / "times.svg", blinking_times(link(table)))


def test_rows_that_are_linked_already_are_a_warning():
    table = blinking(n_events=500, n_frames=500).table
    linked = link(table)
    assert not any("linked already" in warning for warning in linked.warnings)
    assert not any("linked already" in warning for warning in link(linked.grouped()).warnings)
    (warning,) = (warning for warning in link(linked.molecules).warnings if "linked already" in warning)
    assert warning.endswith("link the table as it was detected")


def test_a_largest_distance_below_the_uncertainties_is_a_warning():
    table = blinking(n_events=500, n_frames=500).table
    (warning,) = link(table, max_distance_nm=5).warnings
    assert warning.startswith("the largest distance of 5 nm separates rows of one molecule, whose uncertainties are 1")
    assert link(table, max_distance_nm=50).warnings == ()
