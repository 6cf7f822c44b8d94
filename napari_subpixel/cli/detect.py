"""``napari-subpixel detect``: movies in, tables out."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel._util.command_text import flag
from napari_subpixel.cli.advice import advised
from napari_subpixel.cli.announcements import Announcements
from napari_subpixel.cli.common import (
    add_camera_arguments,
    add_movie_arguments,
    camera_from,
    em_gain_given,
    frame_range,
    progress_bar,
    region,
    unknown_gain,
)
from napari_subpixel.cli.exit_status import DONE, SOME_FAILED
from napari_subpixel.cli.messages import counted, detail, fail, say, warn
from napari_subpixel.cli.parsing import StoppedError
from napari_subpixel.cli.record_flags import add_record_flags
from napari_subpixel.cli.simulate import add_psf_argument, psf_from
from napari_subpixel.cli.tables import print_json
from napari_subpixel.errors import InputError, OutputExistsError, OutputsExistError

if TYPE_CHECKING:
    from napari_subpixel.detection.detector import Detector
    from napari_subpixel.detection.options import DetectionOptions
    from napari_subpixel.runs.batch import MovieProgress, Outcome
    from napari_subpixel.runs.dask_cluster import Cluster
    from napari_subpixel.runs.live_options import Follow
    from napari_subpixel.stacks import Stack


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    from napari_subpixel.detection.devices import DEVICES
    from napari_subpixel.formats import FORMATS
    from napari_subpixel.runs.live_options import Follow

    idle_s = Follow().idle_s
    parser = subparsers.add_parser("detect")
    parser.add_argument(
        "movies",
        nargs="+",
        metavar="MOVIE",
        help="TIFF, OME-TIFF, Zarr, or a folder whose TIFF files are single frames; or several of these: any other "
        "folder (the movies in it), a pattern ('cell*.tif'), @FILE with one of all these on a line",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="table (.csv ThunderSTORM, .hdf5 Picasso, .parquet native), or a folder for several movies",
    )
    parser.add_argument("--format", choices=FORMATS, default="csv", help="format of the tables in a folder (csv)")
    parser.add_argument("--model", metavar="NAME|PATH", help="shipped model or model file (default)")
    parser.add_argument(
        "--like",
        type=Path,
        metavar="TABLE",
        help="settings as for this table: model, threshold, camera, PSF, brightness, frames, region",
    )
    parser.add_argument("--threshold", type=float, metavar="P", help="lowest probability reported (the model's)")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where to run (auto)")
    parser.add_argument("--frames", type=frame_range, metavar="A:B", help="some frames: from 0, B excluded")
    parser.add_argument("--roi", type=region, metavar="Y0:Y1,X0:X1", help="part of the frame, in pixels")
    add_movie_arguments(parser)
    parser.add_argument(
        "--join", action="store_true", help="the files are parts of one movie: one table, with frames counted on"
    )
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run; skip finished movies")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument("--json", action="store_true", help="one JSON document, a list of movies, on standard output")
    parser.add_argument("--image", type=Path, metavar="IMAGE.tif", help="also render the molecules of one movie")
    parser.add_argument(
        "--follow",
        type=_idle_seconds,
        nargs="?",
        const=idle_s,
        metavar="SECONDS",
        help="the movie is still being written: detect what comes, until nothing has come for this many seconds "
        f"({idle_s:g})",
    )
    parser.add_argument(
        "--save-camera", type=Path, metavar="FILE.yaml", help="write the camera and the PSF, as given or estimated"
    )
    add_left_out_arguments(parser)
    add_cluster_arguments(parser)
    add_psf_argument(parser)
    add_camera_arguments(parser)
    parser.set_defaults(run=run)


def add_left_out_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--bad-pixels`` and ``--drop-static``, and ``--molecule-photons``."""
    from napari_subpixel.detection.options import DetectionOptions

    parser.add_argument(
        "--bad-pixels",
        type=_bad_pixels,
        metavar="find|keep|FILE",
        help="stuck, hot, dark and noisy pixels, which are interpolated: found from the movie (find), none (keep), or "
        "those of a file: a mask (.tif, .npy), or text with y,x on every line",
    )
    parser.add_argument(
        "--drop-static",
        action="store_true",
        default=None,
        help="leave out points that never move: at fiducial beads, dirt, the edge of a field stop or an image splitter",
    )
    add_record_flags(parser, DetectionOptions, notes={"molecule_photons": "estimated from the movie"})


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--scheduler`` and ``--workers``, of which one may be given."""
    group = parser.add_argument_group("workers of Dask (the extra napari-subpixel[cluster]), each with --device")
    either = group.add_mutually_exclusive_group()
    either.add_argument("--workers", type=int, metavar="N", help="start N workers on this machine, one for each GPU")
    either.add_argument("--scheduler", metavar="ADDRESS", help="address or .json file of a Dask scheduler")


def run(arguments: argparse.Namespace) -> int:
    """Detect every movie; one that fails does not stop the others."""
    if arguments.like is not None:
        from napari_subpixel.cli.like import take_settings

        take_settings(arguments, arguments.like)
    arguments.model = arguments.model or "default"
    with no_empty_folder_left(Path(arguments.output)):
        return _run(arguments)


@contextmanager
def no_empty_folder_left(folder: Path) -> Iterator[None]:
    """Remove the folder of the outputs, if it was made here, where no output came to lie in it."""
    from napari_subpixel.runs.batch_summary import SUMMARY_NAME

    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        if made and folder.is_dir() and {path.name for path in folder.iterdir()} <= {SUMMARY_NAME}:
            (folder / SUMMARY_NAME).unlink(missing_ok=True)
            with suppress(OSError):
                for path in made:
                    path.rmdir()
        raise


def _run(arguments: argparse.Namespace) -> int:
    from napari_subpixel import formats
    from napari_subpixel.runs.batch import detect_batch
    from napari_subpixel.runs.batch_summary import summarised
    from napari_subpixel.runs.movie_lists import check_inputs_stay

    pairs, summary = _pairs(arguments)
    options = options_from(arguments)
    also_written = filter(None, [arguments.image, arguments.save_camera])
    check_inputs_stay(pairs, also_read=_also_read(arguments), also_written=also_written)
    _check_one_movie(arguments, len(pairs))
    opened = None
    if len(pairs) == 1 and arguments.follow is None:
        movie, table = pairs[0]
        if formats.format_for(table).in_nm:
            opened = opened_in_nm(movie, options, f"a {table.suffix} in nm")
    with opened if opened is not None else nullcontext(), _cluster(arguments) as cluster:
        detector = detector_from(arguments)
        if arguments.save_camera is not None and not detector.measures:
            raise InputError(f"--save-camera: the model {detector.card.name} needs no camera, and estimates none")
        if arguments.follow is not None:
            say(f"{pairs[0][0]}: followed until nothing has come for {arguments.follow:g} s, or Ctrl-C")
        events = detect_batch(
            pairs,
            detector,
            options,
            resume=arguments.resume,
            overwrite=arguments.overwrite,
            detecting=cluster.detect if cluster else None,
            follow=_follow(arguments),
            image=arguments.image,
            opened=opened,
        )
        n_failed = 0
        documents = []
        announced = Announcements(arguments.save_camera, arguments.overwrite, arguments.camera)
        for outcome in watched(summarised(events, summary) if summary else events, announced):
            if outcome.error is not None and len(pairs) == 1:
                raise outcome.error
            _report(outcome, str(cluster or detector.device_reason), arguments.image, announced)
            n_failed += outcome.status == "failed"
            documents.append(_document(outcome))
    if arguments.json:
        print_json(documents)
    if len(pairs) > 1:
        failed = f", {n_failed} failed" if n_failed else ""
        say(f"{len(pairs) - n_failed} of {len(pairs)} movies done{failed}; {summary} lists each")
    return SOME_FAILED if n_failed else DONE


def options_from(arguments: argparse.Namespace) -> DetectionOptions:
    """Return the options of a detection that the flags give."""
    from napari_subpixel.detection.options import DetectionOptions

    return DetectionOptions(
        camera_from(arguments),
        psf=psf_from(arguments),
        estimate_camera=unknown_gain(arguments),
        em_gain_given=em_gain_given(arguments),
        molecule_photons=arguments.molecule_photons,
        frames=arguments.frames,
        roi=arguments.roi,
        series=arguments.series,
        channel=arguments.channel,
        bad_pixels=True if arguments.bad_pixels is None else arguments.bad_pixels,
        drop_static=bool(arguments.drop_static),
    )


def opened_in_nm(movie: str | Path, options: DetectionOptions, purpose: str) -> Stack | None:
    """Open a movie for what needs its pixel size, and refuse one that has none at once, before a model is loaded.

    Where a flag or the movie's sidecar gives the pixel size there is no need to: the result is None.
    """
    from napari_subpixel.runs.movie_lists import sidecar_of
    from napari_subpixel.runs.sidecars import Sidecar
    from napari_subpixel.stacks import open_stack

    sidecar = sidecar_of(movie)
    if options.camera.pixel_size_nm or (sidecar.exists() and Sidecar.from_yaml(sidecar).camera.get("pixel_size_nm")):
        return None
    stack = open_stack(movie, **options.opening)
    if stack.pixel_size_nm is None:
        stack.close()
        raise stack.pixel_size_error(purpose)
    return stack


def _check_one_movie(arguments: argparse.Namespace, n_movies: int) -> None:
    """Refuse at once what goes with one movie only, and an image that cannot be written."""
    for name in ("follow", "image", "save_camera"):
        if getattr(arguments, name) is not None and n_movies > 1:
            raise InputError(f"{flag(name)} is for one movie, {n_movies} were given")
    if arguments.save_camera is not None:
        from napari_subpixel._util.files import check_can_write

        if arguments.save_camera.suffix.lower() not in (".yaml", ".yml"):
            raise InputError(f"{arguments.save_camera}: a camera file's name must end in .yaml or .yml")
        check_can_write(arguments.save_camera, overwrite=arguments.overwrite)
    if arguments.image is not None:
        from napari_subpixel.rendering.image_files import check_image_output

        check_image_output(arguments.image, overwrite=True)  # whether it may be replaced the run knows
    if arguments.follow is not None and (arguments.workers is not None or arguments.scheduler is not None):
        raise InputError("--follow detects here: a movie that is still being written is not handed to workers")


def _follow(arguments: argparse.Namespace) -> Follow | None:
    if arguments.follow is None:
        return None
    from napari_subpixel.runs.live_options import Follow

    return Follow(arguments.follow)


def _bad_pixels(text: str) -> Any:
    """Take ``find``, ``keep`` or the name of a file, which is read."""
    if text in ("find", "keep"):
        return text == "find"
    from napari_subpixel.calibration.bad_pixel_files import read_bad_pixels

    try:
        return read_bad_pixels(Path(text))
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _idle_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"takes a number of seconds above 0, got {text!r}; name the movie before it")
    return seconds


def _cluster(arguments: argparse.Namespace) -> AbstractContextManager[Cluster | None]:
    """Return the workers that are asked for, or None where this process detects by itself."""
    if arguments.workers is None and arguments.scheduler is None:
        return nullcontext()
    from napari_subpixel.runs.dask_cluster import connected, local_workers

    if arguments.scheduler is not None:
        return connected(arguments.scheduler, device=arguments.device)
    return local_workers(arguments.workers, device=arguments.device)


def _pairs(arguments: argparse.Namespace) -> tuple[list[tuple[str | Path, Path]], Path | None]:
    """Pair every movie with the table it becomes; where these go to a folder, name the summary too."""
    from napari_subpixel import formats
    from napari_subpixel._util.files import make_folder
    from napari_subpixel.runs.batch_summary import SUMMARY_NAME, check_summary
    from napari_subpixel.runs.movie_lists import gather_movies, pair_outputs, parts_of_one
    from napari_subpixel.stacks import SplitMovie

    output = Path(arguments.output)
    is_table = any(output.suffix.lower() in format_.suffixes for format_ in formats.FORMATS.values())
    is_folder = arguments.output.endswith(("/", "\\")) or output.is_dir()
    # A folder that is being written to is one movie, however few frames it has yet.
    movies = arguments.movies if arguments.follow is not None else gather_movies(arguments.movies)
    if not movies:
        raise InputError(f"{arguments.movies[0]}: holds settings of a movie; name the movie")
    if arguments.join:
        if arguments.follow is not None:
            raise InputError("--join takes finished files: a movie that is still being written cannot be joined")
        movies = [SplitMovie(movies)]
    elif parts := parts_of_one(movies):
        warn(f"{parts[0]} and {parts[1].name}: are they parts of one movie? --join makes one table of them")
    if is_folder or len(movies) > 1 or (len(arguments.movies) > 1 and not arguments.join and not is_table):
        if is_table and not is_folder:
            raise InputError(
                f"{output}: is the name of one table; several movies need a folder, such as {output.stem}/"
            )
        pairs = pair_outputs(movies, output, arguments.format)
        _check_not_finished(arguments, output, [table for _, table in pairs])
        make_folder(output)
        check_summary(output / SUMMARY_NAME, pairs, overwrite=arguments.overwrite)
        return pairs, output / SUMMARY_NAME
    if not is_table:
        suffixes = ", ".join(format_.suffixes[0] for format_ in formats.FORMATS.values())
        raise InputError(f"{output}: a table ends in {suffixes}, a folder in a slash")
    return [(movies[0], output)], None


def _check_not_finished(arguments: argparse.Namespace, folder: Path, tables: Sequence[Path]) -> None:
    """Refuse to run a finished batch once more, where it is not said what becomes of its tables."""
    if arguments.resume or arguments.overwrite or not tables or not all(table.exists() for table in tables):
        return
    what = f"all {len(tables)} tables exist" if len(tables) > 1 else f"{tables[0].name} exists"
    raise OutputsExistError(f"{folder}: {what} already", folder)


def _also_read(arguments: argparse.Namespace) -> Iterator[Path]:
    """Yield what is read besides the movies: the camera file, a model of the user's own and its card."""
    from napari_subpixel.models import CARD_SUFFIX

    yield from filter(None, (arguments.camera, arguments.like))
    if (model := Path(arguments.model)).is_file():
        yield from (model, model.with_suffix(CARD_SUFFIX))


