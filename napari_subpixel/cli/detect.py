"""``napari-subpixel detect``: movies in, tables out."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel.camera import Camera
from napari_subpixel.cli.common import (
    DEVICES,
    StoppedError,
    add_camera_arguments,
    camera_from,
    frame_range,
    open_movie,
    progress_bar,
    region,
    say,
)
from napari_subpixel.cli.simulate import add_psf_argument, psf_from
from napari_subpixel.errors import InputError, PixelSizeError

if TYPE_CHECKING:
    from napari_subpixel.detector import Detector
    from napari_subpixel.pipeline import DetectionJob

#: More points than this per pixel and frame are noise: the most crowded training data have 0.06.
TOO_CROWDED = 0.12
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
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where to run (auto)")
    parser.add_argument("--frames", type=frame_range, metavar="A:B", help="some frames: from 0, B excluded")
    parser.add_argument("--roi", type=region, metavar="Y0:Y1,X0:X1", help="part of the frame, in pixels")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run; skip finished movies")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    add_psf_argument(parser)
    add_camera_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Detect every movie; one that fails does not stop the others."""
    outputs = _outputs(arguments)
    camera = camera_from(arguments)
    _check_inputs_stay(arguments, [output for _, output in outputs])
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
    is_table = output.suffix.lower() in (*SUFFIXES.values(), ".h5")
    in_folder = len(arguments.movies) > 1 or arguments.output.endswith(("/", "\\")) or output.is_dir()
    if not in_folder:
        if not is_table:
            raise InputError(f"{output}: a table ends in {', '.join(SUFFIXES.values())}, a folder in a slash")
        return [(arguments.movies[0], output)]
    if is_table and not output.is_dir() and not arguments.output.endswith(("/", "\\")):
        raise InputError(f"{output}: is the name of one table; several movies need a folder, such as {output.stem}/")
    names = [output / (_stem(movie) + SUFFIXES[arguments.format]) for movie in arguments.movies]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise InputError(f"{min(twice)}: several movies would become this table; rename one or use another folder")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot make this folder: {error.strerror}") from None
    return list(zip(arguments.movies, names, strict=True))


def _check_inputs_stay(arguments: argparse.Namespace, outputs: list[Path]) -> None:
    """Refuse outputs, or files beside them, that are what the command reads."""
    from napari_subpixel import formats

    inputs = {Path(name).resolve() for name in (*arguments.movies, arguments.camera) if name}
    for output in outputs:
        for file in formats.format_for(output).outputs(output):
            if file.resolve() in inputs:
                raise InputError(f"{file}: is read by this command and would be replaced by its output")


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

    journal = Journal.beside(output)
    if arguments.resume and output.exists():
        journal.remove()
        say(f"{output}: done already, skipped")
        return
    with open_movie(movie) as stack:
        start, stop = arguments.frames or (None, None)
        span = (start or 0, stack.n_frames if stop is None else stop)
        known = _microscope(arguments, stack, camera) if detector.measures else {"camera": camera}
        job = DetectionJob(stack, detector, frames=span, roi=arguments.roi, **known)
        (first, last), points, seen = job.span, 0, 0
        done, began = first, time.perf_counter()
        warnings: list[str] = []
        try:
            with progress_bar(last - first, "frame", stack.name) as bar:
                chunks = detect_to_file(
                    job, output, resume=arguments.resume, overwrite=arguments.overwrite, tell=warnings.append
                )
                for chunk in chunks:
                    done, points, seen = chunk.stop, points + len(chunk.table), seen + chunk.stop - chunk.start
                    bar.update(done - first - bar.n)
        except KeyboardInterrupt:
            if done == first:
                raise
            kept = f"frames {first} to {done} of {last} of {stack.name} are kept in {journal.folder}"
            raise StoppedError(f"{kept}; --resume goes on") from None
        seconds = time.perf_counter() - began
        _warn_of_crowding(job, points / max(seen, 1))
        for warning in warnings:
            say(f"warning: {stack.name}: {warning}")
    how = f"model {detector.card.name}, threshold {detector.threshold:g}, on {detector.device_reason}"
    say(f"{output}: {last - first} frames in {seconds:.1f} s ({(last - first) / seconds:.0f} frames/s); {how}")


def _microscope(arguments: argparse.Namespace, stack: Any, camera: Camera) -> dict[str, Any]:
    """Return what a job needs to know of the microscope: as given, else estimated from the movie, which is said."""
    from napari_subpixel.estimate import microscope_of

    psf, pixel_size_nm = psf_from(arguments), camera.pixel_size_nm or stack.pixel_size_nm
    if psf and not pixel_size_nm:
        raise PixelSizeError(f"{stack.name}: --psf-sigma-nm needs the pixel size: give --pixel-size-nm")
    given = [getattr(arguments, name) for name in ("camera", "baseline", "electrons_per_adu")]
    known = microscope_of(
        stack,
        camera,
        psf.sigma_px(pixel_size_nm) if psf else None,
        estimate_gain=all(value is None for value in given),
    )
    for line in known.assumed:
        say(f"{stack.name}: {line}")
    return {"camera": known.camera, "sigma_px": known.sigma_px, "assumed": known.assumed}


def _warn_of_crowding(job: DetectionJob, points_per_frame: float) -> None:
    """Say so where there are more points than molecules can be told apart: the model does not fit the movie."""
    (y0, y1), (x0, x1) = job.roi or ((0, job.stack.frame_shape[0]), (0, job.stack.frame_shape[1]))
    crowding = points_per_frame / ((y1 - y0) * (x1 - x0))
    if crowding > TOO_CROWDED:
        card = job.detector.card
        say(
            f"warning: {job.stack.name}: {points_per_frame:.0f} points a frame, {crowding:.2f} a pixel, are more than "
            f"molecules can be told apart: is this movie like those that the model {card.name} knows? {card.limits}"
        )
