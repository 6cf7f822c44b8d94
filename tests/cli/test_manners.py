"""What all commands have in common: help, suggestions, and what is printed or kept in a log."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel import __version__, formats
from napari_subpixel.cli.defaults import defaults_file
from napari_subpixel.cli.main import COMMANDS
from napari_subpixel.stacks import open_stack


def test_the_program_alone_lists_the_commands(run):
    status, out, err = run()
    assert (status, err) == (0, "")
    assert all(re.search(rf"^ +{name} ", out, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_printed(run, capsys, flag):
    with pytest.raises(SystemExit) as ended:
        run(flag)
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"napari-subpixel {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("detcet", "m.tif"), "'detect'"),
        (("detect", "m.tif", "--modle", "fast"), "'--model'"),
        (("render", "a.csv", "--ouput=b.tif"), "'--output'"),
        (("--verison",), "'--version'"),
    ],
)
def test_what_was_perhaps_meant_is_suggested(refuse, arguments, meant):
    assert f"did you mean {meant}?" in refuse(*arguments)


def test_quiet_prints_no_notes_and_a_log_has_all_with_times(run, truth, tmp_path):
    log = tmp_path / "run.log"
    options = ("--shape-px", "40,52", "--overwrite", "--log", log)
    assert run("render", truth, "-o", tmp_path / "a.tif", *options).err.count("\n") == 1
    assert run("render", truth, "-o", tmp_path / "a.tif", *options, "-q").err == ""
    assert "exit status 0" in run("render", truth, "-o", tmp_path / "a.tif", *options, "-v").err
    lines = log.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", line) for line in lines)
    assert sum("a.tif: " in line and "pixels of 10 nm" in line for line in lines) == 3
    assert sum(f"napari-subpixel {__version__}" in line for line in lines) == 3


def test_quiet_prints_errors_and_a_log_has_where_they_came_from(run, tmp_path):
    log = tmp_path / "run.log"
    status, _, err = run("render", tmp_path / "gone.csv", "-o", tmp_path / "a.tif", "-q", "--log", log)
    assert (status, err.count("\n")) == (2, 1)
    assert "Traceback" in log.read_text()


def test_a_log_is_not_appended_to_another_file(refuse, truth, tmp_path):
    before = truth.read_bytes()
    assert "is not a log" in refuse("render", truth, "-o", tmp_path / "a.tif", "--log", truth)
    assert truth.read_bytes() == before


# -- settings of an earlier run, and the user's own defaults ------------------------------------------------------


@pytest.mark.parametrize("flags", [("--model", "fast"), ("--model", "paper", "--threshold", 0.2, "--roi", "0:30,4:40")])
def test_a_run_is_repeated_from_its_table(run, movie, tmp_path, flags):
    first, again = tmp_path / "first.parquet", tmp_path / "again.parquet"
    assert run("detect", movie, "-o", first, "--frames", "2:10", *flags).status == 0
    assert run("detect", movie, "-o", again, "--like", first).status == 0
    before, after = (formats.read(path) for path in (first, again))
    assert len(before) > 10
    assert before.table.equals(after.table)
    assert before.provenance["movie_bytes"] == movie.stat().st_size
    for name in ("model", "threshold", "frames", "roi", "sigma_px", "versions", "movie_bytes", "movie_frames_sha256"):
        assert before.provenance.get(name) == after.provenance.get(name)


def test_a_flag_overrides_the_earlier_run(run, refuse, movie, tmp_path):
    run("detect", movie, "-o", tmp_path / "a.csv", "--model", "paper", "--threshold", 0.2)
    run("detect", movie, "-o", tmp_path / "b.csv", "--like", tmp_path / "a.csv", "--threshold", 0.4)
    assert formats.read_about(tmp_path / "b.csv")["provenance"]["threshold"] == 0.4
    (tmp_path / "a-protocol.txt").unlink()
    assert "does not say how it was made" in refuse(
        "detect", movie, "-o", tmp_path / "c.csv", "--like", tmp_path / "a.csv"
    )


def test_the_users_defaults_are_used_and_said(run, movie, tmp_path):
    write_defaults("detect: {model: paper, threshold: 0.2}\nrender: {pixel-size-nm: 50}\n")
    err = run("detect", movie, "-o", tmp_path / "a.csv").err
    assert "defaults.yaml: --model=paper --threshold=0.2" in err
    run("detect", movie, "-o", tmp_path / "b.csv", "--threshold", 0.3)
    provenances = [formats.read_about(tmp_path / name)["provenance"] for name in ("a.csv", "b.csv")]
    assert [(p["model"]["name"], p["threshold"]) for p in provenances] == [("paper", 0.2), ("paper", 0.3)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("detcet: {model: paper}", "no command 'detcet'; did you mean 'detect'?"),
        ("render: {methd: histogram}", "render has no option 'methd'; did you mean 'method'?"),
        ("render: {overwrite: 1}", "overwrite is true or false, got 1"),
        ("render: {sigma_nm: true}", "sigma-nm takes a number or a text"),
    ],
)
def test_defaults_that_cannot_be_are_refused_by_name(refuse, truth, tmp_path, text, found):
    path = write_defaults(text)
    message = refuse("render", truth, "-o", tmp_path / "a.tif")
    assert found in message
    assert str(path) in message


def test_a_file_of_settings_comes_before_the_users_defaults_and_after_what_is_given(run, refuse, movie, tmp_path):
    write_defaults("detect: {model: fast, threshold: 0.25}\n")
    settings = tmp_path / "cells settings.yaml"
    settings.write_text("link: {max-dark-frames: 2}\ndetect: {model: paper, frames: '2:6', roi: '0:30,4:40'}\n")
    err = run("detect", movie, "-o", tmp_path / "a.csv", "--settings", settings, "--frames", "1:4").err
    assert "cells settings.yaml: --model=paper --roi=0:30,4:40" in err
    provenance = formats.read_about(tmp_path / "a.csv")["provenance"]
    assert (provenance["model"]["name"], provenance["threshold"]) == ("paper", 0.25)
    assert (provenance["frames"], provenance["roi"]) == ([1, 4], [[0, 30], [4, 40]])
    gone = tmp_path / "gone.yaml"
    assert str(gone) in refuse("detect", movie, "-o", tmp_path / "b.csv", f"--settings={gone}")


def write_defaults(text: str) -> Path:
    path = defaults_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# -- completion, pictures, JSON -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_taught_commands_and_options(run, shell):
    script = run("completion", shell).out
    assert all(name in script for name in COMMANDS)
    assert "camera-pixel-size-nm" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_commands_options_and_choices(run, tmp_path):
    script = run("completion", "bash").out
    for words, expected in {
        ("ren",): "render",
        ("detect", "--thr"): "--threshold",
        ("detect", "--device", "cu"): "cuda",
    }.items():
        typed = " ".join(["napari-subpixel", *words])
        code = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words)}; _napari_subpixel; echo ${{COMPREPLY[*]}}"
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [expected]


def test_a_preview_has_a_scale_bar_whose_length_is_said(run, truth, tmp_path):
    options = ("--preview", tmp_path / "a.png", "--json", "--overwrite")
    status, out, err = run("render", truth, "-o", tmp_path / "a.tif", *options)
    assert (status, json.loads(out)["scale_bar_nm"]) == (0, 1000)
    assert "scale bar of 1000 nm" in err
    with_bar = (tmp_path / "a.png").read_bytes()
    run("render", truth, "-o", tmp_path / "a.tif", *options, "--scale-bar-nm", 0)
    without = (tmp_path / "a.png").read_bytes()
    run("render", truth, "-o", tmp_path / "a.tif", *options, "--scale-bar-nm", 0, "--contrast", 0.5)
    assert len({with_bar, without, (tmp_path / "a.png").read_bytes()}) == 3


def test_a_detection_as_json(run, movie, tmp_path):
    (document,) = json.loads(run("detect", movie, "-o", tmp_path / "a.csv", "--model", "paper", "--json").out)
    assert (document["status"], document["n_molecules"]) == ("done", len(formats.read(tmp_path / "a.csv")))


def test_a_finished_batch_is_not_run_once_more_unless_it_is_said_how(run, refuse, movie, tmp_path):
    movies = [shutil.copy(movie, tmp_path / f"{name}.tif") for name in "ab"]
    tables = tmp_path / "tables"
    detect = ("detect", *movies, "-o", f"{tables}/", "--model", "fast", "--frames", "0:2")
    assert run(*detect).status == 0
    line = refuse(*detect)
    assert "tables: all 2 tables exist already; --resume skips what is finished, --overwrite makes all again" in line
    assert run(*detect, "--resume").status == 0
    (tables / "a.csv").unlink()
    (tables / "a-protocol.txt").unlink()
    status, _, err = run(*detect)
    assert status == 1
    assert "b.csv: exists already; --resume keeps it, --overwrite replaces it" in err


def test_a_table_for_picasso_without_a_pixel_size_says_so(run, movie, tmp_path):
    plain = tmp_path / "plain.tif"
    with open_stack(movie) as stack:
        tifffile.imwrite(plain, stack[:2], photometric="minisblack")
    detect = ("detect", plain, "--model", "fast", "--baseline", 100, "--electrons-per-adu", 0.5)
    err = run(*detect, "-o", tmp_path / "a.hdf5").err
    assert err.count("a.hdf5: holds no pixel size, which Picasso asks for") == 1
    assert "Picasso asks for" in run("convert", tmp_path / "a.hdf5", "-o", tmp_path / "b.hdf5").err
    assert "Picasso asks for" not in run(*detect, "-o", tmp_path / "c.hdf5", "--pixel-size-nm", 100).err


def test_simulate_convert_and_train_print_json_and_nothing_else(run, tmp_path):
    movie, truth = tmp_path / "m.tif", tmp_path / "t.csv"
    done = run("simulate", "-o", movie, "--truth", truth, "--frames", 3, "--shape-px", "20,24", "--json")
    simulated = json.loads(done.out)
    assert (simulated["movie"], simulated["n_frames"]) == (str(movie), 3)
    done = run("convert", truth, "-o", tmp_path / "t.parquet", "--json")
    assert json.loads(done.out)["rows"] == simulated["n_molecules"]
    short = ("--iterations", 1, "--batch-size", 2, "--crop-px", 16)
    done = run("train", "-o", tmp_path / "m.safetensors", *short, "--json")
    trained = json.loads(done.out)
    assert (trained["model"], trained["iterations"]) == (str(tmp_path / "m.safetensors"), 1)


@pytest.mark.parametrize(
    ("roi", "message"),
    [
        ("32:64", "got one range only, '32:64': rows and columns need one each"),
        ("64:32,0:10", "y 64:32 holds no pixel; did you mean 32:64?"),
        ("0:10,5:5", "x 5:5 holds no pixel"),
    ],
)
def test_a_region_that_is_none_is_refused_by_what_is_wrong_with_it(refuse, movie, tmp_path, roi, message):
    assert message in refuse("detect", movie, "-o", tmp_path / "a.csv", "--roi", roi)


def test_a_table_of_a_region_is_rendered_over_that_region(run, movie, tmp_path):
    flags = ("--model", "fast", "--threshold", 0.1, "--roi", "8:28,10:40")
    image = tmp_path / "at-once.tif"
    run("detect", movie, "-o", tmp_path / "part.parquet", "--image", image, *flags)
    run("render", tmp_path / "part.parquet", "-o", tmp_path / "part.tif")
    run("render", tmp_path / "part.parquet", "-o", tmp_path / "whole.tif", "--whole-frame")
    part, whole = tifffile.imread(tmp_path / "part.tif"), tifffile.imread(tmp_path / "whole.tif")
    assert part.shape == (200, 300)
    assert whole.shape == (400, 520)
    np.testing.assert_allclose(part, whole[80:280, 100:400], atol=1e-4)
    np.testing.assert_allclose(part, tifffile.imread(image), atol=1e-4)
    status, out, err = run(
        "render", tmp_path / "part.parquet", "-o", tmp_path / "b.tif", "--roi", "8:18,10:20", "--json"
    )
    assert status == 0
    assert json.loads(out)["roi"] == [[8, 18], [10, 20]]
    assert "of the region 8:18,10:20; " in err
