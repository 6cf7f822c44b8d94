"""A movie that is detected while it is written: what is there in the meantime, and in the end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.camera import Camera
from napari_subpixel.detection import chunks
from napari_subpixel.detection.detector import Detector
from napari_subpixel.detection.job import DetectionJob, job_for
from napari_subpixel.detection.options import DetectionOptions
from napari_subpixel.errors import (
    ChangedRunError,
    FollowedRunError,
    InputError,
    NotFollowedRunError,
    PixelSizeError,
    UnfinishedRunError,
)
from napari_subpixel.rendering.render import render
from napari_subpixel.runs import live
from napari_subpixel.runs.batch import MovieProgress, Outcome, detect_batch
from napari_subpixel.runs.checkpoints import PartialResults
from napari_subpixel.runs.live import FollowedMovie, Growth, follow_to_file
from napari_subpixel.runs.live_options import Follow
from napari_subpixel.runs.pipeline import detect_to_file
from napari_subpixel.stacks import Stack, open_stack

CAMERA = Camera(pixel_size_nm=100)
#: Seconds without a byte after which a movie is complete, by a clock that only sleep moves.
IDLE = 3.0


@pytest.fixture(scope="module")
def frames(thirty_frames) -> np.ndarray:
    return thirty_frames[:18]


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch, clock):
    """Chunks of 4 frames, a microscope that is known after 6, and no waiting."""
    monkeypatch.setattr(chunks, "CHUNK_PIXELS", 4 * 40 * 52)
    monkeypatch.setattr(live, "FIRST_FRAMES", 6)
    monkeypatch.setattr(live, "MIN_WRITE_PAUSE_S", 0.0)
    monkeypatch.setattr(live, "WRITE_PAUSE_RATIO", 0.0)


def append(path: Path, frames: np.ndarray) -> None:
    for frame in frames:
        tifffile.imwrite(path, frame, append=True, photometric="minisblack", metadata=None)


def job_of(detector: Detector) -> Callable[[Stack], DetectionJob]:
    return lambda stack: job_for(stack, detector, DetectionOptions(CAMERA))


def at_once(path: Path, output: Path, detector: Detector) -> bytes:
    """Detect a movie that is complete, and return the bytes of its table."""
    with open_stack(path) as stack:
        list(detect_to_file(job_of(detector)(stack), output))
    return output.read_bytes()


def until(run: Generator[Growth, None, FollowedMovie], n_frames: int) -> Growth:
    """Run until this many frames are finished."""
    return next(growth for growth in run if growth.done >= n_frames)


def written_after(run: Generator[Growth, None, FollowedMovie], n_frames: int) -> None:
    """Run until this many frames are finished and their molecules written."""
    until(run, n_frames)
    next(run)  # between two snapshots
    next(run)  # the files are written


def to_end(run: Generator[Growth, None, FollowedMovie]) -> FollowedMovie:
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value


def test_the_table_grows_with_the_movie_and_is_in_the_end_that_of_the_whole(detector, frames, tmp_path):
    movie, table = tmp_path / "movie.tif", tmp_path / "table.csv"
    append(movie, frames[:7])
    run = follow_to_file(movie, job_of(detector), table, Follow(IDLE))
    growth = until(run, 4)
    assert (growth.n_frames, growth.n_detected) == (7, 4)
    append(movie, frames[7:13])
    written_after(run, 12)
    early = formats.read(table)
    assert early.n_frames == 13
    assert early.frame.max() == 11
    append(movie, frames[13:])
    end = to_end(run)
    assert end.warning is None
    assert end.job.span == (0, 18)
    assert table.read_bytes() == at_once(movie, tmp_path / "whole.csv", detector)
    assert end.detected.n_molecules == len(formats.read(table)) > 100
    assert not PartialResults(table).folder.exists()


def test_one_that_was_stopped_is_resumed_with_what_came_since(detector, frames, tmp_path):
    movie, table = tmp_path / "movie.tif", tmp_path / "table.parquet"
    append(movie, frames[:10])
    run = follow_to_file(movie, job_of(detector), table, Follow(IDLE))
    until(run, 8)
    run.close()
    with pytest.raises(UnfinishedRunError, match="interrupted run left this"):
        next(follow_to_file(movie, job_of(detector), table, Follow(IDLE)))
    append(movie, frames[10:])
    with (
        open_stack(movie) as stack,
        pytest.raises(FollowedRunError, match="followed the movie while it was written"),
    ):
        list(detect_to_file(job_of(detector)(stack), table, resume=True))
    resumed = follow_to_file(movie, job_of(detector), table, Follow(IDLE), resume=True)
    assert sum(growth.n_detected for growth in resumed) == 10  # the first 8 were kept
    assert table.read_bytes() == at_once(movie, tmp_path / "whole.parquet", detector)


def test_a_run_that_did_not_follow_is_not_resumed_by_one_that_does(detector, frames, tmp_path):
    movie, table = tmp_path / "movie.tif", tmp_path / "table.parquet"
    append(movie, frames)
    with open_stack(movie) as stack:
        run = detect_to_file(job_of(detector)(stack), table)
        next(run)
        run.close()
    with pytest.raises(NotFollowedRunError, match="did not follow the movie while it was written"):
        to_end(follow_to_file(movie, job_of(detector), table, Follow(IDLE), resume=True))


def test_a_movie_that_was_exchanged_is_refused(detector, frames, tmp_path):
    movie, table = tmp_path / "movie.tif", tmp_path / "table.csv"
    append(movie, frames[:8])
    run = follow_to_file(movie, job_of(detector), table, Follow(IDLE))
    until(run, 8)
    run.close()
    movie.unlink()
    append(movie, frames[1:])
    with pytest.raises(ChangedRunError, match="had another fingerprint"):
        to_end(follow_to_file(movie, job_of(detector), table, Follow(IDLE), resume=True))
    run = follow_to_file(movie, job_of(detector), table, Follow(IDLE), overwrite=True)
    until(run, 8)
    next(run)
    movie.unlink()
    append(movie, frames[2:])
    with pytest.raises(InputError, match="another movie has replaced the one"):
        to_end(run)


def test_frames_that_are_gone_for_a_moment_are_waited_for(detector, frames, tmp_path):
    movie, table = tmp_path / "movie.tif", tmp_path / "table.csv"
    append(movie, frames[:8])
    run = follow_to_file(movie, job_of(detector), table, Follow(IDLE))
    until(run, 8)
    next(run)
    content = movie.read_bytes()
    movie.write_bytes(content[: len(content) // 2])
    next(run)
    next(run)
    movie.write_bytes(content)
    append(movie, frames[8:])
    assert to_end(run).job.span == (0, 18)
    assert table.read_bytes() == at_once(movie, tmp_path / "whole.csv", detector)


def test_frames_that_stay_away_are_reported(detector, frames, tmp_path):
    movie = tmp_path / "movie.tif"
    append(movie, frames[:8])
    run = follow_to_file(movie, job_of(detector), tmp_path / "table.csv", Follow(IDLE))
    until(run, 8)
    movie.unlink()
    append(movie, frames[:3])
    with pytest.raises(InputError, match="lost frames: it had 8"):
        to_end(run)


def test_what_is_known_of_the_microscope_comes_from_the_first_frames_alone(detector, frames, tmp_path):
    movie = tmp_path / "movie.tif"
    append(movie, frames)
    asked = []

    def noted(stack: Stack) -> DetectionJob:
        asked.append(stack.n_frames)
        return job_for(stack, detector, DetectionOptions(CAMERA))

    to_end(follow_to_file(movie, noted, tmp_path / "table.csv", Follow(IDLE)))
    assert asked == [6]


def test_an_end_that_is_named_is_not_waited_for(detector, frames, tmp_path):
    movie, table = tmp_path / "movie.tif", tmp_path / "table.csv"
    append(movie, frames[:14])
    end = to_end(follow_to_file(movie, job_of(detector), table, Follow(1e6), frames=(3, 12)))
    assert end.job.span == (3, 12)
    found = formats.read(table)
    assert (found.frame.min(), found.frame.max()) == (3, 11)


def test_the_image_grows_too(detector, frames, tmp_path):
    movie, table, image = (tmp_path / name for name in ("movie.tif", "table.csv", "image.tif"))
    append(movie, frames[:9])
    run = follow_to_file(movie, job_of(detector), table, Follow(IDLE), image=image)
    written_after(run, 8)
    part = tifffile.imread(image).sum()
    append(movie, frames[9:])
    to_end(run)
    whole = render(formats.read(table))
    drawn = tifffile.imread(image)
    assert part == pytest.approx((formats.read(table).frame < 8).sum(), rel=0.02)
    np.testing.assert_allclose(drawn, whole.image, atol=1e-4)
    with tifffile.TiffFile(image) as file:
        assert f'"points": {whole.provenance["render"]["points"]}' in file.ome_metadata.replace("&quot;", '"')


def test_an_image_needs_the_pixel_size(detector, frames, tmp_path):
    append(tmp_path / "movie.tif", frames)
    run = follow_to_file(
        tmp_path / "movie.tif",
        lambda stack: job_for(stack, detector),
        tmp_path / "table.parquet",
        Follow(IDLE),
        image=tmp_path / "image.tif",
    )
    with pytest.raises(PixelSizeError, match="which an image needs"):
        to_end(run)
    assert not PartialResults(tmp_path / "table.parquet").folder.exists()


def test_an_image_too_large_is_refused_before_the_detection(detector, frames, tmp_path, monkeypatch):
    append(tmp_path / "movie.tif", frames)
    monkeypatch.setattr("napari_subpixel.rendering.render.MAX_IMAGE_BYTES", 400 * 520 * 4 - 1)
    run = follow_to_file(
        tmp_path / "movie.tif", job_of(detector), tmp_path / "t.csv", Follow(IDLE), image=tmp_path / "i.tif"
    )
    with pytest.raises(InputError, match="choose larger pixels"):
        to_end(run)
    with open_stack(tmp_path / "movie.tif") as stack, pytest.raises(InputError, match="choose larger pixels"):
        next(detect_to_file(job_of(detector)(stack), tmp_path / "t.csv", image=tmp_path / "i.tif"))
    assert [path.name for path in tmp_path.iterdir()] == ["movie.tif"]


def test_the_files_of_a_movie_are_never_replaced_by_its_image(detector, frames, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(8):
        append(folder / f"img_{number}.tif", frames[number : number + 1])
    for image in (folder / "img_3.tif", folder / "live.tif"):
        run = follow_to_file(folder, job_of(detector), tmp_path / "t.csv", Follow(IDLE), image=image, overwrite=True)
        with pytest.raises(InputError, match="is, or lies among, the files of the movie"):
            to_end(run)
    assert len(list(folder.iterdir())) == 8


def test_frames_that_are_missing_in_the_end_are_reported(detector, frames, tmp_path):
    movie = tmp_path / "movie.tif"
    append(movie, frames)
    end = to_end(follow_to_file(movie, job_of(detector), tmp_path / "t.csv", Follow(IDLE), frames=(0, 300)))
    assert end.job.span == (0, 18)
    assert end.warning == "frames up to 300 were asked for, and it ends at 18"
    for wrong, why in (((30, 40), "frames 30:18 hold none"), ((5, 3), "frames 5:3 hold none")):
        run = follow_to_file(movie, job_of(detector), tmp_path / "u.csv", Follow(IDLE), frames=wrong)
        with pytest.raises(InputError, match=why):
            to_end(run)
    assert not PartialResults(tmp_path / "u.csv").folder.exists()


def test_a_folder_is_followed_from_its_first_frame_on(detector, frames, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    append(folder / "img_0.tif", frames[:1])
    run = follow_to_file(folder, job_of(detector), tmp_path / "t.csv", Follow(IDLE))
    next(run)
    for number in range(1, 10):
        append(folder / f"img_{number}.tif", frames[number : number + 1])
    end = to_end(run)
    assert end.job.span == (0, 10)
    assert end.job.stack.name == "frames"


def test_a_frame_that_comes_after_those_that_follow_it_is_refused(detector, frames, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (0, 1, 2, 3, 4, 5, 7, 8):
        append(folder / f"img_{number}.tif", frames[number : number + 1])
    run = follow_to_file(folder, job_of(detector), tmp_path / "t.csv", Follow(IDLE))
    until(run, 8)
    append(folder / "img_6.tif", frames[6:7])
    with pytest.raises(InputError, match=r"img_6\.tif came after frames that follow it"):
        to_end(run)


def test_a_movie_whose_beginning_changed_is_not_resumed(detector, frames, tmp_path):
    movie, table = tmp_path / "movie.tif", tmp_path / "table.csv"
    append(movie, frames[:9])
    run = follow_to_file(movie, job_of(detector), table, Follow(IDLE))
    written_after(run, 8)
    run.close()
    movie.unlink()
    append(movie, np.concatenate([frames[:1], frames[:12]]))
    with pytest.raises(ChangedRunError, match="frame 7 is not, or no longer, the one"):
        to_end(follow_to_file(movie, job_of(detector), table, Follow(IDLE), resume=True))
    movie.unlink()
    append(movie, frames[:7])
    with pytest.raises(ChangedRunError, match="frame 7 is not, or no longer, the one"):
        to_end(follow_to_file(movie, job_of(detector), table, Follow(IDLE), resume=True))


def test_a_movie_that_never_comes_is_reported(detector, tmp_path):
    with pytest.raises(InputError, match=r"gone\.tif: no such file"):
        to_end(follow_to_file(tmp_path / "gone.tif", job_of(detector), tmp_path / "table.csv", Follow(IDLE)))


def test_a_movie_whose_writing_broke_off_is_detected_as_far_as_it_goes(detector, frames, tmp_path):
    movie = tmp_path / "movie.tif"
    append(movie, frames)
    movie.write_bytes(movie.read_bytes()[:-100])
    end = to_end(follow_to_file(movie, job_of(detector), tmp_path / "table.csv", Follow(IDLE)))
    assert end.job.span == (0, 17)
    assert "is not whole" in end.warning
    assert "cut off" in end.warning


def test_of_several_movies_each_yields_its_progress_and_its_outcome(detector, frames, tmp_path):
    movie = tmp_path / "movie.tif"
    append(movie, frames)
    *progress, outcome = detect_batch(
        [(movie, tmp_path / "t.csv")], detector, DetectionOptions(CAMERA), follow=Follow(IDLE)
    )
    assert isinstance(outcome, Outcome)
    assert (outcome.error, outcome.n_frames, outcome.n_detected) == (None, 18, 18)
    assert all(isinstance(event, MovieProgress) for event in progress)
    assert [(p.n_done, p.n_frames) for p in progress][-1] == (18, 18)
