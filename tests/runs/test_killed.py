"""A run that is killed loses nothing, and leaves nothing behind: resumed, it ends with the very same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel.camera import Camera
from napari_subpixel.detection import chunks
from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import InputError
from napari_subpixel.runs.batch import detect_batch
from napari_subpixel.runs.checkpoints import PartialResults
from napari_subpixel.runs.pipeline import detect_to_file
from napari_subpixel.stacks import open_stack

CHUNK_PIXELS = 4 * 40 * 52
#: Chunks of 4 frames, each written slowly enough that a kill meets it, as a large one is.
RUN = f"""
import sys, time
from pathlib import Path
from napari_subpixel.detection import chunks
from napari_subpixel.runs.batch import detect_batch
from napari_subpixel.camera import Camera
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.options import DetectionOptions
chunks.CHUNK_PIXELS = {CHUNK_PIXELS}
movie, output = sys.argv[1:]
detector = Detector("paper", device="cpu")
print("begun", flush=True)
for event in detect_batch([(movie, Path(output))], detector, DetectionOptions(Camera(pixel_size_nm=100)), resume=True):
    time.sleep(0.02)
sys.exit(event.error)
"""


@pytest.fixture(scope="module")
def movie(thirty_frames, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("movie") / "movie.tif"
    tifffile.imwrite(path, np.tile(thirty_frames, (4, 1, 1)), photometric="minisblack")
    return path


def job_of(stack, detector) -> DetectionJob:
    return DetectionJob(stack, detector, Camera(pixel_size_nm=100))


def started(movie, output) -> subprocess.Popen:
    run = subprocess.Popen([sys.executable, "-c", RUN, movie, output], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "begun\n"
    return run


@pytest.mark.parametrize(
    ("suffix", "times"),
    [("csv", 2), pytest.param("csv", 10, marks=pytest.mark.slow), pytest.param("hdf5", 10, marks=pytest.mark.slow)],
)
def test_killed_at_any_moment_it_ends_with_the_bytes_of_an_undisturbed_run(
    movie, detector, tmp_path, monkeypatch, suffix, times
):
    monkeypatch.setattr(chunks, "CHUNK_PIXELS", CHUNK_PIXELS)
    with open_stack(movie) as stack:
        began = time.perf_counter()
        for _ in detect_to_file(job_of(stack, detector), tmp_path / f"whole.{suffix}"):
            time.sleep(0.02)
        seconds = time.perf_counter() - began
    output, rng, killed = tmp_path / f"out.{suffix}", np.random.default_rng(7), 0
    while killed < times:
        run = started(movie, output)
        try:
            run.wait(rng.uniform(0, 0.4 * seconds))
        except subprocess.TimeoutExpired:
            run.kill()
            killed += 1
        run.communicate()
        if run.returncode == 0:
            assert output.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
            for file in tmp_path.glob("out*"):
                file.unlink()
    run = started(movie, output)
    run.communicate()
    assert run.returncode == 0
    assert output.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    names = {file.name.replace("whole", "out") for file in tmp_path.iterdir()}
    assert names == {f"out.{suffix}", {"csv": "out-protocol.txt", "hdf5": "out.yaml"}[suffix]}


def test_two_runs_do_not_write_one_table_at_once(movie, detector, tmp_path):
    with open_stack(movie) as stack:
        first = detect_to_file(job_of(stack, detector), tmp_path / "out.csv")
        next(first)
        for options in ({}, {"resume": True}, {"overwrite": True}):
            with pytest.raises(InputError, match=r"out.csv: another run is writing this table now"):
                next(detect_to_file(job_of(stack, detector), tmp_path / "out.csv", **options))
        list(first)
    assert (tmp_path / "out.csv").exists()


def test_drafts_of_a_killed_run_are_cleared_and_nothing_else(movie, detector, tmp_path):
    with open_stack(movie) as stack:
        job = job_of(stack, detector)
        next(run := detect_to_file(job, tmp_path / "out[1].csv"))
        run.close()
        drafts = [".01234567-out[1].csv", ".01234567-out[1]-protocol.txt", "out[1].csv.partial/.01234567-job.json"]
        others = [".01234567-other.csv", "01234567-out[1].csv", ".012-out[1].csv", ".01234567-out1.csv"]
        for name in (*drafts, *others):
            (tmp_path / name).write_text("")
        with PartialResults(tmp_path / "out[1].csv").opened(job.identity, resume=True, overwrite=False):
            assert not any((tmp_path / name).exists() for name in drafts)
        assert all((tmp_path / name).exists() for name in others)


def test_a_run_killed_before_it_said_what_it_is_starts_again(movie, detector, tmp_path):
    (tmp_path / "out.parquet.partial").mkdir()
    with open_stack(movie) as stack:
        assert len(list(detect_to_file(job_of(stack, detector), tmp_path / "out.parquet", resume=True))) == 1


def test_a_run_killed_while_it_replaced_a_table_is_not_taken_for_done(movie, detector, tmp_path):
    output = tmp_path / "out.parquet"

    def run(**options):
        return detect_batch([(movie, output)], detector, DetectionOptions(Camera(pixel_size_nm=100)), **options)

    assert list(run())[-1].status == "done"
    whole = output.read_bytes()
    output.write_bytes(b"an older table")
    replacing = run(overwrite=True)
    next(replacing), next(replacing)
    replacing.close()
    assert list(run(resume=True))[-1].status == "done"
    assert output.read_bytes() == whole
    assert list(run(resume=True))[-1].status == "skipped"


def test_chunks_of_another_length_are_not_mixed_in(movie, detector, tmp_path):
    with open_stack(movie) as stack:
        job = replace(job_of(stack, detector), chunk_pixels=CHUNK_PIXELS)
        next(detect_to_file(job, tmp_path / "out.parquet"))
        with pytest.raises(InputError, match=r"another chunk_frames \(4, now 8\)"):
            next(detect_to_file(replace(job, chunk_pixels=2 * CHUNK_PIXELS), tmp_path / "out.parquet", resume=True))


def cut_off(folder: Path) -> Path:
    (chunk,) = folder.glob("frames-000000004-*.parquet")
    chunk.write_bytes(b"")
    return chunk


def with_another_bit(folder: Path) -> Path:
    (chunk,) = folder.glob("frames-000000004-*.parquet")
    content = bytearray(chunk.read_bytes())
    content[len(content) // 4] ^= 1
    chunk.write_bytes(content)
    return chunk


def copied_over(folder: Path) -> Path:
    (chunk,), (other,) = folder.glob("frames-000000004-*.parquet"), folder.glob("frames-000000008-*.parquet")
    chunk.write_bytes(other.read_bytes())
    return chunk


@pytest.mark.parametrize("damaged", [cut_off, with_another_bit, copied_over])
def test_a_damaged_chunk_is_detected_again(movie, detector, tmp_path, damaged):
    with open_stack(movie) as stack:
        job = replace(job_of(stack, detector), chunk_pixels=CHUNK_PIXELS)
        run = detect_to_file(job, tmp_path / "out.parquet")
        next(run), next(run), next(run)
        run.close()
        chunk = damaged(tmp_path / "out.parquet.partial")
        assert next(detect_to_file(job, tmp_path / "out.parquet", resume=True)).start == 4
        assert len(list(chunk.parent.glob("frames-000000004-*.parquet"))) == 1


def test_a_movie_that_is_written_to_during_its_run_fails(movie, detector, tmp_path):
    own = tmp_path / "movie.tif"
    own.write_bytes(movie.read_bytes())
    with open_stack(own) as stack:
        run = detect_to_file(replace(job_of(stack, detector), chunk_pixels=CHUNK_PIXELS), tmp_path / "out.parquet")
        next(run)
        with own.open("r+b") as file:
            file.seek(-1000, os.SEEK_END)
            file.write(bytes(500))
        with pytest.raises(InputError, match=r"movie\.tif: was written to while it was being detected"):
            list(run)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be replaced")
def test_a_movie_that_another_is_renamed_over_is_read_to_its_end(movie, detector, tmp_path):
    own, other = tmp_path / "movie.tif", tmp_path / "other.tif"
    own.write_bytes(movie.read_bytes())
    other.write_bytes(movie.read_bytes()[:-1000])
    with open_stack(own) as stack:
        run = detect_to_file(replace(job_of(stack, detector), chunk_pixels=CHUNK_PIXELS), tmp_path / "out.parquet")
        next(run)
        other.replace(own)
        list(run)
    assert (tmp_path / "out.parquet").exists()


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege")
@pytest.mark.parametrize("again", [{"resume": True}, {"overwrite": True}])
def test_partial_results_behind_a_link_are_refused_and_left_alone(movie, detector, tmp_path, again):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "frames-000000000-ab.parquet").write_text("not ours")
    (tmp_path / "out.parquet.partial").symlink_to(foreign)
    with open_stack(movie) as stack, pytest.raises(InputError, match="is a symbolic link"):
        next(detect_to_file(job_of(stack, detector), tmp_path / "out.parquet", **again))
    assert [file.name for file in foreign.iterdir()] == ["frames-000000000-ab.parquet"]


def test_partial_results_that_another_run_uses_are_not_removed(movie, detector, tmp_path):
    with open_stack(movie) as stack:
        run = detect_to_file(replace(job_of(stack, detector), chunk_pixels=CHUNK_PIXELS), tmp_path / "out.parquet")
        next(run)
        PartialResults(tmp_path / "out.parquet").remove()
        assert [chunk.stop for chunk in run][-1] == 120
    assert not PartialResults(tmp_path / "out.parquet").folder.exists()
