"""What there is and what it says of itself: models, cameras, movies, tables; and tables in another format."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.calibration.microscope import microscope_of
from napari_subpixel.camera import Camera
from napari_subpixel.cameras.presets import save_preset
from napari_subpixel.models import installed
from napari_subpixel.stacks import open_stack


def test_models_are_a_table_of_five_columns(run):
    lines = run("models").out.splitlines()
    assert lines[0].split() == ["name", "threshold", "J@50", "speed", "for", "what"]
    assert [line.split()[0] for line in lines[1:]] == [card.name for card in installed()]
    assert all(len(line) < 130 for line in lines)
    assert [card["name"] for card in json.loads(run("models", "--json").out)] == [card.name for card in installed()]


def test_one_model_is_shown_with_its_card(run, refuse):
    text = run("models", "paper").out
    assert all(heading in text.splitlines() for heading in ("use", "limits", "figures", "training"))
    assert json.loads(run("models", "paper", "--json").out)["name"] == "paper"
    assert "did you mean 'paper'?" in refuse("models", "papre")


def test_cameras_are_listed_with_the_users_own(run):
    save_preset(Camera(name="our iXon", baseline=211.0))
    cameras = json.loads(run("cameras", "--json").out)
    assert {camera["name"]: camera["shipped"] for camera in cameras}["our iXon"] is False
    assert any(camera["shipped"] for camera in cameras)
    assert "211" in next(line for line in run("cameras").out.splitlines() if line.startswith("our iXon"))


def test_info_of_a_movie_and_a_table(run, movie, truth):
    described = json.loads(run("info", movie, truth, "--json").out)
    assert [d["kind"] for d in described] == ["movie", "table"]
    assert described[0]["shape"] == [12, 40, 52]
    assert described[0]["pixel_size_nm"] == 100
    assert described[1]["rows"] == len(formats.read(truth))
    assert {"frame", "y", "x"} <= set(described[1]["columns"])
    assert "pixel size nm  100" in run("info", movie).out


def test_info_of_what_says_no_pixel_size(run, truth, tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", np.zeros((3, 8, 9), np.uint16), photometric="minisblack")
    truth.with_name("truth-protocol.txt").unlink()
    described = json.loads(run("info", tmp_path / "plain.tif", truth, "--json").out)
    assert [d["pixel_size_nm"] for d in described] == [None, None]
    assert "x nm" in described[1]["values"]
    assert "not known" in run("info", truth).out


def test_info_of_a_movie_warns_of_frames_unlike_the_others_and_not_of_the_gain(run, tmp_path, rng):
    frames = (rng.poisson(100, (6, 40, 40)) + 100).astype(np.uint16)
    frames[2] = 0
    tifffile.imwrite(tmp_path / "even.tif", frames, photometric="minisblack")
    with open_stack(tmp_path / "even.tif") as stack:
        assert len(microscope_of(stack, Camera(), None).warnings) > 1
    (warning,) = json.loads(run("info", tmp_path / "even.tif", "--json").out)[0]["warnings"]
    assert warning.startswith("1 of 6 frames is blank")


def test_info_of_models_and_cameras(run, refuse, tmp_path):
    Camera(baseline=99.0).to_yaml(tmp_path / "camera.yaml")
    described = json.loads(run("info", "fast", tmp_path / "camera.yaml", "--json").out)
    assert [d["kind"] for d in described] == ["model", "camera file"]
    assert described[0]["card"]["name"] == "fast"
    assert described[1]["camera"] == {"baseline": 99.0}
    assert "gone.tif: no such file" in refuse("info", tmp_path / "gone.tif")


def test_one_bad_file_does_not_stop_the_others(run, movie, tmp_path):
    (tmp_path / "bad.csv").write_text("hello\n")
    status, out, err = run("info", tmp_path / "bad.csv", movie, "--json")
    assert (status, len(json.loads(out))) == (1, 1)
    assert "bad.csv" in err


def test_info_loads_no_torch(movie, truth):
    code = "import sys; from napari_subpixel.cli import main; main(['info', *sys.argv[1:]])"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, movie, truth], check=True, capture_output=True)


@pytest.mark.parametrize("suffix", [".csv", ".hdf5", ".parquet"])
def test_a_table_is_converted_and_back(run, truth, tmp_path, suffix):
    before = formats.read(truth)
    assert run("convert", truth, "-o", tmp_path / f"there{suffix}").status == 0
    assert run("convert", tmp_path / f"there{suffix}", "-o", tmp_path / "back.csv").status == 0
    after = formats.read(tmp_path / "back.csv")
    assert (len(after), after.pixel_size_nm) == (len(before), before.pixel_size_nm)
    np.testing.assert_allclose(after.yx, before.yx, atol=1e-4)
    np.testing.assert_array_equal(after.frame, before.frame)


def test_a_conversion_asks_for_the_pixel_size_and_replaces_nothing(refuse, run, truth, tmp_path):
    assert "is an input" in refuse("convert", truth, "-o", truth, "--overwrite")
    assert run("convert", truth, "-o", tmp_path / "a.parquet").status == 0
    assert "--overwrite replaces it" in refuse("convert", truth, "-o", tmp_path / "a.parquet")
    truth.with_name("truth-protocol.txt").unlink()
    assert "--pixel-size-nm" in refuse("convert", truth, "-o", tmp_path / "b.parquet")
    assert run("convert", truth, "-o", tmp_path / "b.parquet", "--pixel-size-nm", 100).status == 0


@pytest.mark.parametrize("text", ["camera: {baseline: abc}", "camera: {baselin: 3}", "psf: {sigma_nm: x}"])
def test_info_of_a_camera_file_that_cannot_be_used_says_why(refuse, tmp_path, text):
    (tmp_path / "camera.yaml").write_text(text)
    assert "camera.yaml: " in refuse("info", tmp_path / "camera.yaml")


def test_info_of_a_camera_file_says_what_is_implausible(run, tmp_path):
    (tmp_path / "camera.yaml").write_text("camera: {pixel_size_nm: 0.1}")
    assert "did you mean 100" in " ".join(run("info", tmp_path / "camera.yaml").out.split())


def test_info_of_a_camera_by_its_name(run, refuse):
    described = json.loads(run("info", "Hamamatsu ORCA-Fusion BT", "--json").out)
    assert described[0]["kind"] == "camera file"
    assert described[0]["camera"]["name"] == "Hamamatsu ORCA-Fusion BT"
    assert "did you mean 'Hamamatsu ORCA-Fusion BT'?" in refuse("info", "Hamamatsu ORCA-Fusion BTT")


def test_info_of_a_folder_is_that_of_its_movies_or_its_tables(run, refuse, movie, truth, tmp_path):
    for name in ("movies", "tables", "empty"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        shutil.copy(movie, tmp_path / "movies" / f"{name}.tif")
        shutil.copy(truth, tmp_path / "tables" / f"{name}.csv")
    tifffile.imwrite(tmp_path / "movies" / "c.tif", np.zeros((3, 8, 9), np.uint16), photometric="minisblack")
    for folder, kind, n in (("movies", "movie", 3), ("tables", "table", 2)):
        described = json.loads(run("info", tmp_path / folder, "--json").out)
        assert [each["kind"] for each in described] == [kind] * n
    assert "empty: " in refuse("info", tmp_path / "empty")


def test_a_pixel_size_given_for_a_table_is_checked(run, refuse, truth, tmp_path):
    out = ("-o", tmp_path / "o.parquet", "--overwrite")
    assert "a pixel size of 0.1 nm is not between 1 and 10000 nm: did you mean 100?" in refuse(
        "convert", truth, *out, "--pixel-size-nm", 0.1
    )
    assert (
        f"{truth}: the given pixel size is 160 nm, that of the table 100 nm"
        in run("convert", truth, *out, "--pixel-size-nm", 160).err
    )
    assert "warning" not in run("convert", truth, *out, "--pixel-size-nm", 100.5).err


@pytest.fixture
def trace(tmp_path):
    t = np.arange(20.0)
    errors = np.where(t < 15, 1.0, 4.0)
    source = {"movie": "a.tif"}
    curve = DriftCurve(2 * t, -t, errors, errors, stretches=((0, 15),), jumps=(7,), source=source)
    curve.write(tmp_path / "trace.csv")
    return tmp_path / "trace.csv"


def test_info_of_a_trace_says_how_far_and_how_well(run, trace):
    (described,) = json.loads(run("info", trace, "--json").out)
    assert described["kind"] == "a trace of drift"
    assert (described["frames"], described["frames_with_rows"], described["jumps"]) == (20, [[0, 15]], [7])
    assert (described["x_extent_nm"], described["y_extent_nm"]) == (38, 19)
    assert (described["median_error_nm"], described["largest_error_nm"]) == (1, 4)
    assert described["source"] == {"movie": "a.tif"}
    assert "median error nm" in run("info", trace).out


def test_info_of_times_and_what_another_command_says_of_both(run, refuse, trace, tmp_path):
    times = tmp_path / "times.csv"
    times.write_text("first_frame,on_frames,off_frames_before,dark_until_end\n0,1,,5\n3,4,2,\n9,3,,\n")
    (described,) = json.loads(run("info", times, "--json").out)
    assert (described["kind"], described["molecules"]) == ("on and off times", 3)
    assert described["values"]["on frames"] == {"minimum": 1, "median": 3, "maximum": 4}
    assert "holds on and off times and no localizations" in refuse("resolution", times)
    assert "holds a trace of drift and no localizations" in refuse("render", trace, "-o", tmp_path / "a.tif")
    times.write_text("first_frame,on_frames,off_frames_before\n0,one,\n")
    assert "times.csv: not on and off times" in refuse("info", times)
