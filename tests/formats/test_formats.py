"""What holds for every format: round trips, formats told by suffix and content, refusals, nothing half-written."""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_subpixel import formats
from napari_subpixel.errors import InputError, InvalidRowsError, TableWarning
from napari_subpixel.localizations import COLUMNS, REQUIRED, Localizations

FILES = ["a.csv", "a.hdf5", "a.h5", "a.parquet"]


def check_one_line(error: pytest.ExceptionInfo[InputError], path: Path) -> None:
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@contextmanager
def files_no_longer_than(n_bytes: int) -> Iterator[None]:
    """Let every write beyond a file's first bytes fail, as on a full disk."""
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", FILES)
def test_a_known_emitter_comes_back_from_every_format(name: str, emitter: Localizations, tmp_path: Path) -> None:
    formats.write(tmp_path / name, emitter)
    back = formats.read(tmp_path / name)
    assert back.columns == emitter.columns
    for column in emitter.columns:
        np.testing.assert_allclose(back[column], emitter[column], rtol=1e-6, err_msg=column)
        assert back[column].dtype == COLUMNS[column][0]
    assert back.about == emitter.about


@pytest.mark.parametrize("name", FILES)
def test_only_what_was_measured_comes_back(name: str, positions_only: Localizations, tmp_path: Path) -> None:
    formats.write(tmp_path / name, positions_only)
    back = formats.read(tmp_path / name)
    assert back.columns == REQUIRED
    np.testing.assert_array_equal(back.yx, positions_only.yx)
    np.testing.assert_array_equal(back.frame, [0, 3])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("columns", [REQUIRED, tuple(COLUMNS)])
def test_a_table_without_rows_is_a_valid_file(name: str, columns: tuple[str, ...], tmp_path: Path) -> None:
    formats.write(tmp_path / name, Localizations.empty(columns, pixel_size_nm=65, frame_shape=(7, 9), n_frames=0))
    back = formats.read(tmp_path / name)
    assert len(back) == 0
    assert back.columns == columns
    assert (back.pixel_size_nm, back.frame_shape, back.n_frames) == (65, (7, 9), 0)


@st.composite
def tables(draw: st.DrawFn) -> Localizations:
    height, width = draw(st.tuples(st.integers(1, 50), st.integers(51, 3000)))
    n = draw(st.integers(0, 6))

    def column(low: float, high: float, width: int = 64) -> list[float]:
        return draw(st.lists(st.floats(low, high, width=width), min_size=n, max_size=n))

    columns = {
        "frame": draw(st.lists(st.integers(0, 10**6), min_size=n, max_size=n)),
        "y": column(-0.5, height - 0.5),
        "x": column(-0.5, width - 0.5),
    }
    if draw(st.booleans()):
        columns |= {"photons": column(1, 2**14, 32), "sigma": column(0.5, 4, 32), "probability": column(0, 1, 32)}
    return Localizations(
        columns,
        pixel_size_nm=draw(st.floats(1, 500)),
        frame_shape=draw(st.sampled_from([None, (height, width)])),
        n_frames=draw(st.sampled_from([None, 10**6 + 1])),
        provenance=draw(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.booleans()), max_size=2)),
    )


