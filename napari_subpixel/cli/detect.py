"""``napari-subpixel detect``: movies in, tables out."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel.camera import Camera
from napari_subpixel.cli.common import (
    StoppedError,
    add_camera_arguments,
    camera_from,
    frame_range,
    open_movie,
    progress_bar,
    region,
    say,
)
from napari_subpixel.errors import InputError

if TYPE_CHECKING:
    from napari_subpixel.detector import Detector

SUFFIXES = {"csv": ".csv", "hdf5": ".hdf5", "parquet": ".parquet"}


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("detect", help="find the molecules of one or several movies")
    parser.add_argument("movies", nargs="+", metavar="MOVIE", help="TIFF, OME-TIFF, Zarr, or a folder of frames")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="table (.csv ThunderSTORM, .hdf5 Picasso, .parquet native), or a folder for several movies",
    )
    parser.add_argument("--format", choices=SUFFIXES, default="csv", help="of the tables in a folder (csv)")
    parser.add_argument("--model", default="paper", metavar="NAME|PATH", help="shipped model or model file (paper)")
    parser.add_argument("--threshold", type=float, metavar="P", help="probability of the faintest point (the model's)")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="where to run (auto)")
    parser.add_argument("--frames", type=frame_range, metavar="A:B", help="some frames: from 0, B excluded")
    parser.add_argument("--roi", type=region, metavar="Y0:Y1,X0:X1", help="part of the frame, in pixels")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run; skip finished movies")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    add_camera_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Detect every movie; one that fails does not stop the others."""
    outputs = _outputs(arguments)
    camera = camera_from(arguments)
    detector = _detector(arguments)
    failed: list[str] = []
    for movie, output in outputs:
        try:
            _detect_movie(arguments, movie, output, camera, detector)
        except (InputError, OSError, MemoryError) as error:
            if len(outputs) == 1:
                raise
            failed.append(" ".join((str(error) or "not enough memory").split()))
            say(f"failed: {failed[-1]}")
    if failed:
        say(f"{len(outputs) - len(failed)} of {len(outputs)} movies done, {len(failed)} failed")
    return 1 if failed else 0


def _outputs(arguments: argparse.Namespace) -> list[tuple[str, Path]]:
    """Pair every movie with the table it becomes."""
    output = Path(arguments.output)
    in_folder = len(arguments.movies) > 1 or arguments.output.endswith(("/", "\\")) or output.is_dir()
    if not in_folder:
        if output.suffix.lower() not in (*SUFFIXES.values(), ".h5"):
            raise InputError(f"{output}: a table ends in {', '.join(SUFFIXES.values())}, a folder in a slash")
        return [(arguments.movies[0], output)]
    names = [output / (_stem(movie) + SUFFIXES[arguments.format]) for movie in arguments.movies]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"{min(twice)}: several movies would become this table; rename one or use another folder")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot make this folder: {error.strerror}") from None
    return list(zip(arguments.movies, names, strict=True))


def _stem(movie: str) -> str:
    name = Path(movie).resolve().name
    for suffix in (".ome.tif", ".ome.tiff", ".ome.zarr", ".zarr.zip"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return Path(name).stem


def _detector(arguments: argparse.Namespace) -> Detector:
    from napari_subpixel.detector import Detector

    return Detector(arguments.model, threshold=arguments.threshold, device=arguments.device)


def _detect_movie(arguments: argparse.Namespace, movie: str, output: Path, camera: Camera, detector: Detector) -> None:
    from napari_subpixel.pipeline import DetectionJob, Journal, detect_to_file

    if arguments.resume and output.exists():
        Journal.beside(output).remove()
        say(f"{output}: done already, skipped")
        return
    with open_movie(movie) as stack:
        start, stop = arguments.frames or (None, None)
        frames = (start or 0, stack.n_frames if stop is None else stop)
        job = DetectionJob(stack, detector, camera, frames, arguments.roi)
        done, began = frames[0], time.perf_counter()
        try:
            with progress_bar(frames[1] - frames[0], "frame", stack.name) as bar:
                for done in detect_to_file(job, output, resume=arguments.resume, overwrite=arguments.overwrite):
                    bar.update(done - frames[0] - bar.n)
        except KeyboardInterrupt:
            if done == frames[0]:
                raise
            raise StoppedError(
                f"frames {frames[0]} to {done} of {frames[1]} of {stack.name} are kept in {output.name}.partial; "
                "--resume goes on"
            ) from None
        seconds = time.perf_counter() - began
    n_frames = frames[1] - frames[0]
    how = f"model {detector.card.name}, threshold {detector.threshold:g}, on {detector.device_reason}"
    say(f"{output}: {n_frames} frames in {seconds:.1f} s ({n_frames / seconds:.0f} frames/s); {how}")
