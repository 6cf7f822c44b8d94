"""Text tables: the exact numbers in each flavour's file, real truth files, and every fault told by line and column."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel._util.files import protocol_file
from napari_subpixel.errors import InputError, InvalidRowsError, OriginError, TableWarning
from napari_subpixel.formats import challenge, liteloc, nairr, smap, thunderstorm
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
    assert back.columns[:8] == ("frame", "y", "x", "photons", "background", "y_uncertainty", "x_uncertainty", "z_nm")
    own = {name: back[name].tolist() for name in back.extra}
    assert own == {
        "sigma1 [nm]": [120],
        "sigma2 [nm]": [140],
        "bkgstd [photon]": [2.5],
        "chi2": [81.5],
        "uncertainty_z [nm]": [20],
    }
    assert back["n_frames"].tolist() == [4]
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
    protocol_file(path).write_text(text)
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
    protocol_file(path).write_text(json.dumps({"program": "napari-subpixel", "pixel_size_nm": 1, **entry}))
    with pytest.raises(InputError) as error:
        formats.read(path)
    assert str(error.value) == f"{tmp_path}/{message}"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,frame,x [nm],Y_nm", "not a ThunderSTORM csv: missing column 'y [nm]' (is it 'Y_nm'?); there are 'id', "),
        ("frame,x [nm]", "not a ThunderSTORM csv: missing column 'y [nm]'; there are 'frame', 'x [nm]'"),
        ("Frames,x[nm],y[nm]", "missing column 'frame' (is it 'Frames'?); not a"),
        ("Frames;x [nm];y [nm]", "there are 'Frames', 'x [nm]', 'y [nm]' (separated by semicolons)"),
        ("Ground-truth,frame,xnano,ynanos", "not a SMLM challenge csv: missing column 'ynano' (is it 'ynanos'?)"),
        (
            "frame,xnm,ynm",
            "not a SMAP csv: missing column 'phot'; not a LiteLoc csv: missing column 'photon'; there are 'frame', ",
        ),
        ("Channel,X (nm),Y (nm)", "not a ONI Nanoimager csv: missing column 'Frame'; there are 'Channel', 'X (nm)'"),
        ("frame\tx\tz", "not a Plain csv: missing column 'y'; there are 'frame', 'x', 'z' (separated by tabs)"),
        (
            "a,b,c",
            "unknown header 'a', 'b', 'c'; known are ThunderSTORM csv: frame,x [nm],y [nm]; SMLM challenge",
        ),
        ("a\tb\tc", "unknown header 'a', 'b', 'c' (separated by tabs); known are"),
        ("", "unknown header '1', '2', '3', '4'; known are"),
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


# -- how it is written is seen by looking --------------------------------------------------------------------------

NAMES = ("id", "frame", "x [nm]", "y [nm]", "sigma [nm]", "intensity [photon]", "uncertainty_xy [nm]")
CELLS = ((1, 1, "1050.0", "2050.0", 130, 1500, "8.1"), (2, 6, "505.25", "4000.5", 129, 1700, "8.3"))


def as_text(separator: str = ",", decimal: str = ".", names: tuple[str, ...] = NAMES, quote: str = '"') -> str:
    header = separator.join(f"{quote}{name}{quote}" for name in names)
    rows = [separator.join(str(cell).replace(".", decimal) for cell in row) for row in CELLS]
    return "\n".join([header, *rows, ""])


def in_pixels(text: str) -> str:
    """The same rows with all lengths in pixels of 100 nm."""
    for nm, px in (("1050.0", "10.5"), ("2050.0", "20.5"), ("505.25", "5.0525"), ("4000.5", "40.005"), ("130", "1.3")):
        text = text.replace(nm, px)
    return text.replace("129", "1.29").replace("8.1", "0.081").replace("8.3", "0.083")


def in_um(text: str) -> str:
    for nm, um in (("1050.0", "1.05"), ("2050.0", "2.05"), ("505.25", "0.50525"), ("4000.5", "4.0005")):
        text = text.replace(nm, um)
    return text.replace("130", "0.13").replace("129", "0.129").replace("8.1", "0.0081").replace("8.3", "0.0083")


def with_names(**units: str) -> tuple[str, ...]:
    return tuple(name.replace("[nm]", units["nm"]) for name in NAMES)


WRITTEN: dict[str, str | bytes] = {
    "commas": as_text(),
    "tabs": as_text("\t"),
    "semicolons": as_text(";"),
    "semicolons and decimal commas": as_text(";", ","),
    "tabs and decimal commas": as_text("\t", ","),
    "bars": as_text("|"),
    "quoted decimal commas": '"frame","x [nm]","y [nm]","sigma [nm]"\n'
    '1,"1050,0","2050,0",130\n6,"505,25","4000,5",129\n',
    "spaces": as_text(" ", quote="").replace(" 1500", "   1500"),
    "a line that says the separator": "sep=;\n" + as_text(";"),
    "a quoted line that says the separator": '"sep=,"\r\n' + as_text(),
    "UTF-8 with its mark": as_text().encode("utf-8-sig"),
    "UTF-16": as_text("\t").encode("utf-16"),
    "UTF-16, the other order": b"\xfe\xff" + as_text("\t").encode("utf-16-be"),
    "UTF-16 without its mark": as_text().encode("utf-16-le"),
    "UTF-16, semicolons and decimal commas": as_text(";", ",").encode("utf-16"),
    "comments before the header": "# made by a program\n# on a Monday\n" + as_text(),
    "comments among the rows": as_text().replace("\n2,", "\n# a pause\n2,"),
    "a comment with as many commas": as_text().replace("\n2,", "\n#,,,,,,\n2,"),
    "the header in a comment": "# made by numpy\n# " + as_text(quote=""),
    "the whole header in quotes": '"' + as_text(quote="").replace("\n", '"\n', 1),
    "the whole header in quotes, with quotes": '"' + as_text(quote='""').replace("\n", '"\n', 1),
    "all lines in quotes": "".join(f'"{line}"\n' for line in as_text(quote="").splitlines()),
    "no quotes": as_text(quote=""),
    "round brackets": as_text(names=with_names(nm="(nm)")),
    "no spaces": as_text(names=tuple(name.replace(" ", "") for name in NAMES)),
    "capitals": as_text(names=tuple(name.title().replace("Nm", "nm") for name in NAMES)),
    "pixels": in_pixels(as_text(names=with_names(nm="[px]"))),
    "pixels in round brackets": in_pixels(as_text(names=with_names(nm="(pixels)"))),
    "um": in_um(as_text(names=with_names(nm="[um]"))),
    "micro sign": in_um(as_text(names=with_names(nm="[\xb5m]"))),
    "Greek mu": in_um(as_text(names=with_names(nm="[\u03bcm]"))),
    "micro sign in Latin-1": in_um(as_text(names=with_names(nm="[\xb5m]"))).encode("latin-1"),
    "micro sign in Latin-1, decimal commas": in_um(as_text(names=with_names(nm="[\xb5m]")))
    .replace(",", ";")
    .replace(".", ",")
    .encode("latin-1"),
    "old line ends": as_text().replace("\n", "\r"),
    "many comments": "# x\n" * 500 + as_text(),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_table_is_read_however_it_is_written(kind: str, tmp_path: Path) -> None:
    text = WRITTEN[kind]
    path = tmp_path / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    back = formats.read(path, pixel_size_nm=100)
    assert back.frame.tolist() == [0, 5]
    np.testing.assert_allclose(back.x, [10.0, 4.5525], rtol=1e-12)
    np.testing.assert_allclose(back.y, [20.0, 39.505], rtol=1e-12)
    np.testing.assert_allclose(back["sigma"], [1.3, 1.29], rtol=1e-6)
    if "photons" in back:
        assert back["photons"].tolist() == [1500, 1700]
        np.testing.assert_allclose(back["x_uncertainty"], [0.081, 0.083], rtol=1e-6)
    assert back.extra == ()
    assert formats.recognises(path)


@pytest.mark.parametrize("suffix", [".txt", ".tsv", ".TXT"])
def test_text_of_any_suffix_is_read_but_written_only_as_csv(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"table{suffix}"
    path.write_text(as_text("\t"))
    assert len(formats.read(path, pixel_size_nm=100)) == 2
    with pytest.raises(InputError, match=r"expected a table with one of the suffixes \.csv, \.hdf5"):
        formats.write(path, Localizations.empty(pixel_size_nm=100))


def test_positions_in_pixels_need_no_pixel_size(tmp_path: Path) -> None:
    back = formats.read(written(tmp_path, '"frame","x [px]","y [px]"\n1,10.5,20.5\n'))
    assert (back.yx.tolist(), back.pixel_size_nm) == ([[20.0, 10.0]], None)


def test_intensities_in_other_units_are_not_photons(tmp_path: Path) -> None:
    back = formats.read(
        written(tmp_path, '"frame","x [nm]","y [nm]","intensity [AD]"\n1,50,50,900\n'), pixel_size_nm=100
    )
    assert (back.columns, back["intensity [AD]"].tolist()) == (("frame", "y", "x", "intensity [AD]"), [900])


def test_decimal_commas_from_a_late_row_on_are_seen(tmp_path: Path) -> None:
    text = '"frame";"x [nm]";"y [nm]"\n' + "1;50;50\n" * 200 + "2;60,5;50\n"
    back = formats.read(written(tmp_path, text), pixel_size_nm=100)
    assert (len(back), back.x[-1]) == (201, pytest.approx(0.105))


def test_a_fault_is_told_of_tables_with_decimal_commas_too(tmp_path: Path) -> None:
    path = written(tmp_path, as_text(";", ",").replace("505,25", "1.505,25"))
    with pytest.raises(InputError, match=r"line 3, column 'x \[nm\]': expected a number, got '1.505,25'"):
        formats.read(path, pixel_size_nm=100)


# -- other programs' tables ----------------------------------------------------------------------------------------


def test_a_nanoimager_s_table_counts_frames_from_0_and_says_what_is_assumed(tmp_path: Path) -> None:
    text = "Channel,Frame,X (nm),Y (nm),Z (nm),Photons,Background\n0,3,800.0,275.0,0.0,139.5,0.75\n1,0,50,50,0,500,17\n"
    with pytest.warns(
        TableWarning, match=r"table\.csv: where an ONI Nanoimager csv measures from is documented nowhere"
    ):
        back = formats.read(written(tmp_path, text), pixel_size_nm=100)
    assert (back.frame.tolist(), back.yx.tolist()) == ([3, 0], [[2.25, 7.5], [0, 0]])
    assert (back["photons"].tolist(), back["background"].tolist()) == ([139.5, 500], [0.75, 17])
    assert back["Channel"].tolist() == [0, 1]
    # Who says where it measures from need not be told.
    assert formats.read(tmp_path / "table.csv", pixel_size_nm=100, origin=(0, 0)).yx.tolist() == [[2.75, 8], [0.5, 0.5]]


def test_an_elyra_s_table_and_its_footer(tmp_path: Path) -> None:
    path = tmp_path / "elyra.txt"
    header = "Index\tFirst Frame\tNumber Frames\tFrames Missing\tPosition X [nm]\tPosition Y [nm]\tPrecision [nm]\t"
    rows = "1\t1\t2\t0\t800.0\t275.0\t12.5\t900\n2\t4\t1\t0\t50\t150\t20\t700\n\0\n"
    footer = "VoxelSizeX : 0.1\nVoxelSizeY : 0.1\nSizeX : 256\nROI List :\n"
    path.write_text(f"{header}Number Photons\r\n{rows}{footer}")
    back = formats.read(path, pixel_size_nm=100)
    assert (back.frame.tolist(), back.yx.tolist()) == ([0, 3], [[2.25, 7.5], [1, 0]])
    assert (back["photons"].tolist(), back["x_uncertainty"].tolist()) == ([900, 700], [0.125, np.float32(0.2)])
    assert back["Number Frames"].tolist() == [2, 1]


def test_a_rapidstorm_s_table_names_its_columns_in_xml(tmp_path: Path) -> None:
    fields = [("Position-0-0", "nanometer"), ("Position-1-0", "nanometer"), ("ImageNumber-0-0", "frame")]
    fields += [("Amplitude-0-0", "A/D count"), ("LocalBackground-0-0", "A/D count")]
    xml = "".join(f'<field identifier="{name}" syntax="number" unit="{unit}" min="0 m" />' for name, unit in fields)
    path = tmp_path / "rapid.txt"
    rows = "750 225 0 8021.5 572\n1250.5 0 7 1.19225e+006 767\n"
    path.write_text(f'# <localizations insequence="true" repetitions="variable">{xml}</localizations>\n{rows}')
    back = formats.read(path, pixel_size_nm=100)
    assert (back.frame.tolist(), back.yx.tolist()) == ([0, 7], [[2.25, 7.5], [0, 12.505]])
    assert back["Amplitude-0-0"].tolist() == [8021.5, 1192250]
    assert "photons" not in back


def test_picasso_s_own_csv_is_in_pixels(tmp_path: Path) -> None:
    header = ",frame,x,y,photons,sx,sy,bg,lpx,lpy,net_gradient,group"
    path = written(tmp_path, f"{header}\n0,0,7.5,2.25,900,1.0,1.5,12,0.125,0.25,4000,3\n")
    with pytest.warns(TableWarning, match="lengths are read in pixels, as a Picasso csv has them"):
        back = formats.read(path)
    assert (back.frame.tolist(), back.yx.tolist(), back.pixel_size_nm) == ([0], [[2.25, 7.5]], None)
    assert (back["sigma"][0], back["x_uncertainty"][0], back["y_uncertainty"][0]) == (1.25, 0.125, 0.25)
    assert (back["net_gradient"].tolist(), back["group"].tolist()) == ([4000], [3])


PICASSO = "id,frame,x [nm],y [nm],sigma [nm],intensity [photon],offset [photon],bkgstd [photon],uncertainty_xy [nm]\n"


@pytest.mark.parametrize("first", [0, 12])
def test_picasso_s_export_for_thunderstorm_is_known_by_its_marks(first: int, tmp_path: Path) -> None:
    text = PICASSO + f"0,{first},750,225,130,900,12,0,10\n1,{first + 4},0,50,130,900,12,0,10\n"
    with pytest.warns(
        TableWarning, match=r"read as Picasso's export for ThunderSTORM .*, with frames counted from 0 and"
    ):
        back = formats.read(written(tmp_path, text), pixel_size_nm=100)
    assert (back.frame.tolist(), back.yx.tolist()) == ([first, first + 4], [[2.25, 7.5], [0.5, 0]])
    assert (back.extra, back.provenance) == ((), {"read_as": "Picasso's export for ThunderSTORM"})
    formats.write(tmp_path / "again.csv", back)  # in which there is nothing to guess any more
    np.testing.assert_array_equal(formats.read(tmp_path / "again.csv").yx, back.yx)
    same = formats.read(tmp_path / "table.csv", pixel_size_nm=100, origin="picasso")
    assert (same.frame.tolist(), same.yx.tolist()) == (back.frame.tolist(), back.yx.tolist())


@pytest.mark.parametrize(
    "text",
    [
        PICASSO + "1,1,800,275,130,900,12,0,10\n",  # numbered from 1
        PICASSO + "0,1,800,275,130,900,12,3,10\n",  # with a background noise
        PICASSO.replace("id", '"id"') + "0,1,800,275,130,900,12,0,10\n",  # with quotes
    ],
)
def test_without_all_marks_it_is_thunderstorm_s(text: str, tmp_path: Path) -> None:
    back = formats.read(written(tmp_path, text), pixel_size_nm=100)
    assert (back.frame.tolist(), back.yx.tolist()) == ([0], [[2.25, 7.5]])


def test_an_origin_that_is_given_counts(tmp_path: Path) -> None:
    path = written(tmp_path, THUNDERSTORM + "1,0,750,225\n")
    with pytest.raises(OriginError, match="frame 0, but a ThunderSTORM csv counts frames from 1"):
        formats.read(path, pixel_size_nm=100)
    for origin, yx in (("picasso", [2.25, 7.5]), ((0.5, 0), [1.75, 7.0])):
        back = formats.read(path, pixel_size_nm=100, origin=origin)
        assert (back.frame.tolist(), back.yx.tolist()) == ([0], [yx])
    for origin, message in (
        ("picaso", r"unknown origin 'picaso'; did you mean 'picasso'\?"),
        ((0.5,), "an origin is a coordinate in pixels and the number of the first frame, got"),
        ((np.nan, 0), "an origin is a coordinate"),
    ):
        with pytest.raises(InputError, match=message):
            formats.read(path, pixel_size_nm=100, origin=origin)
    formats.write(tmp_path / "a.parquet", Localizations.empty())
    with pytest.raises(InputError, match="an origin can be given for text tables only"):
        formats.read(tmp_path / "a.parquet", origin="picasso")


# -- rows without a place ------------------------------------------------------------------------------------------


def test_rows_without_a_place_are_counted_and_left_out_only_where_asked(tmp_path: Path) -> None:
    path = written(
        tmp_path, '"frame","x [nm]","y [nm]","n"\n1,50,50,4\n3,NaN,50,5\n,50,50,6\n7,150,inf,7\n9,250,50,8\n'
    )
    with pytest.raises(InvalidRowsError, match=r"line 3, column 'x \[nm\]': .* got 'NaN' \(3 of 5 rows\)"):
        formats.read(path, pixel_size_nm=100)
    with pytest.warns(TableWarning, match=r"table\.csv: 3 of 5 rows without a finite frame, x or y left out"):
        back = formats.read(path, pixel_size_nm=100, skip_invalid=True)
    assert (back.frame.tolist(), back.x.tolist(), back["n"].tolist()) == ([0, 8], [0, 2], [4, 8])
    assert back.provenance == {"rows_left_out": 3}
    with pytest.raises(InputError, match=r"line 2, column 'x \[nm\]': expected a number, got 'left'"):
        formats.read(written(tmp_path, THUNDERSTORM + "1,1,left,50\n"), pixel_size_nm=100, skip_invalid=True)


# -- columns of one's own ------------------------------------------------------------------------------------------


def test_text_in_columns_of_ones_own_is_left_out(tmp_path: Path) -> None:
    text = '"frame","x [nm]","y [nm]","note","mark","track"\n1,50,50,a,1,7\n1,50,50,b,late,8\n'
    back = formats.read(written(tmp_path, text), pixel_size_nm=100)
    assert len(back) == 2
    assert "note" not in back


# -- files in the cases of others ----------------------------------------------------------------------------------


@pytest.fixture
def tables(data_folder: Path) -> Path:
    folder = data_folder.parent / "cases" / "tables"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.mark.parametrize("name", ["excel_sep", "px", "semicolon_comma", "tab"])
def test_the_cases_are_read(name: str, tables: Path) -> None:
    back = formats.read(tables / f"{name}.csv", pixel_size_nm=100)
    assert back.frame.tolist() == [0, 1, 5]
    np.testing.assert_allclose(back.yx, [[20, 10], [9.7525, 30.255], [39.5, 4.55]])


def test_the_cases_that_cannot_be_read_as_they_are_say_why(tables: Path) -> None:
    with pytest.raises(OriginError, match="frame 0, but a ThunderSTORM csv counts frames from 1"):
        formats.read(tables / "frame0.csv", pixel_size_nm=100)
    assert formats.read(tables / "frame0.csv", pixel_size_nm=100, origin=(0.5, 0)).frame.tolist() == [0, 1, 5]
    with pytest.raises(InvalidRowsError, match=r"got 'NaN' \(1 of 3 rows\)"):
        formats.read(tables / "nanrow.csv", pixel_size_nm=100)
    with pytest.warns(TableWarning, match="1 of 3 rows"):
        assert len(formats.read(tables / "nanrow.csv", pixel_size_nm=100, skip_invalid=True)) == 2


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
    assert tuple(name for name in truth.columns if name not in truth.extra) == ("frame", "y", "x", *columns)
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


def test_linked_molecules_go_to_thunderstorm_and_back(tmp_path: Path) -> None:
    columns = {
        "frame": [0, 4],
        "y": [1, 2],
        "x": [3, 4],
        "n_frames": [3, 1],
        "first_frame": [0, 4],
        "last_frame": [3, 4],
    }
    table = Localizations(columns, extra={"group": [7, 2]}, pixel_size_nm=100)
    thunderstorm.write(tmp_path / "a.csv", table)
    assert lines(tmp_path / "a.csv")[:2] == [
        '"id","frame","x [nm]","y [nm]","detections","first_frame","last_frame","group"', "1,1,350,150,3,1,4,7",
    ]  # fmt: skip
    back = thunderstorm.read(tmp_path / "a.csv")
    assert back.columns == table.columns
    for name in columns:
        assert back[name].tolist() == columns[name]