def detector_from(arguments: argparse.Namespace) -> Detector:
    """Return the detector that the flags name."""
    from napari_subpixel.detection.detector import Detector

    # Where others detect, this machine may lack what they have.
    device = arguments.device if arguments.scheduler is None else "auto"
    return Detector(arguments.model, threshold=arguments.threshold, device=device)


def watched(events: Generator[MovieProgress | Outcome, None, None], announced: Announcements) -> Iterator[Outcome]:
    """Show the progress of every movie in a bar, and hand on what became of it."""
    from napari_subpixel.runs.batch import Outcome

    at: MovieProgress | None = None
    bar: Any = None
    n_outcomes = 0
    try:
        with closing(events), ExitStack() as bars:
            for event in events:
                if isinstance(event, Outcome):
                    bars.close()
                    at = bar = None
                    n_outcomes += 1
                    yield event
                    continue
                at = event
                announced.announce(at)
                detail(f"{at.movie.name}: {at.n_done} of {at.n_frames} frames done")
                if bar is None:
                    bar = bars.enter_context(progress_bar(at.n_frames, "frame", at.movie.name))
                bar.total = at.n_frames  # a movie that is followed grows
                bar.update(at.n_done - bar.n)
    except KeyboardInterrupt:
        raise StoppedError(_what_is_kept(at, n_outcomes)) from None


