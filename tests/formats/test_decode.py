"""DECODE's h5: x is the row there, in pixels or nm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.errors import InputError


def write_decode(path: Path, meta: dict[str, Any] | None, **changed: Any) -> Path:
    data = {
        "xyz": np.array([[2.25, 7.5, -40.0], [9.0, 3.0, 15.0]]),
        "xyz_sig": np.array([[0.25, 0.125, 20.0], [0.5, 0.125, 20.0]]),
        "xyz_cr": h5py.Empty("f"),
        "phot": np.array([1000.0, 500.0]),
        "frame_ix": np.array([0, 4]),
        "prob": np.array([0.75, 1.0]),
        "bg": np.array([np.nan, np.nan]),
        **changed,
    }
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            if values is not None:
                file[f"data/{name}"] = values
        if meta is not None:
            file.create_group("meta").attrs.update(meta)
    return path


def test_x_is_the_row_and_y_the_column(tmp_path: Path) -> None:
    back = formats.read(write_decode(tmp_path / "a.h5", {"xy_unit": "px", "px_size": [100.0, 100.0]}))
    assert back.columns == ("frame", "y", "x", "probability", "photons", "y_uncertainty", "x_uncertainty", "z_nm")
    assert back.yx.tolist() == [[2.25, 7.5], [9, 3]]
    assert back.frame.tolist() == [0, 4]
    assert (back["y_uncertainty"][0], back["x_uncertainty"][0], back["z_nm"][0]) == (0.25, 0.125, -40)
    assert back.pixel_size_nm == 100


def test_nm_are_measured_from_the_first_centre(tmp_path: Path) -> None:
    xyz, sig = np.array([[225.0, 750.0, -40.0]]), np.array([[25.0, 12.5, 20.0]])
    one = {"phot": [1.0], "frame_ix": [0], "prob": [1.0], "bg": [3.0], "xyz": xyz, "xyz_sig": sig}
    path = write_decode(tmp_path / "a.h5", {"xy_unit": "nm"}, **one)
    back = formats.read(path, pixel_size_nm=100)
    assert back.yx.tolist() == [[2.25, 7.5]]
    assert (back["y_uncertainty"][0], back["x_uncertainty"][0], back["background"][0]) == (0.25, 0.125, 3)
    with pytest.raises(InputError, match=r"a\.h5: positions are in nm and the pixel size is not known"):
        formats.read(path)


def test_a_table_without_rows_is_read(tmp_path: Path) -> None:
    none = {name: np.empty(0) for name in ("phot", "frame_ix", "prob", "bg")}
    path = write_decode(tmp_path / "a.h5", {"xy_unit": "px"}, xyz=np.empty((0, 3)), xyz_sig=h5py.Empty("f"), **none)
    back = formats.read(path)
    assert (len(back), back.pixel_size_nm) == (0, None)


@pytest.mark.parametrize(
    ("meta", "changed", "message"),
    [
        (None, {}, "/meta must have xy_unit 'px' or 'nm', got None"),
        ({"xy_unit": "um"}, {}, "/meta must have xy_unit 'px' or 'nm', got 'um'"),
        ({"xy_unit": "px", "px_size": [0.0, 120.0]}, {}, r"px_size must be the height .* nm, got \[0.0, 120.0\]"),
        ({"xy_unit": "px", "px_size": [1.0, 2.0, 3.0]}, {}, r"px_size must be the height and width"),
        ({"xy_unit": "px"}, {"xyz": np.zeros((2, 2))}, r"/data/xyz must have shape \(N, 3\), got \(2, 2\)"),
        ({"xy_unit": "px"}, {"frame_ix": None}, "missing frame_ix in /data; there are bg, phot"),
        ({"xy_unit": "px"}, {"phot": np.zeros(5)}, "columns differ in length"),
    ],
)
def test_what_does_not_fit_is_told(meta: Any, changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        formats.read(write_decode(tmp_path / "a.h5", meta, **changed))
    assert str(error.value).startswith(f"{tmp_path / 'a.h5'}: ")


def test_its_reader_refuses_a_file_without_data(tmp_path: Path) -> None:
    from napari_subpixel.formats import decode

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["other"] = 1
    with pytest.raises(InputError, match=r"a\.h5: no /data in it; there are other"):
        decode.read(tmp_path / "a.h5")


def test_data_that_is_no_group_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.zeros((2, 3))
    with pytest.raises(InputError, match=r"a\.h5: /data must be a group .* got a dataset of shape \(2, 3\)"):
        formats.read(tmp_path / "a.h5")


def test_pixels_that_are_not_square_are_no_matter_to_positions_in_pixels(tmp_path: Path) -> None:
    path = write_decode(tmp_path / "a.h5", {"xy_unit": "px", "px_size": [127.0, 117.0]})
    back = formats.read(path)
    assert (back.yx.tolist(), back.pixel_size_nm) == ([[2.25, 7.5], [9, 3]], (127, 117))
    assert formats.read(path, pixel_size_nm=120).pixel_size_nm == 120


def test_each_axis_in_nm_has_its_own_pixel_size(tmp_path: Path) -> None:
    xyz = np.array([[2.25 * 127, 7.5 * 117, -40.0]])
    one = {"phot": [1.0], "frame_ix": [0], "prob": [1.0], "bg": [3.0], "xyz": xyz, "xyz_sig": xyz}
    path = write_decode(tmp_path / "a.h5", {"xy_unit": "nm", "px_size": [127.0, 117.0]}, **one)
    np.testing.assert_allclose(formats.read(path).yx, [[2.25, 7.5]])