@settings(max_examples=25, deadline=None)
@given(table=tables())
@pytest.mark.parametrize("name", ["a.csv", "a.hdf5", "a.parquet"])
def test_any_table_comes_back_within_the_format_s_precision(name: str, table: Localizations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        formats.write(Path(folder, name), table)
        back = formats.read(Path(folder, name))
    assert back.about == table.about
    assert back.columns == table.columns
    np.testing.assert_array_equal(back.frame, table.frame)
    # Picasso's positions are single precision, with a step of 2**-12 px below 4096 px; the csv keeps 1e-4 nm.
    step_nm = {"a.csv": 6e-5, "a.hdf5": 2**-13 * table.known_pixel_size_nm(), "a.parquet": 0.0}[name]
    assert np.abs((back.yx - table.yx) * table.known_pixel_size_nm()).max(initial=0) <= step_nm
    for column in table.columns[3:]:
        np.testing.assert_allclose(back[column], table[column], rtol=0, atol=1e-3 if name == "a.csv" else 0)


@pytest.mark.parametrize("name", ["a.csv", "a.hdf5", "a.parquet"])
def test_200_000_rows_take_no_time_worth_a_word(name: str, many: Localizations, tmp_path: Path) -> None:
    start = time.perf_counter()
    formats.write(tmp_path / name, many)
    back = formats.read(tmp_path / name)
    assert time.perf_counter() - start < 4
    assert np.abs(back.yx - many.yx).max() * 108.3 < 1e-3


@pytest.mark.parametrize("name", FILES)
def test_the_pixel_size_that_is_given_counts(name: str, positions_only: Localizations, tmp_path: Path) -> None:
    formats.write(tmp_path / name, positions_only)
    assert formats.read(tmp_path / name, pixel_size_nm=50).pixel_size_nm == 50


@pytest.mark.parametrize(("name", "size"), [("a.hdf5", None), ("a.parquet", None)])
def test_formats_in_pixels_need_no_pixel_size(name: str, size: float | None, tmp_path: Path) -> None:
    formats.write(tmp_path / name, Localizations({"frame": [2], "y": [2.25], "x": [7.5]}))
    back = formats.read(tmp_path / name)
    assert back.pixel_size_nm is size
    assert back.frame_shape is None
    assert back.n_frames is None


@pytest.mark.parametrize("name", FILES)
def test_numbers_and_paths_of_the_provenance_are_written_plainly(name: str, tmp_path: Path) -> None:
    about = {"a": np.float32(0.5), "b": np.arange(2), "c": Path("movie.tif")}
    formats.write(tmp_path / name, Localizations.empty(pixel_size_nm=100, provenance=about))
    assert formats.read(tmp_path / name).provenance == {"a": 0.5, "b": [0, 1], "c": "movie.tif"}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("text", ["Zellkern µ 細胞", "line\nbreak\x85\u2028", "undecodable \udcff", "", "yes", "1.0"])
def test_any_name_of_a_movie_comes_back(name: str, text: str, tmp_path: Path) -> None:
    formats.write(tmp_path / name, Localizations.empty(pixel_size_nm=100, provenance={"movie": text, text: 1}))
    assert formats.read(tmp_path / name).provenance == {"movie": text, text: 1}


def test_a_provenance_that_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot be noted in a file: <object"):
        formats.write(tmp_path / "a.csv", Localizations.empty(pixel_size_nm=100, provenance={"a": object()}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("A.CSV", "ThunderSTORM csv"),
        ("a.h5", "Picasso hdf5"),
        ("a.hdf5", "Picasso hdf5"),
        ("a.parquet", "native parquet"),
    ],
)
def test_the_suffix_names_the_format(name: str, title: str) -> None:
    assert formats.format_for(name).title == title
    assert formats.format_for(name) in formats.FORMATS.values()


@pytest.mark.parametrize("name", ["a.xyz", "a"])
def test_an_unknown_suffix_is_refused(name: str, emitter: Localizations, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(InputError, match=r"suffixes \.csv, \.hdf5, \.h5, \.parquet, got (\.xyz|none)") as error:
        formats.write(path, emitter)
    check_one_line(error, path)
    with pytest.raises(InputError, match="suffixes"):
        formats.read(path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file") as error:
        formats.read(tmp_path / name)
    check_one_line(error, tmp_path / name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_0_bytes_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"empty \(0 bytes\)") as error:
        formats.read(tmp_path / name)
    check_one_line(error, tmp_path / name)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_is_no_table(name: str, tmp_path: Path, emitter: Localizations) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="directory"):
        formats.read(tmp_path / name)
    with pytest.raises(InputError, match="is a folder"):
        formats.write(tmp_path / name, emitter, overwrite=True)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x93\xfa\x00\x01 not a table\n")
    with pytest.raises(
        InputError, match=r"first line is not text|not an HDF5 file; its first bytes|not a whole parquet"
    ) as error:
        formats.read(path)
    check_one_line(error, path)


@pytest.mark.parametrize("name", ["a.hdf5", "a.parquet"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_file_cut_off_in_the_middle_is_refused(name: str, share: float, many: Localizations, tmp_path: Path) -> None:
    path = tmp_path / name
    formats.write(path, many.select(np.arange(2000)))
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(InputError, match=r"HDF5 file is cut off|not a whole parquet") as error:
        formats.read(path)
    check_one_line(error, path)


@pytest.mark.parametrize("name", FILES)
def test_what_exists_is_kept_unless_overwriting(name: str, emitter: Localizations, tmp_path: Path) -> None:
    path = tmp_path / name
    formats.write(path, emitter)
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists already"):
        formats.check_can_write(path)
    with pytest.raises(InputError, match="exists already") as error:
        formats.write(path, Localizations.empty(pixel_size_nm=1))
    check_one_line(error, path)
    assert path.read_bytes() == before
    formats.check_can_write(path, overwrite=True)
    formats.write(path, Localizations.empty(pixel_size_nm=1), overwrite=True)
    assert len(formats.read(path)) == 0


@pytest.mark.parametrize(("name", "beside"), [("a.csv", "a-protocol.txt"), ("a.hdf5", "a.yaml")])
def test_a_side_file_that_exists_is_kept_unless_overwriting(
    name: str, beside: str, emitter: Localizations, tmp_path: Path
) -> None:
    (tmp_path / beside).write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        formats.check_can_write(tmp_path / name)
    with pytest.raises(InputError, match="exists already") as error:
        formats.write(tmp_path / name, emitter)
    check_one_line(error, tmp_path / beside)
    assert not (tmp_path / name).exists()
    formats.write(tmp_path / name, emitter, overwrite=True)
    assert formats.read(tmp_path / name).about == emitter.about


@pytest.mark.parametrize("name", FILES)
def test_a_folder_that_cannot_be_written_to_is_named(name: str, emitter: Localizations, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "file" / name, tmp_path / "nowhere" / name):
        with pytest.raises(InputError, match="does not exist") as error:
            formats.write(path, emitter)
        check_one_line(error, path)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc, whose folders nobody can write to")
@pytest.mark.parametrize("name", FILES)
def test_a_read_only_place_is_named(name: str, emitter: Localizations) -> None:
    path = Path("/proc/self", name)
    with pytest.raises(InputError, match=r"cannot (write here|be written to)") as error:
        formats.write(path, emitter)
    check_one_line(error, path)


@pytest.mark.parametrize("name", FILES)
def test_a_disk_that_fills_up_leaves_nothing_behind(name: str, many: Localizations, tmp_path: Path) -> None:
    path = tmp_path / name
    with files_no_longer_than(100_000), pytest.raises(InputError, match="File too large") as error:
        formats.write(path, many)
    check_one_line(error, path)
    assert error.value.__cause__.errno == errno.EFBIG
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_a_failed_overwrite_keeps_the_old_files(
    name: str, emitter: Localizations, many: Localizations, tmp_path: Path
) -> None:
    path = tmp_path / name
    formats.write(path, emitter)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with files_no_longer_than(100_000), pytest.raises(InputError):
        formats.write(path, many, overwrite=True)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["a.csv", "a.hdf5"])
def test_without_room_for_the_side_file_there_is_no_table(name: str, tmp_path: Path) -> None:
    table = Localizations.empty(pixel_size_nm=100, provenance={"note": "x" * 50_000})
    with files_no_longer_than(20_000), pytest.raises(InputError, match="File too large"):
        formats.write(tmp_path / name, table)
    assert not list(tmp_path.iterdir())


# -- whose file it is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_every_table_that_is_written_is_recognised(name: str, positions_only: Localizations, tmp_path: Path) -> None:
    formats.write(tmp_path / name, positions_only)
    assert formats.recognises(tmp_path / name)


@pytest.mark.parametrize(
    ("header", "ours"),
    [
        ('"id","frame","x [nm]","y [nm]","uncertainty [nm]"', True),
        ("Ground-truth,frame,xnano,ynano,znano,intensity ", True),
        ("frame,xnm,ynm,znm,photon,prob", True),
        ("Frame,x [nm],y [nm]", True),  # a name misspelt
        ("id,frame,x [nm]", True),  # a column lost
        ("index,axis-0,axis-1", False),  # napari's points
        ("index,shape-type,vertex-index,axis-0,axis-1", False),
        ("y,x,mass,size,ecc,signal,raw_mass,ep,frame", False),  # trackpy's
        ("name,age", False),
        ("\n", False),
    ],
)
def test_a_csv_is_recognised_by_its_header(header: str, ours: bool, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(header + "\nnot,even,numbers\n")
    assert formats.recognises(path) is ours


def test_an_hdf5_of_another_program_is_not_recognised(tmp_path: Path) -> None:
    import h5py

    for number, (place, ours) in enumerate([("data/xyz", True), ("data/image", False), ("data", False)]):
        with h5py.File(tmp_path / f"{number}.h5", "w") as file:
            file[place] = np.zeros((5, 3))
        assert formats.recognises(tmp_path / f"{number}.h5") is ours, place


def test_a_parquet_of_another_program_is_not_recognised(positions_only: Localizations, tmp_path: Path) -> None:
    table = positions_only.table
    table.to_parquet(tmp_path / "ours.parquet")
    table.assign(mass=1.0).to_parquet(tmp_path / "trackpy.parquet")
    table[["y", "x"]].to_parquet(tmp_path / "places.parquet")
    names = ("ours", "trackpy", "places")
    assert [formats.recognises(tmp_path / f"{name}.parquet") for name in names] == [True, False, False]


@pytest.mark.parametrize("name", FILES)
def test_what_cannot_be_looked_into_is_refused_rather_than_not_recognised(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(InputError, match="no such file"):
        formats.recognises(path)
    path.touch()
    with pytest.raises(InputError, match=r"empty \(0 bytes\)"):
        formats.recognises(path)
    path.write_bytes(b"\x93\xfa\x00\x01 not a table\n")
    with pytest.raises(InputError) as error:
        formats.recognises(path)
    check_one_line(error, path)


@pytest.mark.parametrize("name", FILES)
def test_columns_of_ones_own_come_back_from_every_format(name: str, tmp_path: Path) -> None:
    columns = {"frame": [0, 3], "y": [2.25, 11.0], "x": [7.5, 0.125]}
    own = {"group": [7, 2**40], "photon_rate": [0.123456789012345, 2.5], "z_uncertainty": [0.5, np.nan]}
    table = Localizations(columns, extra=own, pixel_size_nm=100, frame_shape=(20, 33))
    formats.write(tmp_path / name, table)
    back = formats.read(tmp_path / name)
    assert back.extra == tuple(own)
    for column in own:
        np.testing.assert_array_equal(back[column], table[column])
        assert back[column].dtype == table[column].dtype


@pytest.mark.parametrize("name", ["a.hdf5", "a.parquet"])
def test_rows_without_a_place_are_left_out_only_where_asked(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    formats.write(path, Localizations({"frame": [0, 3], "y": [2.25, 11.0], "x": [7.5, 0.125], "photons": [5, 6]}))
    if name == "a.parquet":
        pd.DataFrame({"frame": [0, 3], "y": [2.25, 11.0], "x": [7.5, np.nan], "photons": [5, 6]}).to_parquet(path)
    else:
        with h5py.File(path, "r+") as file:
            rows = file["locs"][()]
            rows["x"][1] = np.nan
            file["locs"][...] = rows
    with pytest.raises(InvalidRowsError, match="column 'x' must be finite, got nan in row 1"):
        formats.read(path)
    with pytest.warns(TableWarning, match="1 of 2 rows without a finite frame, x or y left out"):
        back = formats.read(path, skip_invalid=True)
    assert (back.x.tolist(), back["photons"].tolist(), back.provenance["rows_left_out"]) == ([7.5], [5], 1)
