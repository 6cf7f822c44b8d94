"""The table of localizations: what it takes, what it refuses and in which words, and how rows are chosen and joined."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_subpixel.errors import InputError
from napari_subpixel.localizations import COLUMNS, REQUIRED, Localizations, concat

ROWS = {"frame": [0, 0, 2], "y": [1.5, 7.0, 2.0], "x": [3.25, 0.0, 14.0], "photons": [900, 500, 700]}
ABOUT = {"pixel_size_nm": 100, "frame_shape": (8, 15), "n_frames": 4, "provenance": {"movie": "cells.tif"}}


@pytest.fixture
def table() -> Localizations:
    return Localizations(ROWS, **ABOUT)


def same_about(one: Localizations, other: Localizations) -> bool:
    return one.about == other.about


# -- what is there ------------------------------------------------------------------------------------------------


def test_columns_are_read_by_name_in_one_order_and_type():
    table = Localizations({name: [1, 2] for name in reversed(COLUMNS)})
    assert table.columns == tuple(COLUMNS)
    for name, (dtype, _) in COLUMNS.items():
        assert table[name].dtype == dtype
        assert table[name].tolist() == [1, 2]


def test_positions_are_rows_then_columns(table):
    assert table.frame.tolist() == [0, 0, 2]
    assert table.y.tolist() == [1.5, 7.0, 2.0]
    assert table.x.tolist() == [3.25, 0.0, 14.0]
    assert table.yx.tolist() == [[1.5, 3.25], [7.0, 0.0], [2.0, 14.0]]


def test_the_table_knows_its_length_columns_and_pixel_size(table):
    assert len(table) == 3
    assert "photons" in table
    assert "sigma" not in table
    assert repr(table) == "<Localizations: 3 rows (frame, y, x, photons), pixel size 100 nm>"
    assert "pixel size unknown" in repr(Localizations(ROWS))


def test_what_is_known_beside_the_rows_is_checked_and_kept(table):
    assert table.about == {**ABOUT, "pixel_size_nm": 100.0}
    assert Localizations(ROWS).about == {"pixel_size_nm": None, "frame_shape": None, "n_frames": None, "provenance": {}}
    assert Localizations(ROWS, frame_shape=np.array([8, 15])).frame_shape == (8, 15)


def test_a_data_frame_of_any_index_is_taken_row_by_row():
    frame = pd.DataFrame(ROWS, index=[7, 7, 1])
    table = Localizations(frame)
    assert table.x.tolist() == ROWS["x"]
    assert table.table.index.tolist() == [0, 1, 2]


def test_numbers_that_pandas_keeps_as_objects_are_numbers():
    table = Localizations({"frame": np.array([0, 1], object), "y": pd.array([1, 2], "Int64"), "x": [0.5, 1]})
    assert table.frame.tolist() == [0, 1]
    assert table.y.tolist() == [1.0, 2.0]


def test_the_caller_may_change_what_was_handed_in():
    y = np.array([1.0, 2.0])
    table = Localizations({"frame": [0, 1], "y": y, "x": [3, 4]})
    y[0] = 99
    assert table.y.tolist() == [1.0, 2.0]


def test_a_column_cannot_be_written_to(table):
    with pytest.raises(ValueError, match="read-only"):
        table.y[0] = 99


def test_a_column_that_is_not_there_is_named_with_those_that_are(table):
    with pytest.raises(KeyError, match=r"no column 'sigma'; there are frame, y, x, photons"):
        table["sigma"]


def test_what_was_not_measured_of_a_point_may_be_nan():
    table = Localizations({**ROWS, "y_uncertainty": [0.1, np.nan, 0.2]})
    assert np.isnan(table["y_uncertainty"]).tolist() == [False, True, False]


def test_an_unknown_pixel_size_is_asked_for(table):
    assert table.known_pixel_size_nm() == 100.0
    with pytest.raises(InputError, match="pixel size of the localizations is not known"):
        Localizations(ROWS).known_pixel_size_nm()


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photon": [1, 2, 3]}, r"unknown column 'photon'; did you mean 'photons'\?"),
        ({"probabilty": [1, 1, 1]}, r"unknown column 'probabilty'; did you mean 'probability'\?"),
        ({"x_uncertianty": [1, 1, 1]}, r"unknown column 'x_uncertianty'; did you mean 'x_uncertainty'\?"),
        ({"Sigma": [1, 1, 1]}, r"unknown column 'Sigma'; did you mean 'sigma'\?"),
        ({"": [1, 1, 1]}, r"unknown column ''$"),
        ({"track": ["a", "b", "c"]}, r"column 'track' must hold numbers, got 'a' in row 0"),
        ({7: [1, 1, 1]}, r"unknown column 7$"),
        ({"x": [1, 2]}, r"columns differ in length: \{'frame': 3, 'y': 3, 'x': 2, 'photons': 3\}"),
        ({"x": ["3.5", "oops", "1"]}, r"column 'x' must hold numbers, got 'oops' in row 1"),
        ({"x": ["3.5", "2", "1"]}, r"column 'x' must hold numbers, got '3.5' in row 0"),
        ({"x": np.array([1, None, 2], object)}, r"column 'x' must hold numbers, got None in row 1"),
        ({"x": [1, 2, 1j]}, r"column 'x' must hold numbers, got \(1\+0j\) in row 0"),
        ({"x": [[1], [2], [3]]}, r"column 'x' must be one-dimensional, got shape \(3, 1\)"),
        ({"x": 3.0}, r"column 'x' must be one-dimensional, got shape \(\)"),
        ({"x": [0, np.nan, np.inf]}, r"column 'x' must be finite, got nan in row 1"),
        ({"y": [0, 1, -np.inf]}, r"column 'y' must be finite, got -inf in row 2"),
        ({"frame": [0, np.nan, 1]}, r"column 'frame' must be finite, got nan in row 1"),
        ({"frame": [0, -1, -2]}, r"column 'frame' must hold whole numbers from 0 to 2\*\*53, got -1 in row 1"),
        ({"frame": [0, 1, 1.5]}, r"column 'frame' must hold whole numbers from 0 to 2\*\*53, got 1.5 in row 2"),
        ({"frame": [0, 1, 1e300]}, r"column 'frame' must hold whole numbers from 0 to 2\*\*53, got 1e\+300 in row 2"),
        ({"class_index": [0, np.nan, 1]}, r"column 'class_index' must hold whole numbers .* got nan in row 1"),
        ({"class_index": [0, 1, np.inf]}, r"column 'class_index' must hold whole numbers .* got inf in row 2"),
    ],
)
def test_a_bad_column_is_refused_by_name(change, message):
    with pytest.raises(InputError, match=message):
        Localizations({**ROWS, **change})


@pytest.mark.parametrize("missing", REQUIRED)
def test_a_missing_column_is_named_with_those_that_are_there(missing):
    columns = {name: values for name, values in ROWS.items() if name != missing}
    with pytest.raises(InputError, match=rf"missing column '{missing}'; there are '.*'photons'"):
        Localizations(columns)


def test_a_table_of_no_columns_says_so():
    with pytest.raises(InputError, match=r"missing column 'frame'; there are none"):
        Localizations(pd.DataFrame())


def test_a_column_that_is_there_twice_is_refused():
    twice = pd.DataFrame([[0, 1.0, 2.0, 3.0]], columns=["frame", "y", "x", "x"])
    with pytest.raises(InputError, match="column 'x' must be one-dimensional"):
        Localizations(twice)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"pixel_size_nm": -100}, "pixel size must be positive and finite, got -100 nm"),
        ({"frame_shape": (8,)}, r"frame shape must be two positive whole numbers \(height, width\), got \(8,\)"),
        ({"frame_shape": (0, 8)}, r"frame shape .* got \(0, 8\)"),
        ({"n_frames": -1}, "number of frames must be a whole number from 0, got -1"),
        ({"n_frames": 2.5}, r"number of frames .* got 2\.5"),
        ({"n_frames": "many"}, r"number of frames .* got 'many'"),
    ],
)
def test_what_is_wrong_beside_the_rows_is_refused_too(about, message):
    with pytest.raises(InputError, match=message):
        Localizations(ROWS, **about)


# -- no rows ------------------------------------------------------------------------------------------------------


def test_nothing_found_is_a_table_without_rows():
    empty = Localizations.empty(["frame", "y", "x", "photons"], **ABOUT)
    assert len(empty) == 0
    assert empty.columns == ("frame", "y", "x", "photons")
    assert [empty[name].dtype for name in empty.columns] == [COLUMNS[name][0] for name in empty.columns]
    assert empty.yx.shape == (0, 2)
    assert empty.pixel_size_nm == 100.0


def test_an_empty_table_can_be_selected_from_cut_and_joined(table):
    empty = Localizations.empty(table.columns)
    assert len(empty.select([])) == len(empty.select(np.zeros(0, bool))) == len(empty.in_frames(1, 3)) == 0
    assert empty.with_columns(sigma=1.2).columns == (*table.columns, "sigma")
    assert concat([empty, table]).x.tolist() == table.x.tolist()
    assert len(concat([empty, empty])) == 0


def test_an_empty_table_refuses_unknown_columns_too():
    with pytest.raises(InputError, match=r"unknown column 'photon'"):
        Localizations.empty([*REQUIRED, "photon"])


def test_columns_that_a_reader_left_without_a_type_are_empty_columns():
    table = Localizations(pd.DataFrame({"frame": [], "y": [], "x": []}, dtype=object))
    assert [table[name].dtype for name in REQUIRED] == [np.int64, np.float64, np.float64]


# -- rows chosen and joined ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "photons"),
    [
        ([True, False, True], [900, 700]),
        ([2, 0], [700, 900]),
        ([-1, -1], [700, 700]),
        ([], []),
        (pd.Series([False, True, False], index=[5, 6, 7]), [500]),
    ],
)
def test_rows_are_selected_by_mask_or_index(table, rows, photons):
    chosen = table.select(rows)
    assert chosen["photons"].tolist() == photons
    assert chosen.columns == table.columns
    assert same_about(chosen, table)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([True, False], r"a mask must have shape \(3,\), got \(2,\)"),
        ([0.5, 1.0], r"rows must be a mask or an array of indices, got float64 of shape \(2,\)"),
        (1, r"rows must be .* got int64 of shape \(\)"),
    ],
)
def test_rows_that_cannot_be_meant_are_refused(table, rows, message):
    with pytest.raises(ValueError, match=message):
        table.select(rows)


def test_a_row_that_is_not_there_is_refused(table):
    with pytest.raises(IndexError):
        table.select([3])


@pytest.mark.parametrize(
    ("start", "stop", "frames"),
    [
        (None, None, [0, 0, 2]),
        (0, 1, [0, 0]),
        (1, None, [2]),
        (None, 2, [0, 0]),
        (1, 2, []),
        (2, 3, [2]),
        (5, 9, []),
    ],
)
def test_frames_are_cut_from_start_up_to_but_without_stop(table, start, stop, frames):
    part = table.in_frames(start, stop)
    assert part.frame.tolist() == frames
    assert same_about(part, table)


def test_rows_of_a_higher_probability_are_what_a_detection_with_that_threshold_gives(table):
    found = table.with_columns(probability=[0.1, 0.4, 0.9]).with_about(
        provenance={"movie": "cells.tif", "threshold": 0.1}
    )
    sure = found.above(0.4)
    assert sure["probability"].tolist() == pytest.approx([0.4, 0.9])
    assert sure.provenance == {"movie": "cells.tif", "threshold": 0.4}
    assert sure.pixel_size_nm == found.pixel_size_nm
    assert found.provenance["threshold"] == 0.1
    assert len(found.above(0.1)) == 3
    assert len(found.above(1)) == 0
    with pytest.raises(InputError, match=r"below 0.4 were never reported, so there are none from 0.2 on"):
        sure.above(0.2)


def test_a_table_that_does_not_say_its_threshold_takes_any(table):
    assert len(table.with_columns(probability=[0.1, 0.4, 0.9]).above(0)) == 3


def test_rows_are_not_chosen_by_a_probability_that_is_not_there(table):
    with pytest.raises(InputError, match="no column 'probability' to choose rows by; there are frame, y, x, photons"):
        table.above(0.5)
    with pytest.raises(InputError, match="probability must be a number, got 'much'"):
        table.with_columns(probability=0.5).above("much")


@given(st.lists(st.integers(0, 6), max_size=12), st.integers(0, 7))
def test_a_table_cut_at_a_frame_is_whole_again_when_joined(frames, cut):
    frames = sorted(frames)
    table = Localizations({"frame": frames, "y": np.arange(len(frames)), "x": np.arange(len(frames)) / 2})
    again = concat([table.in_frames(None, cut), table.in_frames(cut)])
    pd.testing.assert_frame_equal(again.table, table.table)


def test_joined_tables_keep_their_order_and_the_firsts_about(table):
    other = Localizations({**ROWS, "frame": [5, 6, 7]})
    joined = concat([table, other])
    assert joined.frame.tolist() == [0, 0, 2, 5, 6, 7]
    assert joined.table.index.tolist() == list(range(6))
    assert joined.about == {**table.about, "n_frames": None}  # since that of the other is not known


def test_tables_of_different_columns_are_not_joined(table):
    with pytest.raises(InputError, match=r"cannot join tables with columns \('frame', .*\) and \('frame', 'y', 'x'\)"):
        concat([table, Localizations.empty()])


def test_joining_no_table_is_refused():
    with pytest.raises(InputError, match="nothing to join"):
        concat([])


# -- columns and settings changed ---------------------------------------------------------------------------------


def test_columns_are_added_and_replaced(table):
    more = table.with_columns(sigma=[1, 2, 3], x=table.x + 1)
    assert more.columns == ("frame", "y", "x", "photons", "sigma")
    assert more.x.tolist() == [4.25, 1.0, 15.0]
    assert table.x.tolist() == [3.25, 0.0, 14.0]
    assert same_about(more, table)


def test_a_single_number_goes_to_every_row(table):
    assert table.with_columns(probability=1)["probability"].tolist() == [1, 1, 1]


def test_a_new_column_is_taken_row_by_row_whatever_its_index(table):
    shuffled = pd.Series([10.0, 20.0, 30.0], index=[2, 1, 0])
    assert table.with_columns(background=shuffled)["background"].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sigma": [1, 2]}, "columns differ in length"),
        ({"sgima": [1, 2, 3]}, r"unknown column 'sgima'; did you mean 'sigma'\?"),
        ({"sigma": "wide"}, "column 'sigma' must hold numbers, got 'wide'"),
    ],
)
def test_a_bad_new_column_is_refused(table, columns, message):
    with pytest.raises(InputError, match=message):
        table.with_columns(**columns)


def test_the_settings_are_changed_one_by_one(table):
    other = table.with_about(pixel_size_nm=65)
    assert other.pixel_size_nm == 65
    assert other.frame_shape == table.frame_shape
    assert table.pixel_size_nm == 100


def test_the_tables_do_not_share_their_provenance(table):
    other = table.select([0])
    other.provenance["movie"] = "another.tif"
    assert table.provenance == {"movie": "cells.tif"}


# -- without a copy -------------------------------------------------------------------------------------------------


def test_arrays_are_copied_unless_they_are_given_away():
    columns = {"frame": np.zeros(3, np.int64), "y": np.arange(3.0), "x": np.arange(3.0)}
    kept, taken = Localizations(columns), Localizations(columns, copy=False)
    assert not np.shares_memory(kept.y, columns["y"])
    assert np.shares_memory(taken.y, columns["y"])
    assert taken.table.equals(kept.table)


def test_another_pixel_size_copies_no_rows_and_a_change_to_a_data_frame_stays_there(table):
    assert np.shares_memory(table.with_about(pixel_size_nm=65).y, table.y)
    frame = table.table.copy()
    other = Localizations(frame)
    assert np.shares_memory(other.y, frame["y"].to_numpy())
    frame.loc[0, "y"] = 5.0
    assert other.y[0] == 1.5


def test_a_data_frame_of_other_types_or_in_another_order_becomes_a_table_as_ever(table):
    for frame in (table.table[["x", "y", "frame"]], table.table.astype({"frame": "int32", "photons": float})):
        assert Localizations(frame).table.equals(table.table[list(Localizations(frame).columns)])


# -- columns of one's own, rows by a mask, movies joined ------------------------------------------------------------


def test_columns_of_ones_own_are_kept_after_the_standard_ones(table):
    own = table.with_columns(track=[3, 3, 5], photon_rate=0.5, n=np.array([1, 2, 3], np.uint32))
    assert own.columns == ("frame", "y", "x", "photons", "track", "photon_rate", "n")
    assert own.extra == ("track", "photon_rate", "n")
    assert (own["track"].dtype, own["photon_rate"].tolist(), own["n"].dtype) == (np.int64, [0.5] * 3, np.uint32)
    for same in (own.select([0, 2]), own.in_frames(0, 3), own.with_about(n_frames=9), own.with_columns(sigma=1.0)):
        assert same.extra == own.extra
    assert concat([own, own])["track"].tolist() == [3, 3, 5, 3, 3, 5]


def test_a_name_that_is_nearly_a_standard_one_is_ones_own_only_where_that_is_said(table):
    with pytest.raises(InputError, match="did you mean 'y_uncertainty'"):
        table.with_columns(z_uncertainty=1.0)
    own = table.with_extra({"z_uncertainty": 1.0})
    assert own.with_columns(z_uncertainty=[1, 2, 3])["z_uncertainty"].tolist() == [1, 2, 3]
    assert Localizations(ROWS, extra={"z_uncertainty": [1, 2, 3]}).extra == ("z_uncertainty",)
    with pytest.raises(InputError, match="'sigma' cannot be a column of your own"):
        table.with_extra({"sigma": 1.0})


def test_rows_are_taken_by_mask_slice_and_indices_as_in_numpy(table):
    mask = table["photons"] > 600
    for rows in (table[mask], table[[0, 2]], table[np.array([0, 2])], table[::2], table[pd.Series(mask)]):
        assert isinstance(rows, Localizations)
        assert rows.x.tolist() == [3.25, 14.0]
        assert same_about(rows, table)
        assert rows.table.index.tolist() == [0, 1]
    assert table["photons"].tolist() == [900, 500, 700]
    assert len(table[[]]) == 0
    for key in (1, None, ["x", "y"]):
        with pytest.raises(KeyError, match="expected the name of a column, or rows as"):
            table[key]


def test_movies_joined_keep_frames_or_follow_each_other_and_name_their_sources(table):
    other = table.with_about(provenance={"movie": "more.tif"}, n_frames=3)
    kept, appended = concat([table, other]), concat([table, other], frames="append")
    assert (kept.frame.tolist(), kept.n_frames) == ([0, 0, 2, 0, 0, 2], 4)
    assert (appended.frame.tolist(), appended.n_frames) == ([0, 0, 2, 4, 4, 6], 7)
    for joined in (kept, appended):
        assert joined.provenance == {"sources": [{"movie": "cells.tif"}, {"movie": "more.tif"}]}
    assert concat([table, table]).provenance == {"movie": "cells.tif"}
    with pytest.raises(InputError, match="the number of frames of a table is not known"):
        concat([table, table.with_about(n_frames=None)], frames="append")
    with pytest.raises(InputError, match="frames must be 'keep' or 'append', got 'add'"):
        concat([table, table], frames="add")
    with pytest.raises(InputError, match="cannot join tables with pixels of 100 nm and 65 nm"):
        concat([table, table.with_about(pixel_size_nm=65)])
