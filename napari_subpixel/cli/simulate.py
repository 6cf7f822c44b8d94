"""``napari-subpixel simulate``: a movie with known truth."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel import __version__
from napari_subpixel.cli.common import add_camera_arguments, camera_from, progress_bar, shape
from napari_subpixel.cli.messages import counted, say, warn
from napari_subpixel.cli.record_flags import add_record_flags, default_text, given, help_of
from napari_subpixel.cli.tables import print_json
from napari_subpixel.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_subpixel.psf import GaussianPSF
    from napari_subpixel.simulation.settings import Simulation


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    from napari_subpixel.simulation.settings import Simulation

    default = Simulation()
    parser = subparsers.add_parser("simulate")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MOVIE.tif", help="movie to write")
    parser.add_argument("--truth", type=Path, required=True, metavar="TRUTH.csv", help="table of the truth to write")
    parser.add_argument(
        "--trace", type=Path, metavar="TRACE.csv", help="also write the drift, for --drift-nm: a row for each frame"
    )
    parser.add_argument("--frames", type=int, metavar="N", help=f"number of frames ({default.n_frames})")
    height, width = default.frame_shape
    parser.add_argument(
        "--shape-px", type=shape, metavar="H,W", help=f"height and width of the frames ({height},{width})"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same movie (0)")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    add_simulation_arguments(parser, default)
    add_camera_arguments(parser, default.camera)
    parser.set_defaults(run=run)


def add_simulation_arguments(parser: argparse.ArgumentParser, default: Simulation) -> None:
    """Add flags for what is simulated but for its camera; what is not given is as in `default`."""
    group = parser.add_argument_group("sample and optics")
    add_record_flags(group, default)
    add_psf_argument(group, default.psf)


def simulation_from(arguments: argparse.Namespace, default: Simulation, **settings: Any) -> Simulation:
    """Return the simulation that the flags describe, with further settings where they are not None."""
    values = given(arguments, default)
    if (psf := psf_from(arguments)) is not None:
        values["psf"] = psf
    values |= {name: value for name, value in settings.items() if value is not None}
    return replace(default, camera=camera_from(arguments, default.camera), **values)


def add_psf_argument(group: Any, default: GaussianPSF | None = None) -> None:
    """Add ``--psf-sigma-nm``, with the default of a PSF."""
    from napari_subpixel.psf import GaussianPSF

    shown = f" ({default_text(default.sigma_nm)})" if default else ""
    group.add_argument(
        "--psf-sigma-nm",
        type=float,
        metavar="NUMBER",
        help=f"{help_of(GaussianPSF, 'sigma_nm')}; else the section psf of the camera file{shown}",
    )


def psf_from(arguments: argparse.Namespace) -> GaussianPSF | None:
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
    from napari_subpixel._util.files import check_can_write
    from napari_subpixel.analysis.drift_curve import DriftCurve
    from napari_subpixel.calibration.saturation import Saturation
    from napari_subpixel.localizations import FIDUCIAL, Localizations, concat
    from napari_subpixel.runs.movie_lists import check_outputs_differ
    from napari_subpixel.simulation.settings import Simulation
    from napari_subpixel.simulation.simulate import simulate_chunks, simulated_drift
    from napari_subpixel.stacks.writing import check_movie_output, write_movie

    simulation = simulation_from(arguments, Simulation(), frame_shape=arguments.shape_px, n_frames=arguments.frames)
    simulation.psf.check_plausible(simulation.pixel_size_nm)
    if arguments.seed < 0:
        raise InputError(f"the seed must not be negative, got {arguments.seed}")
    outputs = [arguments.output, *formats.format_for(arguments.truth).outputs(arguments.truth)]
    check_outputs_differ([*outputs, *([arguments.trace] if arguments.trace else [])])
    check_movie_output(arguments.output, overwrite=arguments.overwrite)
    formats.check_can_write(arguments.truth, overwrite=arguments.overwrite)
    if arguments.trace:
        check_can_write(arguments.trace, overwrite=arguments.overwrite)
    tables: list[Localizations] = []
    top = 2**simulation.camera.bit_depth - 1
    n_at_top = 0

    def frames(bar: Any) -> Iterator[NDArray[np.uint16]]:
        nonlocal n_at_top
        for movie, truth in simulate_chunks(simulation, np.random.default_rng(arguments.seed)):
            n_at_top += int(np.count_nonzero(movie >= top))
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
    n_pixels = simulation.n_frames * math.prod(simulation.frame_shape)
    if saturated := Saturation(float(top), n_at_top / n_pixels).text:
        warn(f"{arguments.output}: {saturated}")
    truth = concat(tables)
    formats.write(arguments.truth, truth, overwrite=arguments.overwrite)
    if arguments.trace:
        y, x = simulated_drift(simulation, np.random.default_rng(arguments.seed)).T
        source = {"program": f"napari-subpixel {__version__}", "movie": arguments.output.name}
        curve = DriftCurve(x, y, np.zeros(len(x)), np.zeros(len(y)), method="simulation", source=source)
        curve.write(arguments.trace, overwrite=arguments.overwrite)
    length = counted(simulation.n_frames, "frame")
    n_beads = int(truth[FIDUCIAL].sum()) if FIDUCIAL in truth else 0
    beads = f" and {counted(n_beads, 'row')} of beads" if n_beads else ""
    say(f"{arguments.output}: {length}; {arguments.truth}: {counted(len(truth) - n_beads, 'molecule')}{beads}")
    if arguments.json:
        print_json({
            "movie": str(arguments.output),
            "truth": str(arguments.truth),
            "n_frames": simulation.n_frames,
            "n_molecules": len(truth) - n_beads,
            "n_bead_localizations": n_beads,
            "seed": arguments.seed,
        })  # fmt: skip
    return 0
