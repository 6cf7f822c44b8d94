"""``detect --follow`` and ``detect --image``: a real process beside a movie that grows, and what is refused."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.detection import chunks
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate

SHAPE, FRAMES_PER_CHUNK = (40, 52), 20
#: Chunks of four pieces each, so that a small movie has several.
SMALL = {"CHUNK_PIXELS": 20 * 40 * 52, "PIECE_PIXELS": 5 * 40 * 52, "MIN_PIECE_FRAMES": 5}
#: The command line in a process of its own, with such chunks.
COMMAND = f"""
import sys
from napari_subpixel.cli import main
from napari_subpixel.detection import chunks
from napari_subpixel.runs import live
vars(chunks).update({SMALL})
live.FIRST_FRAMES = 15
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    movie = Simulation(frame_shape=SHAPE, n_frames=50, structure="uniform", emitters_per_frame=20, photons=2250)
    return simulate(movie, np.random.default_rng(5))[0]


def follow(movie: Path, table: Path, *flags: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COMMAND, "detect", movie, "-o", table, "--model", "paper"]
    command += ["--pixel-size-nm", 100, "--follow", 600, "--frames", ":50", *flags]
    return subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)


def until(is_so, what: str, seconds: float = 120) -> None:
    """Wait, within reason."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def test_a_run_beside_a_movie_that_grows_is_killed_and_goes_on_and_nothing_is_lost(frames, run, tmp_path, monkeypatch):
    for name, value in SMALL.items():
        monkeypatch.setattr(chunks, name, value)
    movie, table, image = tmp_path / "movie.tif", tmp_path / "table.csv", tmp_path / "image.tif"
    n = FRAMES_PER_CHUNK
    assert len(frames) > 2 * n + 1
    with tifffile.TiffWriter(movie) as writer:

        def write(part: np.ndarray) -> None:
            for frame in part:
                writer.write(frame, contiguous=False, photometric="minisblack", metadata=None)
            writer.filehandle.flush()

        write(frames[: n + 1])
        process = follow(movie, table, "--image", image)
        try:
            until(image.exists, "the first table and image")
            assert formats.read(table).frame.max() == n - 1  # several pieces, that are a whole chunk otherwise
            first = tifffile.imread(image).sum()
            process.send_signal(signal.SIGKILL)
            process.communicate()
            write(frames[n + 1 : 2 * n + 2])
            process = follow(movie, table, "--image", image, "--resume")
            until(lambda: formats.read(table).frame.max() == 2 * n - 1, "a table that grows")
            write(frames[2 * n + 2 :])
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 0, err
    assert f"{table}: " in err
    assert f"; {len(frames)} frames in " in err
    assert tifffile.imread(image).sum() > 1.8 * first
    whole = tmp_path / "whole.csv"
    assert run("detect", movie, "-o", whole, "--model", "paper", "--pixel-size-nm", 100).status == 0
    assert table.read_bytes() == whole.read_bytes()
    assert [path.name for path in tmp_path.glob("*.partial")] == []


def test_an_image_comes_with_the_table(frames, run, tmp_path):
    tifffile.imwrite(tmp_path / "movie.tif", frames[:5], photometric="minisblack")
    table = tmp_path / "t.parquet"
    arguments = ["detect", tmp_path / "movie.tif", "-o", table, "--model", "paper", "--pixel-size-nm", 100]
    told = run(*arguments, "--image", tmp_path / "i.tif")
    assert told.status == 0
    assert f"; the image is {tmp_path}/i.tif" in told.err
    assert run("render", table, "-o", tmp_path / "same.tif").status == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "i.tif"), tifffile.imread(tmp_path / "same.tif"))
    refused = run(*arguments[:2], "-o", tmp_path / "u.csv", *arguments[4:], "--image", tmp_path / "i.tif")
    assert refused.status == 2
    assert "i.tif: exists already" in refused.err
    assert not (tmp_path / "u.csv").exists()


def test_an_image_is_replaced_where_that_is_asked_for_and_where_a_run_goes_on(frames, run, tmp_path):
    tifffile.imwrite(tmp_path / "movie.tif", frames[:5], photometric="minisblack")
    (tmp_path / "i.tif").write_text("mine")
    arguments = ["detect", tmp_path / "movie.tif", "-o", tmp_path / "t.csv", "--model", "paper", "--pixel-size-nm", 100]
    refused = run(*arguments, "--image", tmp_path / "i.tif", "--resume")
    assert (refused.status, (tmp_path / "i.tif").read_text()) == (2, "mine")
    assert "exists already" in refused.err
    assert run(*arguments, "--image", tmp_path / "i.tif", "--overwrite").status == 0
    assert tifffile.imread(tmp_path / "i.tif").sum() > 1


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (["--follow", "0"], "takes a number of seconds above 0, got '0'"),
        (["--follow", "b.tif"], "takes a number of seconds above 0, got 'b.tif'; name the movie before it"),
        (["--image", "a.tif", "--overwrite"], "a.tif: is an input and would be replaced by an output"),
        (["--follow", "--workers", "2"], "--follow detects here"),
        (["--image", "i.jpg"], "i.jpg: the image's name must end in .tif or .tiff"),
        (["b.tif", "--follow"], "--follow is for one movie, 2 were given"),
        (["b.tif", "--image", "i.tif"], "--image is for one movie, 2 were given"),
    ],
)
def test_what_does_not_go_together_is_refused(flags, what, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = "out/" if flags[0] == "b.tif" else "t.csv"
    told = run("detect", "a.tif", *flags, "-o", out)
    assert told.status == 2
    assert what in told.err
    assert len(told.err.splitlines()) == 1
