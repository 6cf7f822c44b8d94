"""What all commands have in common: help, suggestions, and what is printed or kept in a log."""

from __future__ import annotations

import re

import pytest

from napari_subpixel import __version__
from napari_subpixel.cli.main import COMMANDS


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