def _what_is_kept(at: MovieProgress | None, n_movies: int) -> str:
    """Say what an interrupted run leaves: tables of earlier movies, and finished frames of the one at work."""
    from napari_subpixel.runs.checkpoints import PartialResults

    before = f"; of the {n_movies} movies before, all is kept, and --resume continues with this one" if n_movies else ""
    results = PartialResults(at.output) if at is not None else None
    if at is None or results is None or not results.begun:
        movie = f" of {at.movie.name}" if at is not None else ""
        return f"no frames{movie} were finished yet, so none are kept{before}"
    frames = f"frames {at.start} to {at.done} of {at.stop}" if at.n_done else "the first frames"
    return f"{frames} of {at.movie.name} are kept in {results.folder}; --resume continues the run"


def _document(outcome: Outcome) -> dict[str, Any]:
    """Return what became of a movie, for JSON."""
    return {
        "movie": str(outcome.movie),
        "table": str(outcome.output),
        "status": outcome.status,
        "n_frames": outcome.n_frames,
        "n_molecules": outcome.n_molecules,
        "seconds": outcome.seconds,
        "settings": outcome.how,
        "own_settings": outcome.own_settings,
        "estimated": list(outcome.assumed),
        "warnings": list(outcome.warnings),
        "error": None if outcome.error is None else " ".join(str(outcome.error).split()),
    }


