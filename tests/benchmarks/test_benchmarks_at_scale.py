"""The benchmarks of streaming, rendering, scoring and reading run, in their quick form, and print their tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BENCHMARKS.exists(), reason="the benchmarks are not next to the tests"),
]


def printed(name: str, *flags: str) -> list[str]:
    """Run a benchmark in its quick form, and return the lines of its table below the header."""
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--quick", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("machine: ")
    lines = done.stdout.splitlines()
    return lines[lines.index(next(line for line in lines if line.startswith("| ---"))) + 1 :]


def test_rendering_is_timed_by_both_methods() -> None:
    histogram, gaussian = printed("bench_render", "--pattern", "filaments")
    assert histogram.startswith("| filaments | histogram | ours | ")
    assert gaussian.startswith("| filaments | gaussian | ours | ")


def test_scoring_is_timed_and_agrees_with_the_plain_way() -> None:
    crowded, few = printed("bench_scoring", "--case", "crowded", "--case", "few frames", "--pattern", "filaments")
    assert crowded.startswith("| crowded | filaments | 200 | 0.8")
    assert few.startswith("| few frames | filaments | ")


@pytest.mark.slow
def test_drift_is_compared_with_the_truth() -> None:
    (ours,) = printed("bench_drift")
    cells = ours.split(" | ")
    assert cells[2] == "ours"
    assert max(float(cells[3]), float(cells[4])) < 2


@pytest.mark.slow
def test_a_figure_is_compared_with_its_detection() -> None:
    (line,) = printed("bench_figure", "--model", "fast", "--repeats", "1")
    assert line.startswith("| movie.tif | fast | ")
    assert float(line.split(" | ")[-1].rstrip(" |")) > 1


@pytest.mark.slow
def test_every_format_that_is_written_is_timed() -> None:
    assert [line.split(" | ")[0] for line in printed("bench_formats")] == [
        "| ThunderSTORM csv",
        "| Picasso hdf5",
        "| native parquet",
    ]


@pytest.mark.slow
def test_movies_of_round_spots_with_a_warning_are_counted() -> None:
    assert printed("bench_spots", "--part", "round")[0].startswith("| 8 | 0 of ")


@pytest.mark.slow
def test_squares_are_compared_with_whole_frames() -> None:
    bright, dim = printed("bench_squares")
    assert bright.startswith("| EMCCD, 2,000 photons | ")
    assert float(dim.split(" | ")[7]) < 0.01


def test_streaming_is_timed_against_detection() -> None:
    crowded, sparse = (line for line in printed("bench_stream", "--part", "overlap") if line)
    assert (crowded.split(" | ")[0], sparse.split(" | ")[0]) == ("| crowded", "| sparse")


@pytest.mark.slow
def test_streaming_is_timed_and_its_memory_reported() -> None:
    lines = printed("bench_stream")
    assert [line.split(" | ")[0] for line in lines if not line.startswith("| ---")] == [
        "| crowded", "| sparse", "",
        "| movie", "| crowded", "",
        "| varied", "| frames", "| frame size", "| density", "",
    ]  # fmt: skip


def test_linking_is_timed() -> None:
    (line,) = printed("bench_linking")
    assert line.startswith("| 3,000 | ")


def test_pixels_that_are_not_square_are_compared_with_square_ones() -> None:
    ratios = [line.split(" | ")[2] for line in printed("bench_pixel_shape")]
    assert ratios == ["1", "1.5", "1", "1.5"]


def test_shifts_up_the_slope_of_a_background_are_compared_with_uncertainties() -> None:
    slopes = [line.split(" | ")[0] for line in printed("bench_slopes")]
    assert slopes == ["| 0", "| 0.2", "| 1", "| 5", "| illumination"]


@pytest.mark.slow
def test_drift_by_fiducials_is_compared_with_the_truth() -> None:
    lines = [line.split(" | ") for line in printed("bench_fiducials") if line.startswith("| ") and "---" not in line]
    numbers = [[float(cell) for cell in cells[2:5]] for cells in lines if not cells[0].startswith("| beads")]
    assert len(numbers) == 24
    assert all(error < noise and promised < noise for error, promised, noise in numbers)
