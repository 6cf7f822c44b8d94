"""SMAP's _sml.mat, as both kinds of MATLAB's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from napari_subpixel import formats
from napari_subpixel.errors import InputError, PixelSizeError, TableWarning

LOC = {
    "frame": np.array([1.0, 3.0]),
    "xnm": np.array([750.0, 400.0], np.float32),
    "ynm": np.array([225.0, 300.0], np.float32),
    "znm": np.array([-40.0, 15.0], np.float32),
    "phot": np.array([1000.0, 500.0], np.float32),
    "bg": np.array([12.0, 8.0], np.float32),
    "locprecnm": np.array([10.0, 20.0], np.float32),
    "PSFxnm": np.array([130.0, 140.0], np.float32),
    "channel": np.array([0.0, 1.0], np.float32),
    "xpix": np.array([7.5, 4.0], np.float32),
}
INFO = {"cam_pixelsize_um": np.array([0.1, 0.1]), "roi": np.array([0.0, 0.0, 33.0, 20.0]), "numberOfFrames": 5.0}


def write_5(path: Path, loc: dict[str, Any], info: dict[str, Any]) -> Path:
    savemat(path, {"saveloc": {"loc": loc, "file": {"name": "a.tif", "info": info}}, "fileformat": {"name": "sml"}})
    return path


def write_7_3(path: Path, loc: dict[str, Any], info: dict[str, Any]) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in loc.items():
            file[f"saveloc/loc/{name}"] = np.atleast_2d(values)
        for name, values in info.items():
            file[f"saveloc/file/info/{name}"] = np.atleast_2d(values).T
        file["saveloc/file/name"] = np.frombuffer("a.tif".encode("utf-16-le"), np.uint16)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))
    return path


def in_parts_5(path: Path, loc: dict[str, Any], info: dict[str, Any], parts: dict[str, dict[str, Any]]) -> Path:
    """Write a table as `savematparts` does: its columns in files of their own, by their names, and none left behind."""
    for name, columns in parts.items():
        savemat(path.with_name(name), {"ltemp": columns})
    names = np.array([f"D:\\data\\{name}" for name in parts], dtype=object)
    left = loc | {name: np.empty((0, 0)) for columns in parts.values() for name in columns}
    lds = {"saveloc": {"loc": left, "file": {"name": "a.tif", "info": info}}, "fileformat": {"name": "sml"}}
    savemat(path, {"lds": lds, "S": {"type": ".", "subs": "saveloc"}, "partnames": names})
    return path


def in_parts_7_3(path: Path, loc: dict[str, Any], info: dict[str, Any], parts: dict[str, dict[str, Any]]) -> Path:
    for name, columns in parts.items():
        savemat(path.with_name(name), {"ltemp": columns})
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in loc.items():
            file[f"lds/saveloc/loc/{name}"] = np.atleast_2d(values)
        for name in (name for columns in parts.values() for name in columns):
            file[f"lds/saveloc/loc/{name}"] = np.zeros(2, np.uint64)
            file[f"lds/saveloc/loc/{name}"].attrs["MATLAB_empty"] = 1
        for name, values in info.items():
            file[f"lds/saveloc/file/info/{name}"] = np.atleast_2d(values).T
        references = []
        for name in parts:
            file[f"#refs#/{name}"] = np.frombuffer(f"D:\\data\\{name}".encode("utf-16-le"), np.uint16)
            references.append(file[f"#refs#/{name}"].ref)
        file.create_dataset("partnames", data=np.array([references], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512))
    return path


@pytest.fixture(params=[write_5, write_7_3], ids=["version 5", "version 7.3"])
def write(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_pixels_and_frames_count_from_1(write: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "cell_sml.mat", LOC, INFO)
    assert formats.recognises(path)
    back = formats.read(path)
    assert back.columns == (
        "frame", "y", "x", "photons", "background", "y_uncertainty", "x_uncertainty", "sigma", "z_nm", "channel",
    )  # fmt: skip
    assert back.frame.tolist() == [0, 2]
    assert back.yx == pytest.approx(np.array([[1.25, 6.5], [2.0, 3.0]]))
    assert back["x_uncertainty"] == pytest.approx([0.1, 0.2])
    assert back["sigma"] == pytest.approx([1.3, 1.4])
    assert back["z_nm"].tolist() == [-40, 15]
    assert back["channel"].tolist() == [0, 1]
    assert (back.pixel_size_nm, back.frame_shape, back.n_frames) == (100, (20, 33), 5)


def test_the_region_of_the_chip_is_subtracted_with_a_warning(write: Any, tmp_path: Path) -> None:
    moved = {**LOC, "xnm": LOC["xnm"] + 12000, "ynm": LOC["ynm"] + 6400}
    path = write(tmp_path / "a.mat", moved, {**INFO, "roi": np.array([120.0, 64.0, 33.0, 20.0])})
    with pytest.warns(TableWarning, match="region begins at y 64, x 120 px of its chip, which is subtracted"):
        back = formats.read(path)
    assert back.yx == pytest.approx(np.array([[1.25, 6.5], [2.0, 3.0]]), abs=1e-4)


def test_errors_of_each_axis_come_before_their_mean_and_several_movies_are_a_warning(
    write: Any, tmp_path: Path
) -> None:
    more = {"xnmerr": np.array([5.0, 6.0]), "ynmerr": np.array([7.0, 8.0]), "filenumber": np.array([1.0, 2.0])}
    path = write(tmp_path / "a.mat", {**LOC, **more}, INFO)
    with pytest.warns(TableWarning, match="rows of 2 movies in one table"):
        back = formats.read(path)
    assert back["x_uncertainty"] == pytest.approx([0.05, 0.06])
    assert back["y_uncertainty"] == pytest.approx([0.07, 0.08])


def test_the_pixel_size_can_be_given_and_is_asked_for(write: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mat", LOC, {"numberOfFrames": 5.0})
    with pytest.raises(PixelSizeError, match=r"a\.mat: positions are in nm and the pixel size is not known"):
        formats.read(path)
    assert formats.read(path, pixel_size_nm=50).x.tolist() == [14, 7]


@pytest.mark.filterwarnings("error")
def test_pixels_that_are_not_square_are_read_with_their_height_and_width(write: Any, tmp_path: Path) -> None:
    by_file = formats.read(write(tmp_path / "a.mat", LOC, {**INFO, "cam_pixelsize_um": np.array([0.1, 0.12])}))
    given = formats.read(write(tmp_path / "b.mat", LOC, INFO), pixel_size_nm=(120.0, 100.0))
    for back in (by_file, given):
        assert back.pixel_size_nm == (120, 100)
        assert back.yx == pytest.approx(np.array([[225 / 120 - 1, 6.5], [1.5, 3.0]]))
        assert back["y_uncertainty"] == pytest.approx([10 / 120, 20 / 120])
        assert back["sigma"] == pytest.approx(np.array([130, 140]) / np.sqrt(120 * 100))


def test_numbers_that_are_not_finite_are_unknown(write: Any, tmp_path: Path) -> None:
    endless = {"cam_pixelsize_um": INFO["cam_pixelsize_um"], "numberOfFrames": np.inf, "Height": np.inf, "Width": 33.0}
    back = formats.read(write(tmp_path / "a.mat", LOC, endless))
    assert (back.n_frames, back.frame_shape) == (None, None)


def test_what_is_no_table_of_smap_is_refused_by_what_was_found(write: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mat", {"frame": LOC["frame"], "xnm": LOC["xnm"]}, INFO)
    with pytest.raises(InputError, match=r"a\.mat: missing ynm in saveloc\.loc; there are frame, xnm"):
        formats.read(path)
    with pytest.raises(InputError, match="frames are counted from 1, got frame 0"):
        formats.read(write(tmp_path / "b.mat", {**LOC, "frame": np.array([0.0, 1.0])}, INFO))
    savemat(tmp_path / "other.mat", {"image": np.ones(3)})
    with pytest.raises(InputError, match="no table of SMAP, a variable 'saveloc'; there are image"):
        formats.read(tmp_path / "other.mat")
    assert not formats.recognises(tmp_path / "other.mat")
    (tmp_path / "text.mat").write_text("frame,x,y\n")
    with pytest.raises(InputError, match="not a MATLAB file of version 5 or later; its first bytes are b'frame,x"):
        formats.read(tmp_path / "text.mat")
    whole = path.read_bytes()
    (tmp_path / "cut.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.mat"):
        formats.read(tmp_path / "cut.mat")


def test_rows_without_a_place_are_refused_or_skipped(write: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mat", {**LOC, "xnm": np.array([750.0, np.nan])}, INFO)
    with pytest.raises(InputError, match=r"a\.mat"):
        formats.read(path)
    with pytest.warns(TableWarning, match="1 of 2 rows"):
        assert formats.read(path, skip_invalid=True).frame.tolist() == [0]


@pytest.mark.parametrize("write_parts", [in_parts_5, in_parts_7_3], ids=["version 5", "version 7.3"])
@pytest.mark.filterwarnings("error")
def test_a_table_in_several_files_is_read_as_one(write_parts: Any, tmp_path: Path) -> None:
    in_parts = {"a_sml_p2.mat": ("xnm", "ynm"), "a_sml_p3.mat": ("phot", "channel")}
    parts = {name: {column: LOC[column] for column in columns} for name, columns in in_parts.items()}
    taken = [column for columns in in_parts.values() for column in columns]
    left = {name: values for name, values in LOC.items() if name not in taken}
    path = write_parts(tmp_path / "a_sml.mat", left, INFO, parts)
    whole = formats.read(write_5(tmp_path / "whole.mat", LOC, INFO))
    assert formats.recognises(path)
    back = formats.read(path)
    assert set(back.columns) == set(whole.columns)
    assert all((back[name] == whole[name]).all() for name in whole.columns)
    assert (back.pixel_size_nm, back.frame_shape, back.n_frames) == (100, (20, 33), 5)
    with pytest.raises(InputError, match=r"a_sml_p3\.mat: some columns of a_sml\.mat, with which they are read"):
        formats.read(tmp_path / "a_sml_p3.mat")
    (tmp_path / "a_sml_p3.mat").unlink()
    with pytest.raises(InputError, match=r"a_sml\.mat: its columns are in 3 files, of which a_sml_p3\.mat is not next"):
        formats.read(path)