def _report(outcome: Outcome, where: str, image: Path | None, announced: Announcements) -> None:
    """Print what became of a movie."""
    if outcome.error is not None:
        kept = "--resume keeps it, " if type(outcome.error) is OutputExistsError else ""
        fail(f"failed: {advised(outcome.error, 'detect', first=kept)}")
        return
    if outcome.skipped:
        for warning in outcome.warnings:
            warn(warning)
        say(f"{outcome.output}: done already, skipped" + ("; render draws its image" if image else ""))
        return
    for what in (*filter(None, [outcome.own_settings]), *outcome.assumed):
        announced.say(f"{outcome.movie.name}: {what}")
    for warning in outcome.warnings:
        announced.warn(warning)
    announced.repeat_misfits(outcome.movie)
    rate = f" ({outcome.frames_per_second:.0f} frames/s)" if outcome.frames_per_second else ""
    where += f"; the image is {image}" if image else ""
    median = "" if outcome.median_per_frame is None else f", {outcome.median_per_frame:,g} in the median frame"
    molecules, frames = counted(outcome.n_molecules, "molecule"), counted(outcome.n_frames, "frame")
    say(f"{outcome.output}: {molecules}{median}; {frames} in {outcome.seconds:.1f} s{rate}; {outcome.how}, on {where}")
