"""``napari-subpixel demo``: the whole way, from a movie to a score, on a movie simulated on the spot."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel.cli.common import progress_bar
from napari_subpixel.cli.evaluate import score_table
from napari_subpixel.cli.messages import say
from napari_subpixel.cli.parsing import StoppedError
from napari_subpixel.errors import InputError, OutputExistsError

if TYPE_CHECKING:
    from napari_subpixel.localizations import Localizations
    from napari_subpixel.rendering.render import SuperResolutionImage
    from napari_subpixel.simulation.settings import Simulation

#: Settings of the demo's movie that differ from `simulate.crowded_microtubules`.
DEMO: dict[str, Any] = {"n_frames": 500}
#: Seed of the demo's movie.
SEED = 7
#: Says in a folder that these files were made by a demo.
MARK = ".napari-subpixel-demo"
#: What a demo writes, in the order of its steps.
FILES = ("movie.tif", "truth.csv", "localizations.csv", "super-resolution.tif", "super-resolution.png")


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser("demo")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="FOLDER",
        help="folder for movie, tables and images (demo-output); an earlier demo's files are replaced",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files of these names that no demo made")
    parser.add_argument("--viewer", action="store_true", help="show the result in napari")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run every step and print where the files are and how good the result is."""
    if arguments.viewer:
        from napari_subpixel.widgets.viewer import check_napari

        check_napari()
    folder = _folder(arguments.output, overwrite=arguments.overwrite)
    try:
        found, truth, image = _demonstrate(*(folder / name for name in FILES))
    except KeyboardInterrupt:
        raise StoppedError(f"the files finished so far are in {folder}") from None
    if arguments.viewer:
        from napari_subpixel.stacks import open_stack
        from napari_subpixel.widgets.viewer import show

        say("opening napari; close its window to end")
        show(open_stack(folder / FILES[0]), demo_simulation().camera, found, truth, image)
    return 0


def _demonstrate(
    movie_path: Path, truth_path: Path, table_path: Path, image_path: Path, picture_path: Path
) -> tuple[Localizations, Localizations, SuperResolutionImage]:
    """Simulate, detect, render and score; return localizations, truth and image."""
    import numpy as np

    from napari_subpixel import formats
    from napari_subpixel.detection.detector import Detector
    from napari_subpixel.detection.job import job_for
    from napari_subpixel.detection.options import DetectionOptions
    from napari_subpixel.evaluation.evaluate import evaluate
    from napari_subpixel.rendering.image_files import save_image, save_preview
    from napari_subpixel.rendering.render import render
    from napari_subpixel.runs.pipeline import detect_to_file
    from napari_subpixel.simulation.simulate import simulate
    from napari_subpixel.stacks import open_stack
    from napari_subpixel.stacks.writing import write_movie

    settings = demo_simulation()
    say(f"1/4 simulating {settings.n_frames} frames of microtubules, {settings.emitters_per_frame:g} molecules each")
    movie, truth = simulate(settings, np.random.default_rng(SEED))
    write_movie(movie_path, [movie], shape=movie.shape, pixel_size_nm=settings.pixel_size_nm, overwrite=True)
    formats.write(truth_path, truth, overwrite=True)
    with open_stack(movie_path) as stack:
        detector = Detector()
        say(f"2/4 finding molecules with the model {detector.card.name}, on {detector.device_reason}")
        job = job_for(stack, detector, DetectionOptions(settings.camera, estimate_camera=False))
        for what in job.assumed:
            say(f"    {what}")
        with progress_bar(stack.n_frames, "frame", "detect") as bar:
            for chunk in detect_to_file(job, table_path, overwrite=True):
                bar.update(chunk.stop - bar.n)
    found = formats.read(table_path)
    say("3/4 rendering the super-resolution image")
    image = render(found, pixel_size_nm=10.0)
    save_image(image_path, image, overwrite=True)
    save_preview(picture_path, image, scale_bar_nm=1000.0, overwrite=True)
    say("4/4 scoring against the truth")
    result = evaluate(found, truth)
    print(f"{len(found)} localizations, {len(truth)} molecules in the truth\n{score_table(result)}")
    print(f"table: {table_path}\nsuper-resolution image: {image_path} (to look at: {picture_path})")
    return found, truth, image


def demo_simulation() -> Simulation:
    """Return the settings of the demo's movie."""
    from napari_subpixel.simulation.settings import crowded_microtubules

    return crowded_microtubules(**DEMO)


def _folder(path: Path, *, overwrite: bool) -> Path:
    """Make the folder, with a mark that its files are a demo's; files of somebody else's are not replaced."""
    if path.is_file():
        raise InputError(f"{path}: is a file, and the demo needs a folder")
    mark = path / MARK
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name in () if overwrite or mark.exists() else FILES:
            if (path / name).exists():
                raise OutputExistsError(f"{path / name}: exists already and no demo made it", path / name)
        mark.touch()
    except OSError as error:
        raise InputError(f"{path}: cannot make this folder: {error.strerror}") from None
    return path
