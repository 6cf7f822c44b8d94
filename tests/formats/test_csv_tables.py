"""Csv tables: the exact numbers in each flavour's file, real truth files, and every fault told by line and column."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.errors import InputError
from napari_subpixel.formats import challenge, csv_table, liteloc, nairr, smap, thunderstorm
from napari_subpixel.localizations import Localizations

THUNDERSTORM = '"id","frame","x [nm]","y [nm]"\n'


def lines(path: Path) -> list[str]:
    return path.read_text().split("\n")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text, newline="")
    return path


def test_thunderstorm_measures_from_the_outer_corner_and_counts_from_1(emitter: Localizations, tmp_path: Path) -> None:
    thunderstorm.write(tmp_path / "a.csv", emitter)
    assert lines(tmp_path / "a.csv") == [
        '"id","frame","x [nm]","y [nm]","z [nm]","sigma [nm]","intensity [photon]","offset [photon]",'
        '"uncertainty_xy [nm]","probability","class_index"',
        "1,1,800,275,-40.5,125,1500.5,12.25,12.5,0.75,1",
        "",
    ]


def test_thunderstorm_gets_no_column_that_was_not_measured(positions_only: Localizations, tmp_path: Path) -> None:
    thunderstorm.write(tmp_path / "a.csv", positions_only)
    assert lines(tmp_path / "a.csv") == ['"id","frame","x [nm]","y [nm]"', "1,1,800,275", "2,4,62.5,1150", ""]


def test_the_protocol_file_holds_what_the_table_cannot(emitter: Localizations, tmp_path: Path) -> None:
    thunderstorm.write(tmp_path / "a.csv", emitter)
    assert json.loads((tmp_path / "a-protocol.txt").read_text()) == {
        "program": "napari-subpixel",
        "pixel_size_nm": 100.0,
        "frame_shape": [20, 33],
        "n_frames": 5,
        "provenance": {"model": "paper", "threshold": 0.1, "movie": {"name": "a.tif", "frames": [0, 5]}},
        "stand_ins": {},
    }


def test_the_challenge_s_header_ends_in_a_space(emitter: Localizations, tmp_path: Path) -> None:
    challenge.write(tmp_path / "a.csv", emitter)
    assert lines(tmp_path / "a.csv") == [
        "Ground-truth,frame,xnano,ynano,znano,intensity ",
        "1,1,800,275,-40.5,1500.5",
        "",
    ]
    for back in (challenge.read(tmp_path / "a.csv"), formats.read(tmp_path / "a.csv")):
        assert back.columns == ("frame", "y", "x", "photons", "z_nm")
        assert back.table.iloc[0].tolist() == [0, 2.25, 7.5, 1500.5, -40.5]
        assert back.about == emitter.about


def test_stand_ins_of_the_challenge_are_not_read_back_as_measured(
    positions_only: Localizations, tmp_path: Path
) -> None:
    challenge.write(tmp_path / "a.csv", positions_only)
    assert lines(tmp_path / "a.csv")[1] == "1,1,800,275,0,0"
    assert challenge.read(tmp_path / "a.csv").columns == ("frame", "y", "x")


@pytest.mark.parametrize(
    ("header", "row", "read"),
    [
        ('"id","frame","x [nm]","y [nm]"', "9,1,800.0,275.0", thunderstorm.read),
        ("Ground-truth,frame,xnano,ynano,znano,intensity ", "9,1,800.0,275.0,0,100", challenge.read),
        (
            "No,Frame,Emitter,x (nm),y (nm),sigma (nm),Intensity (photons),Offset (photons),BkgSD (photons)",
            "9,1,4,800.0,275.0,125,100,5,8",
            nairr.read,
        ),
        ("ID,frame,xnm,ynm,znm,phot,bg,locprecnm ", "9,1,850,325,0,100,5,12.5", smap.read),
        ("frame,xnm,ynm,znm,photon,prob", "1,800,275,0,100,0.75", liteloc.read),
    ],
)
def test_every_flavour_is_told_by_its_header_and_read_by_its_custom(
    header: str, row: str, read: object, tmp_path: Path
) -> None:
    path = written(tmp_path, f"{header}\r\n{row}\r\n")
    for reader in (formats.read, read):
        back = reader(path, pixel_size_nm=100)
        assert (back.frame.tolist(), back.y.tolist(), back.x.tolist()) == ([0], [2.25], [7.5])
        if "photons" in back:
            assert back["photons"].tolist() == [100]
        if "sigma" in back:
            assert back["sigma"].tolist() == [1.25]
        if "x_uncertainty" in back:
            assert back["x_uncertainty"].tolist() == back["y_uncertainty"].tolist() == [0.125]


@pytest.mark.parametrize("name", ["uncertainty [nm]", "uncertainty_xy [nm]"])
def test_both_names_of_thunderstorm_s_uncertainty_are_read(name: str, tmp_path: Path) -> None:
    back = formats.read(written(tmp_path, f'"frame","x [nm]","y [nm]","{name}"\n1,50,50,10\n'), pixel_size_nm=100)
    assert back["x_uncertainty"].tolist() == back["y_uncertainty"].tolist() == [np.float32(0.1)]


def test_three_dimensional_and_merged_tables_are_read(tmp_path: Path) -> None:
    text = (
        '"id","frame","x [nm]","y [nm]","z [nm]","sigma1 [nm]","sigma2 [nm]","intensity [photon]","offset [photon]",'
        '"bkgstd [photon]","chi2","uncertainty_xy [nm]","uncertainty_z [nm]","detections"\n'
        "1.0,3.0,800.0,275.0,-12.5,120,140,900,7,2.5,81.5,10,20,4\n"
    )
    back = formats.read(written(tmp_path, text), pixel_size_nm=100)
    assert back.columns == ("frame", "y", "x", "photons", "background", "y_uncertainty", "x_uncertainty", "z_nm")
    assert back.frame.tolist() == [2]
    assert back["z_nm"].tolist() == [-12.5]


def test_two_uncertainties_are_written_as_their_root_mean_square(tmp_path: Path) -> None:
    columns = {"frame": [0], "y": [1], "x": [2], "y_uncertainty": [0.1], "x_uncertainty": [0.7]}
    thunderstorm.write(tmp_path / "a.csv", Localizations(columns, pixel_size_nm=100))
    assert lines(tmp_path / "a.csv")[1] == "1,1,250,150,50"


def test_a_value_that_is_missing_stays_missing(tmp_path: Path) -> None:
    columns = {"frame": [0, 1], "y": [1, 1], "x": [2, 2], "photons": [np.nan, 30]}
    thunderstorm.write(tmp_path / "a.csv", Localizations(columns, pixel_size_nm=100))
    assert lines(tmp_path / "a.csv")[1] == "1,1,250,150,NaN"
    np.testing.assert_array_equal(formats.read(tmp_path / "a.csv")["photons"], [np.nan, 30])


def test_an_empty_cell_is_a_missing_value_and_an_empty_column_no_column(tmp_path: Path) -> None:
    path = written(tmp_path, '"frame","x [nm]","y [nm]","z [nm]","sigma [nm]"\n1,50,50,,\n2,50,50,NaN,100\n')
    back = formats.read(path, pixel_size_nm=100)
    assert back.columns == ("frame", "y", "x", "sigma")
    np.testing.assert_array_equal(back["sigma"], [np.nan, 1])


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_header_alone_is_a_table_without_rows(end: str, tmp_path: Path) -> None:
    back = formats.read(written(tmp_path, '\ufeff"frame","x [nm]","y [nm]","sigma [nm]"' + end), pixel_size_nm=100)
    assert (len(back), back.columns) == (0, ("frame", "y", "x", "sigma"))


def test_blank_lines_and_spaces_do_not_matter(tmp_path: Path) -> None:
    back = formats.read(written(tmp_path, "frame, x [nm], y [nm]\n\n1, 50,\t150\n\n2 ,50 , 250\n\n"), pixel_size_nm=100)
    assert (back.frame.tolist(), back.y.tolist()) == ([0, 1], [1, 2])


def test_without_a_pixel_size_nm_cannot_be_read_or_written(tmp_path: Path) -> None:
    path = written(tmp_path, THUNDERSTORM + "1,1,50,50\n")
    with pytest.raises(InputError, match=r"table\.csv: .*pixel size is not known"):
        formats.read(path)
    with pytest.raises(InputError, match="pixel size is not known"):
        formats.write(tmp_path / "b.csv", Localizations.empty())
    with pytest.raises(InputError, match=r"table\.csv: pixel size must be positive and finite, got -5 nm"):
        formats.read(path, pixel_size_nm=-5)


@pytest.mark.parametrize("text", ["ThunderSTORM, words", "[1, 2]", '{"pixel_size_nm": 100}', '{"program": "other"}'])
def test_another_program_s_protocol_is_passed_over(text: str, tmp_path: Path) -> None:
    path = written(tmp_path, THUNDERSTORM + "1,1,50,50\n")
    csv_table.protocol_file(path).write_text(text)
    assert formats.read(path, pixel_size_nm=65).about == Localizations.empty(pixel_size_nm=65).about


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"pixel_size_nm": "wide"}, "table.csv: pixel size must be a number in nm, got 'wide'"),
        ({"frame_shape": [3]}, "table-protocol.txt: frame_shape must be two whole numbers (height, width), got [3]"),
        ({"frame_shape": 3}, "table-protocol.txt: frame_shape must be two whole numbers (height, width), got 3"),
        ({"n_frames": 1.5}, "table-protocol.txt: n_frames must be a whole number, got 1.5"),
        ({"provenance": "me"}, "table-protocol.txt: provenance must hold named entries, got 'me'"),
    ],
)
def test_a_protocol_that_was_spoilt_is_named(entry: dict[str, object], message: str, tmp_path: Path) -> None:
    path = written(tmp_path, THUNDERSTORM + "1,1,50,50\n")
    csv_table.protocol_file(path).write_text(json.dumps({"program": "napari-subpixel", "pixel_size_nm": 1, **entry}))
    with pytest.raises(InputError) as error:
        formats.read(path)
    assert str(error.value) == f"{tmp_path}/{message}"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,frame,x [nm],Y[nm]", "not a ThunderSTORM csv: missing column 'y [nm]' (is it 'Y[nm]'?); there are 'id', "),
        ("frame,x [nm]", "not a ThunderSTORM csv: missing column 'y [nm]'; there are 'frame', 'x [nm]'"),
        ("Frames,x[nm],y[nm]", "missing column 'frame' (is it 'Frames'?), 'x [nm]' (is it 'x[nm]'?), 'y [nm]' (is it"),
        ("Ground-truth,frame,xnano,y_nano", "not a SMLM challenge csv: missing column 'ynano' (is it 'y_nano'?)"),
        ("frame,xnm,ynm", "not a SMAP csv: missing column 'phot'; there are 'frame', 'xnm', 'ynm'"),
        ("a,b,c", "unknown header 'a', 'b', 'c'; known are ThunderSTORM csv: frame,x [nm],y [nm]; SMLM challenge csv"),
        ("frame,x,y", "unknown header 'frame', 'x', 'y'; known are"),
        ("", "unknown header none; known are"),
        ("1,2.5,7.25", "unknown header '1', '2.5', '7.25'; known are"),
        (",".join(["column"] + [f"{n}" for n in range(200)]), "...; known are ThunderSTORM csv: "),
        ("frame,x [nm],x [nm],y [nm]", "column 'x [nm]' is there 2 times"),
    ],
)
def test_a_header_that_does_not_fit_is_told_from_the_closest(header: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, header + "\n1,2,3,4\n")
    with pytest.raises(InputError) as error:
        formats.read(path, pixel_size_nm=100)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_reader_of_one_flavour_says_what_it_misses(tmp_path: Path) -> None:
    path = written(tmp_path, "frame,xnano,ynano\n1,2,3\n")
    with pytest.raises(InputError, match=r"not a ThunderSTORM csv: missing column 'x \[nm\]', 'y \[nm\]'; there are"):
        thunderstorm.read(path, pixel_size_nm=100)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1,1,50,50\n2,1,abc,50\n", "line 3, column 'x [nm]': expected a number, got 'abc'"),
        ("1,1,50,50\n\n\n2,1,50,N/A\n", "line 5, column 'y [nm]': expected a number, got 'N/A'"),
        ("1,1,50,\n", "line 2, column 'y [nm]': expected a finite number, got ''"),
        ("1,1,NaN,50\n", "line 2, column 'x [nm]': expected a finite number, got 'NaN'"),
        ("1,1,inf,50\n", "line 2, column 'x [nm]': expected a finite number, got 'inf'"),
        ("1,1,50,50\n2,0,50,50\n", "line 3, column 'frame': frame 0, but a ThunderSTORM csv counts frames from 1"),
        ("1,-3,50,50\n", "line 2, column 'frame': frame -3, but a ThunderSTORM csv counts frames from 1"),
        ("1,1.5,50,50\n", "line 2, column 'frame': expected a whole number, got '1.5'"),
        ("1,,50,50\n", "line 2, column 'frame': expected a finite number, got ''"),
        ("1,1,50,50\n2,1,50\n", "line 3 has 3 values, the header has 4"),
        ("1,1,50,50,9\n", "line 2 has 5 values, the header has 4"),
        ("1;1;50;50\n", "line 2 has 1 values, the header has 4"),
        ("1,1,50,\xff\n", "line 2, column 'y [nm]': expected a number, got 'ÿ'"),
        ("1,1,50,1_0\n", "CSV conversion error to double: invalid value '1_0'"),
    ],
)
def test_a_fault_among_the_numbers_is_told_by_line_and_column(rows: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, THUNDERSTORM + rows)
    with pytest.raises(InputError) as error:
        formats.read(path, pixel_size_nm=100)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_text_in_a_column_that_nobody_reads_does_no_harm(tmp_path: Path) -> None:
    back = formats.read(written(tmp_path, '"note","frame","x [nm]","y [nm]"\n"a, b",1,50,50\n'), pixel_size_nm=100)
    assert len(back) == 1


def test_text_in_an_optional_column_is_told_too(tmp_path: Path) -> None:
    path = written(tmp_path, '"frame","x [nm]","y [nm]","sigma [nm]"\n1,50,50,90\n1,50,50,wide\n')
    with pytest.raises(InputError, match=r"line 3, column 'sigma \[nm\]': expected a number, got 'wide'"):
        formats.read(path, pixel_size_nm=100)


@pytest.mark.parametrize(
    ("file", "rows", "frames", "columns"),
    [
        ("deepstorm_demo1/train_truth.csv", 4956, 20, ("photons", "background", "sigma")),
        ("deepstorm_demo1/test_truth.csv", 81178, 361, ()),
        ("nairr_2dgauss/validate_ld_truth.csv", 6468, 500, ("photons", "background", "sigma")),
        ("nairr_2dgauss/validate_md_truth.csv", 21133, 500, ("photons", "background", "sigma")),
        ("nairr_2dgauss/validate_hd_truth.csv", 32508, 500, ("photons", "background", "sigma")),
        ("challenge2016_mt0_n1_ld/activations_frames_1-64.csv", 67, 64, ("photons", "z_nm")),
    ],
)
def test_real_truth_is_read_whole(
    file: str, rows: int, frames: int, columns: tuple[str, ...], data_folder: Path
) -> None:
    truth = formats.read(data_folder / file, pixel_size_nm=100)
    assert len(truth) == rows
    assert truth.columns == ("frame", "y", "x", *columns)
    assert truth.frame.min() >= 0
    assert truth.frame.max() < frames
    assert min(truth.y.min(), truth.x.min()) > -0.75
    assert max(truth.y.max(), truth.x.max()) < 64.25


def test_real_truth_lies_where_the_light_is(data_folder: Path) -> None:
    """The truth's centre of mass, weighted by nothing, is that of the light above the background."""
    import tifffile

    truth = formats.read(data_folder / "nairr_2dgauss/validate_ld_truth.csv", pixel_size_nm=100)
    light = tifffile.imread(data_folder / "nairr_2dgauss/validate_ld.tif").mean(axis=0, dtype=float)
    first = truth.table.iloc[0]
    assert first[["frame", "y", "x"]].tolist() == pytest.approx([0, 20.7597211, 27.2612247])
    drawn = np.zeros_like(light)
    inside = (truth.yx > -0.5).all(axis=1) & (truth.yx < 31.5).all(axis=1)
    np.add.at(drawn, tuple(np.round(truth.yx[inside]).astype(int).T), 1)
    spectrum = np.fft.fft2(drawn - drawn.mean()).conj() * np.fft.fft2(light - light.mean())
    assert np.unravel_index(np.fft.ifft2(spectrum).real.argmax(), light.shape) == (0, 0)


def test_mean_positions_of_the_real_truth(data_folder: Path) -> None:
    for file in ("deepstorm_demo1/train_truth.csv", "nairr_2dgauss/validate_hd_truth.csv"):
        truth = formats.read(data_folder / file, pixel_size_nm=100)
        raw = np.loadtxt(data_folder / file, delimiter=",", skiprows=1, usecols=(3, 2) if "train" in file else (4, 3))
        np.testing.assert_allclose(truth.yx.mean(axis=0), raw.mean(axis=0) / 100 - 0.5, rtol=1e-12)
