"""A movie with its truth on disk, and the command line as a function."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from napari_subpixel import formats
from napari_subpixel.cli import main
from napari_subpixel.simulation.settings import Simulation
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks.writing import write_movie

SIMULATION = Simulation(
    frame_shape=(40, 52), n_frames=12, structure="uniform", emitters_per_frame=80, photons=2250, on_time_frames=0
)


class Result(NamedTuple):
    """What a command gave back."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys):
    """Run the command line in this process: ``run("detect", movie, "-o", out)``."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        status = main([str(a) for a in arguments])
        return Result(status, *capsys.readouterr())

    return call


@pytest.fixture
def refuse(run):
    """Run a command that must be refused: exit status 2, one line, no traceback; returns the line."""

    def call(*arguments: object) -> str:
        status, out, err = run(*arguments)
        lines = err.splitlines()
        assert (status, out, len(lines)) == (2, "", 1), f"{status} {out!r} {err!r}"
        assert lines[0].startswith("napari-subpixel: ")
        assert "Traceback" not in err
        return lines[0]

    return call


@pytest.fixture(scope="session")
def simulated() -> tuple:
    return simulate(SIMULATION, np.random.default_rng(3))


@pytest.fixture
def movie(simulated, tmp_path) -> Path:
    frames, _ = simulated
    write_movie(tmp_path / "movie.tif", [frames], shape=frames.shape, pixel_size_nm=100)
    return tmp_path / "movie.tif"


@pytest.fixture
def truth(simulated, tmp_path) -> Path:
    formats.write(tmp_path / "truth.csv", simulated[1])
    return tmp_path / "truth.csv"
