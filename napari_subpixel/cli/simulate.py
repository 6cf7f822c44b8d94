"""``napari-subpixel simulate``: a movie with known truth."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_subpixel import __version__
from napari_subpixel.cli.common import add_camera_arguments, camera_from, progress_bar, say, shape
from napari_subpixel.errors import InputError

#: Settings of `Simulation` that have a flag: name of the field, type, help.
FLAGS = {
    "structure": (str, "what molecules sit on: filaments, rings or uniform"),
    "n_structures": (int, "number of filaments or rings"),
    "molecules": (int, "molecules in the sample"),
    "emitters_per_frame": (float, "molecules that are on in a frame, on average"),
    "photons": (float, "median photons of a molecule in a whole frame"),
    "photons_spread": (float, "standard deviation of the logarithm of the photons"),
    "on_time_frames": (float, "mean time on, in frames; 0 for exactly one frame"),
    "background": (float, "background, photons per pixel"),
}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("simulate", help="simulate a movie with known truth")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MOVIE.tif", help="movie to write")
    parser.add_argument("--truth", type=Path, required=True, metavar="TRUTH.csv", help="table of the truth to write")
    parser.add_argument("--frames", type=int, metavar="N", help="number of frames")
    parser.add_argument("--shape-px", type=shape, metavar="H,W", help="height and width of the frames")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same movie (0)")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    add_simulation_arguments(parser)
    parser.set_defaults(run=run)


def add_simulation_arguments(parser: argparse.ArgumentParser) -> None:
    """Add flags for what is simulated; a flag that is not given keeps the default of `Simulation`."""
    group = parser.add_argument_group("sample and optics")
    for name, (kind, text) in FLAGS.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__.upper(), help=text)
    add_psf_argument(group)
    add_camera_arguments(parser)


def simulation_from(arguments: argparse.Namespace, **settings: Any) -> Any:
    """Return the `Simulation` that the flags describe, with further settings."""
    from napari_subpixel.simulation.simulate import Simulation

    default = Simulation()
    given = {name: getattr(arguments, name) for name in FLAGS if getattr(arguments, name) is not None}
    if (psf := psf_from(arguments)) is not None:
        given["psf"] = psf
    camera = camera_from(arguments, default.camera)
    given |= {name: value for name, value in settings.items() if value is not None}
    return replace(default, camera=camera, **given)


def add_psf_argument(group: Any) -> None:
    """Add ``--psf-sigma-nm``."""
    group.add_argument(
        "--psf-sigma-nm",
        type=float,
        metavar="NUMBER",
        help="standard deviation of the PSF; else the section psf of the camera file",
    )


def psf_from(arguments: argparse.Namespace) -> Any:
    """Return the PSF that the flag or the camera file gives, or None."""
    from napari_subpixel._util import records
    from napari_subpixel.psf import GaussianPSF

    if arguments.psf_sigma_nm is not None:
        return GaussianPSF(arguments.psf_sigma_nm)
    if arguments.camera and records.has_section(arguments.camera, "psf"):
        return GaussianPSF.from_yaml(arguments.camera)
    return None


def run(arguments: argparse.Namespace) -> int:
    """Simulate a movie piece by piece into a TIFF, and its truth into a table."""
    import numpy as np

    from napari_subpixel import formats
    from napari_subpixel.localizations import Localizations, concat
    from napari_subpixel.simulation.simulate import simulate_chunks
    from napari_subpixel.stacks.writing import check_movie_output, write_movie

    simulation = simulation_from(arguments, frame_shape=arguments.shape_px, n_frames=arguments.frames)
    if arguments.seed < 0:
        raise InputError(f"the seed must not be negative, got {arguments.seed}")
    check_movie_output(arguments.output, overwrite=arguments.overwrite)
    formats.check_can_write(arguments.truth, overwrite=arguments.overwrite)
    tables: list[Localizations] = []

    def frames(bar: Any) -> Iterator[Any]:
        for movie, truth in simulate_chunks(simulation, np.random.default_rng(arguments.seed)):
            tables.append(truth)
            bar.update(len(movie))
            yield movie

    with progress_bar(simulation.n_frames, "frame", "simulate") as bar:
        write_movie(
            arguments.output,
            frames(bar),
            shape=(simulation.n_frames, *simulation.frame_shape),
            pixel_size_nm=simulation.pixel_size_nm,
            provenance={
                "program": f"napari-subpixel {__version__}",
                "simulation": simulation.summary(),
                "seed": arguments.seed,
            },
            overwrite=arguments.overwrite,
        )
    truth = concat(tables)
    formats.write(arguments.truth, truth, overwrite=arguments.overwrite)
    say(f"{arguments.output}: {simulation.n_frames} frames; {arguments.truth}: {len(truth)} molecules")
    return 0
