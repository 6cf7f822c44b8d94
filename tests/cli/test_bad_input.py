"""Every bad input gets exit status 2 and one line that names it, and leaves nothing that looks whole."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import save_model
from napari_subpixel.models.pixel_network import PointNetwork

FRAMES = np.random.default_rng(0).poisson(50, (9, 20, 24)).astype(np.uint16)


def cut_in_the_middle(path: Path) -> None:
    tifffile.imwrite(path, FRAMES, photometric="minisblack")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def with_value(value: float):
    def write(path: Path) -> None:
        frames = FRAMES.astype(np.float32)
        frames[4, 3, 2] = value
        tifffile.imwrite(path, frames, photometric="minisblack")

    return write


BAD_MOVIES = {
    "text": (lambda p: p.write_text("frame,x,y\n"), "b'frame,x"),
    "empty": (lambda p: p.write_bytes(b""), "0 bytes"),
    "cut": (cut_in_the_middle, "bad.tif"),
    "rgb": (lambda p: tifffile.imwrite(p, np.zeros((20, 24, 3), np.uint8), photometric="rgb"), "colour"),
    "4d": (lambda p: tifffile.imwrite(p, np.zeros((2, 3, 20, 24), np.uint16), imagej=True,
                                      metadata={"axes": "TZYX"}), "(2, 3, 1, 20, 24)"),
    "nan": (with_value(np.nan), "frame 4"),
    "infinite": (with_value(np.inf), "frame 4"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_MOVIES)
def test_a_movie_that_cannot_be_used_is_refused(refuse, tmp_path, kind):
    write, found = BAD_MOVIES[kind]
    write(tmp_path / "bad.tif")
    out = tmp_path / "out.csv"
    message = refuse("detect", tmp_path / "bad.tif", "-o", out, "--pixel-size-nm", 100)
    assert "bad.tif" in message
    assert found in message
    assert not out.exists()


def test_a_missing_movie_is_refused(refuse, tmp_path):
    assert "gone.tif" in refuse("detect", tmp_path / "gone.tif", "-o", tmp_path / "out.csv")


def test_a_movie_of_no_frames_is_refused(refuse, tmp_path):
    import zarr

    zarr.save_array(tmp_path / "none.zarr", np.zeros((0, 20, 24), np.uint16))
    assert "none.zarr" in refuse("detect", tmp_path / "none.zarr", "-o", tmp_path / "out.csv")
    (tmp_path / "folder").mkdir()
    assert "folder" in refuse("detect", tmp_path / "folder", "-o", tmp_path / "out.csv")


@pytest.mark.parametrize("value", [0, 100])
def test_frames_that_are_all_equal_give_no_molecules_and_no_error(run, tmp_path, value):
    tifffile.imwrite(tmp_path / "m.tif", np.full((3, 20, 24), value, np.uint16), photometric="minisblack")
    assert run("detect", tmp_path / "m.tif", "-o", tmp_path / "out.csv", "--pixel-size-nm", 100).status == 0
    assert len(formats.read(tmp_path / "out.csv")) == 0


HEADER = '"frame","x [nm]","y [nm]"\n'
BAD_TABLES = {
    "missing column": ('"frame","x [nm]"\n1,2\n', "y [nm]"),
    "misnamed column": ('"frame","x [nm]","y [nn]"\n1,2,3\n', "y [nm]"),
    "text among numbers": (HEADER + "1,2,3\n2,oops,4\n", "oops"),
    "0 bytes": ("", "0 bytes"),
    "another file": ("hello\nworld\n", "hello"),
}


@pytest.mark.parametrize("kind", BAD_TABLES)
@pytest.mark.parametrize("command", ["evaluate", "render"])
def test_a_table_that_cannot_be_used_is_refused(refuse, tmp_path, truth, kind, command):
    content, found = BAD_TABLES[kind]
    bad, image = tmp_path / "bad.csv", tmp_path / "image.tif"
    bad.write_text(content)
    rest = (truth,) if command == "evaluate" else ("-o", image, "--camera-pixel-size-nm", 100, "--shape-px", "9,9")
    message = refuse(command, bad, *rest)
    assert "bad.csv" in message
    assert found in message
    assert not image.exists()


def test_result_and_truth_without_a_common_frame_are_refused(refuse, tmp_path):
    for name, frame in {"a.csv": 1, "b.csv": 2}.items():
        (tmp_path / name).write_text(f"{HEADER}{frame},100,100\n")
    assert "common" in refuse("evaluate", tmp_path / "a.csv", tmp_path / "b.csv")


def test_a_missing_table_is_refused(refuse, tmp_path, truth):
    assert "gone.csv" in refuse("evaluate", tmp_path / "gone.csv", truth)
    assert "gone.hdf5" in refuse("render", tmp_path / "gone.hdf5", "-o", tmp_path / "i.tif")


def test_a_model_that_is_none_or_differs_from_its_card_is_refused(refuse, movie, tmp_path):
    fake = tmp_path / "fake.safetensors"
    fake.write_text("not weights")
    assert "fake.safetensors: not a model" in refuse("detect", movie, "-o", tmp_path / "o.csv", "--model", fake)
    assert "no such model" in refuse("detect", movie, "-o", tmp_path / "o.csv", "--model", "papre")
    for name in ("a", "b"):
        save_model(tmp_path / f"{name}.safetensors", PointNetwork(width=2), name=name, summary="s",
                   input_scaling="minmax", threshold=0.1)  # fmt: skip
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes())
    message = refuse("detect", movie, "-o", tmp_path / "o.csv", "--model", tmp_path / "b.safetensors")
    assert "differ from their card" in message
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("size", [-100, 0, "nan", "inf"])
def test_pixel_sizes_that_are_not_positive_are_refused(refuse, movie, truth, tmp_path, size):
    assert "pixel_size_nm" in refuse("detect", movie, "-o", tmp_path / "o.csv", f"--pixel-size-nm={size}")
    assert "pixel size" in refuse("render", truth, "-o", tmp_path / "i.tif", f"--pixel-size-nm={size}")
    assert not (tmp_path / "o.csv").exists()


def test_nm_without_a_pixel_size_are_refused(refuse, tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", FRAMES, photometric="minisblack")
    assert "pixel size" in refuse("detect", tmp_path / "m.tif", "-o", tmp_path / "o.csv")


def test_outputs_that_cannot_be_written_are_refused(refuse, movie, truth, tmp_path):
    """A regular file where a folder should be stops even the superuser."""
    (tmp_path / "file").write_text("")
    assert "file" in refuse("detect", movie, "-o", tmp_path / "file" / "o.csv")
    assert "file" in refuse("detect", movie, "-o", f"{tmp_path}/file/sub/")
    assert "gone" in refuse("detect", movie, "-o", tmp_path / "gone" / "o.csv")
    assert "file" in refuse("render", truth, "-o", tmp_path / "file" / "i.tif")
    assert "file" in refuse("simulate", "-o", tmp_path / "file" / "m.tif", "--truth", tmp_path / "t.csv")
    assert "file" in refuse("train", "-o", tmp_path / "file" / "m.safetensors", "--iterations", 1)
    assert "file" in refuse("demo", "-o", tmp_path / "file" / "demo")


def test_an_unknown_suffix_of_the_output_is_refused(refuse, movie, truth, tmp_path):
    assert "o.xls" in refuse("detect", movie, "-o", tmp_path / "o.xls")
    assert "i.jpg" in refuse("render", truth, "-o", tmp_path / "i.jpg")
    assert "m.avi" in refuse("simulate", "-o", tmp_path / "m.avi", "--truth", tmp_path / "t.csv")
    outputs = ("-o", tmp_path / "m.tif", "--truth", tmp_path / "t.csv", "--trace", tmp_path / "t.csv")
    assert "t.csv: is the name of two outputs" in refuse("simulate", *outputs)


@pytest.mark.parametrize("name", ["o.csv", "o.hdf5", "o.parquet"])
def test_a_disk_that_fills_up_leaves_nothing_that_looks_whole(movie, tmp_path, name):
    """A limit on the size of files replaces a full disk: writing fails in the middle in the same way."""
    out = tmp_path / name
    done = subprocess.run(
        [sys.executable, "-m", "napari_subpixel", "detect", movie, "-o", out],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)),
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("napari-subpixel: ")
    assert "written" in last
    assert "Traceback" not in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("detcet",), "detcet"),
        (("detect", "m.tif"), "-o"),
        (("detect", "m.tif", "-o", "o.csv", "--threshold", "much"), "much"),
        (("detect", "m.tif", "-o", "o.csv", "--frames", "3-9"), "3-9"),
        (("detect", "m.tif", "-o", "o.csv", "--roi", "0:9"), "0:9"),
        (("detect", "m.tif", "-o", "o.csv", "--device", "tpu"), "tpu"),
        (("render", "l.csv", "-o", "i.tif", "--shape-px", "12"), "12"),
        (("evaluate", "a.csv"), "TRUTH"),
        (("simulate", "-o", "m.tif", "--truth", "t.csv", "--photons", "-5"), "photons"),
        (("train", "-o", "m.safetensors", "--movie", "m.tif"), "both --movie and --truth"),
        (("train", "-o", "m.safetensors", "--iterations", "0"), "iterations"),
        (("train", "-o", "m.pt"), "m.pt"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_in_one_line(refuse, arguments, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert found in refuse(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_thresholds_frames_and_regions_out_of_range_are_refused(refuse, movie, tmp_path):
    def detect(*flags: object) -> str:
        return refuse("detect", movie, "-o", tmp_path / "o.csv", *flags)

    assert "above 0 and below 1" in detect("--threshold", 1.5)
    assert "0:12" in detect("--frames", "5:99")
    assert "0:40" in detect("--roi", "0:99,0:20")


def test_camera_files_with_a_misspelt_or_impossible_field_are_refused(refuse, movie, tmp_path):
    camera = tmp_path / "camera.yaml"
    for text, found in {
        "camera: {basline: 100}": "did you mean 'baseline'",
        "camera: {quantum_efficiency: 1.5}": "quantum_efficiency",
        "psf: {sigma_nm: 100}": "no section 'camera:'",
        "camera: [": "not YAML",
    }.items():
        camera.write_text(text)
        message = refuse("detect", movie, "-o", tmp_path / "o.csv", "--camera", camera)
        assert "camera.yaml" in message
        assert found in message


def test_a_camera_that_is_neither_a_file_nor_known_is_refused(refuse, movie, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SUBPIXEL_CONFIG", str(tmp_path / "config"))
    message = refuse("detect", movie, "-o", tmp_path / "o.csv", "--camera", "Hamamatsu ORCA-Fusoin BT")
    assert (
        "no such file, and no camera 'Hamamatsu ORCA-Fusoin BT'; did you mean 'Hamamatsu ORCA-Fusion BT'?; there are"
        in message
    )
    assert "gone.yaml: no such file" in refuse("detect", movie, "-o", tmp_path / "o.csv", "--camera", "gone.yaml")
    assert "no such file" in refuse("detect", movie, "-o", tmp_path / "o.csv", "--camera", tmp_path / "gone")


def test_tables_without_rows_may_lack_a_common_frame(run, truth, tmp_path):
    formats.write(tmp_path / "none.csv", Localizations.empty(pixel_size_nm=100))
    assert run("evaluate", tmp_path / "none.csv", truth).status == 0


def test_a_card_never_replaces_the_camera_file(refuse, tmp_path):
    camera = tmp_path / "mine.yaml"
    camera.write_text("camera: {pixel_size_nm: 100}\n")
    arguments = ("train", "-o", tmp_path / "mine.safetensors", "--camera", camera, "--iterations", 1)
    assert "would replace this camera file" in refuse(*arguments, "--overwrite")
    assert camera.read_text() == "camera: {pixel_size_nm: 100}\n"
    other = tmp_path / "other.yaml"
    other.write_text("precious")
    assert "other.yaml: exists already" in refuse("train", "-o", tmp_path / "other.safetensors", "--iterations", 1)


def test_a_movie_with_nan_is_not_learned_from(refuse, truth, tmp_path):
    with_value(np.nan)(tmp_path / "bad.tif")
    message = refuse("train", "-o", tmp_path / "m.safetensors", "--movie", tmp_path / "bad.tif", "--truth", truth)
    assert "bad.tif: frame 4" in message


def test_a_demo_replaces_only_a_demos_files(refuse, tmp_path):
    (tmp_path / "movie.tif").write_text("precious")
    assert "movie.tif: exists already and no demo made it" in refuse("demo", "-o", tmp_path)
    assert (tmp_path / "movie.tif").read_text() == "precious"


def test_training_resumes_only_with_the_same_samples(run, refuse, tmp_path):
    model = tmp_path / "m.safetensors"
    flags = ("train", "-o", model, "--batch-size", 2, "--crop-px", 16, "--resume")
    assert run(*flags, "--iterations", 2).status == 0
    assert "trained on other samples" in refuse(*flags, "--iterations", 3, "--psf-sigma-nm", 200)
    assert "has 2 iterations already, more than 1" in refuse(*flags, "--iterations", 1)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (("train", "-o", "m.safetensors", "--crop-px", "0"), "crop_px"),
        (("train", "-o", "m.safetensors", "--learning-rate", "1e30", "--iterations", "5"), "no longer finite"),
        (("simulate", "-o", "m.tif", "--truth", "t.csv", "--psf-sigma-nm", "1e8"), "sigma_nm"),
        (("simulate", "-o", "m.tif", "--truth", "t.csv", "--seed", "-1"), "seed"),
    ],
)
def test_numbers_out_of_all_proportion_are_refused(run, command, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(*command)
    assert status == 2
    assert found in err.splitlines()[-1]
    assert "Traceback" not in err


def test_a_width_beyond_the_frames_is_refused(refuse, truth, tmp_path):
    assert "sigma_nm" in refuse("render", truth, "-o", tmp_path / "i.tif", "--sigma-nm", "1e9")


def test_a_full_disk_in_training_is_reported(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "napari_subpixel", "train", "-o", tmp_path / "m.safetensors", "--iterations", "2",
         "--batch-size", "2", "--crop-px", "16"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)),
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m.safetensors").exists()


def test_what_a_command_reads_is_never_its_output(refuse, movie, tmp_path):
    camera = tmp_path / "found.yaml"
    camera.write_text("camera: {pixel_size_nm: 100}\n")
    message = refuse("detect", movie, "-o", tmp_path / "found.hdf5", "--camera", camera, "--overwrite")
    assert "found.yaml: is an input" in message
    assert camera.read_text() == "camera: {pixel_size_nm: 100}\n"
    save_model(tmp_path / "mine.safetensors", PointNetwork(width=2), name="mine", summary="s", input_scaling="minmax",
               threshold=0.1)  # fmt: skip
    model = tmp_path / "mine.safetensors"
    message = refuse("detect", movie, "-o", tmp_path / "mine.hdf5", "--model", model, "--overwrite")
    assert "mine.yaml: is an input" in message


def test_several_movies_do_not_become_one_table(refuse, movie, tmp_path):
    other = tmp_path / "other.tif"
    other.write_bytes(movie.read_bytes())
    assert "several movies need a folder" in refuse("detect", movie, other, "-o", tmp_path / "x.csv")


def test_pixels_and_nm_are_not_compared_at_a_guessed_pixel_size(refuse, run, tmp_path):
    formats.write(tmp_path / "px.parquet", Localizations({"frame": [0], "y": [1], "x": [2]}))
    (tmp_path / "nm.csv").write_text(f"{HEADER}1,100,100\n")
    assert "give --pixel-size-nm" in refuse("evaluate", tmp_path / "px.parquet", tmp_path / "nm.csv")
    assert run("evaluate", tmp_path / "px.parquet", tmp_path / "nm.csv", "--pixel-size-nm", 65).status == 0


def test_render_names_its_own_flag_for_the_cameras_pixel_size(refuse, tmp_path):
    (tmp_path / "nm.csv").write_text(f"{HEADER}1,100,100\n")
    assert "--camera-pixel-size-nm" in refuse("render", tmp_path / "nm.csv", "-o", tmp_path / "i.tif")


def test_tables_that_name_no_unit_are_read_in_the_one_that_is_given(run, refuse, tmp_path):
    (tmp_path / "found.csv").write_text("frame,x,y,photons,lpx,lpy\n0,20100,4300,900,11.5,12\n")
    (tmp_path / "truth.csv").write_text("frame,x,y\n0,20.1,4.3\n")
    command = ("evaluate", tmp_path / "found.csv", tmp_path / "truth.csv", "--pixel-size-nm", 100)
    assert "cannot be in pixels; --units, or --truth-units for the truth, says what they are in" in refuse(*command)
    status, _, err = run(*command, "--units", "nm")
    assert status == 2
    assert "truth.csv: the headings frame, x, y are of no known program, and name no unit of length; --units, or" in err
    status, out, _ = run(*command, "--units", "nm", "--truth-units", "um", "--json")
    assert status == 0
    assert '"jaccard": 1.0' in out
    assert "unknown unit 'feet'; there are px, nm, um" in refuse(*command, "--units", "feet")
    assert "; convert --units px, nm or um says what" in refuse("info", tmp_path / "truth.csv")


def test_tables_are_read_from_the_origin_given_and_without_rows_that_lack_a_place(run, refuse, tmp_path):
    header = '"frame","x [nm]","y [nm]"\n'
    (tmp_path / "a.csv").write_text(header + "0,750,225\n4,NaN,50\n")
    (tmp_path / "truth.csv").write_text(header + "1,800,275\n")
    command = ("evaluate", tmp_path / "a.csv", tmp_path / "truth.csv", "--pixel-size-nm", "100")
    assert "(1 of 2 rows); --skip-invalid leaves them out" in refuse(*command)
    assert "counts frames from 1; --origin, or --truth-origin for the truth, says where" in refuse(
        *command, "--skip-invalid"
    )
    status, out, err = run(*command, "--skip-invalid", "--origin", "picasso", "--json")
    assert status == 0
    assert "1 of 2 rows without a finite frame, x or y left out" in err
    assert '"jaccard": 1.0' in out
    status, _, _ = run(*command, "--skip-invalid", "--origin", "0,0", "--truth-origin", "0.5,1")
    assert status == 0
    assert "an origin is one of thunderstorm, picasso, smap, or CENTRE,FRAME" in refuse(*command, "--origin", "corner")


def test_copies_of_rows_are_said_with_what_leaves_them_out(run, tmp_path):
    columns = {"frame": [0, 1, 1], "y": [1.0, 2.0, 2.0], "x": [3.0, 4.0, 4.0], "photons": [5.0, 6.0, 6.0]}
    formats.write(tmp_path / "twice.csv", Localizations(columns, pixel_size_nm=100, frame_shape=(9, 9)))
    status, _, err = run("convert", tmp_path / "twice.csv", "-o", tmp_path / "kept.parquet")
    assert status == 0
    assert err.count("1 of 3 rows is a copy of others") == 1
    assert "convert --drop-copies writes a table without them" in err
    assert run("convert", tmp_path / "twice.csv", "-o", tmp_path / "once.parquet", "--drop-copies").status == 0
    once = formats.read(tmp_path / "once.parquet")
    assert (len(once), once.provenance["copies_left_out"]) == (2, 1)


def test_what_is_of_another_kind_is_refused_by_what_it_is(refuse, run, tmp_path):
    table = Localizations({"frame": [0, 0], "y": [1, 2], "x": [3, 4]}, pixel_size_nm=100, frame_shape=(9, 9))
    for name in ("found.csv", "found.hdf5", "found.parquet"):
        formats.write(tmp_path / name, table)
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    for name in ("found.hdf5", "found.parquet"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / f"cut-{name}").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut-found.yaml").write_bytes((tmp_path / "found.yaml").read_bytes())
    for name, what in (("found.csv", 'text, \'"id","frame","x \'...'), ("picture.png", "a PNG picture")):
        assert f"{name}: not a movie that can be read" in (line := refuse("psf", tmp_path / name))
        assert line.endswith(f", but {what}")
    for path, what in ((tmp_path / "picture.png", "a PNG picture"), (tmp_path, "a folder")):
        assert f"{path}: expected a table with one of" in (line := refuse("resolution", path))
        assert line.endswith(f", got {what}")
    assert "found.csv: a model ends in .safetensors, this is text" in refuse("models", tmp_path / "found.csv")
    assert "found.csv: is a file, and the demo needs a folder" in refuse("demo", "-o", tmp_path / "found.csv")
    assert "cut-found.hdf5: the HDF5 file is cut off: " in refuse("info", tmp_path / "cut-found.hdf5")
    assert "found.parquet: not a whole parquet file: it is cut off" in refuse("info", tmp_path / "cut-found.parquet")


def test_a_table_without_rows_is_said_to_be_one(run, tmp_path):
    table = Localizations({"frame": [0, 0], "y": [1, 2], "x": [3, 4]}, pixel_size_nm=100, frame_shape=(9, 9))
    formats.write(tmp_path / "found.csv", table)
    formats.write(tmp_path / "none.csv", table[:0])
    status, _, err = run("evaluate", tmp_path / "none.csv", tmp_path / "found.csv")
    assert status == 0
    assert "none.csv: no rows: there are no points to pair" in err
    status, _, err = run("link", tmp_path / "none.csv", "-o", tmp_path / "linked.csv", "--max-distance-nm", 30)
    assert status == 0
    assert "none.csv: no rows: there is nothing to link" in err
    assert "nan" not in err
