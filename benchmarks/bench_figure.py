"""Processor time of `figure` as a multiple of that of `detect`, on a crowded movie: what follows detection.

    python benchmarks/bench_figure.py [--model NAME] [--repeats 2] [--quick]

The movie is ``deepstorm_demo1/test.tif`` of the data folder, 361 frames of 64 x 64 pixels; with --quick a few simulated
frames. Both commands run in turn, each in a process of its own, and the least processor time of each counts: unlike
seconds, it hardly depends on what else the machine does. One run of `figure` before that compiles what is not yet
compiled.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from common import data_folder, machine, markdown

HEADER = ("movie", "model", "detect, s", "figure, s", "times detect")
#: Of the simulated movie.
QUICK = ("--frames", "80", "--shape-px", "48,48", "--emitters-per-frame", "10", "--seed", "1")


def command(*words: object) -> None:
    """Run a command of the program."""
    line = [sys.executable, "-m", "napari_subpixel", *map(str, words), "-q"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(line)}\n{done.stderr}")


def processor_seconds(*words: object) -> float:
    """Return the processor time of a command of the program, all its threads together."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command(*words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", metavar="NAME")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a few simulated frames")
    arguments = parser.parse_args()
    print(f"machine: {machine()}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        movie = folder / "movie.tif"
        if arguments.quick:
            command("simulate", "-o", movie, "--truth", folder / "truth.csv", *QUICK)
        else:
            movie = data_folder() / "deepstorm_demo1" / "test.tif"
        how = ("--model", arguments.model, "--pixel-size-nm", 100, "--overwrite")
        detect = ("detect", movie, "-o", folder / "found.parquet", *how)
        figure = ("figure", movie, "-o", folder / "figure", *how)
        command(*figure)
        runs = [[processor_seconds(*line) for line in (detect, figure)] for _ in range(arguments.repeats)]
    of_detect, of_figure = (min(each) for each in zip(*runs, strict=True))
    shown = [movie.name, arguments.model, f"{of_detect:.1f}", f"{of_figure:.1f}", f"{of_figure / of_detect:.2f}"]
    print(markdown(HEADER, [shown]))


if __name__ == "__main__":
    main()
