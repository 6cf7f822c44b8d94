"""What the commands share: arguments of several commands, and progress."""

from __future__ import annotations

import argparse
import contextlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_subpixel.cli.messages import is_quiet, warn
from napari_subpixel.cli.record_flags import add_record_flags, given, pixel_size
from napari_subpixel.errors import InputError, PixelSizeError, TableWarning

if TYPE_CHECKING:
    from napari_subpixel.camera import Camera
    from napari_subpixel.coordinates import PixelSize
    from napari_subpixel.localizations import Localizations


@contextlib.contextmanager
def progress_bar(total: int, unit: str, label: str, *, done: int = 0) -> Iterator[Any]:
    """Show a bar with rate and time left on standard error, where that is a terminal, unless quiet.

    Parameters
    ----------
    total : int
        Units of work in all.
    unit : str
        Name of one, such as ``frame``.
    label : str
        Text in front of the bar.
    done : int
        Units that were done before.

    Yields
    ------
    tqdm.tqdm
        Call ``update(n)`` on it.
    """
    from tqdm import tqdm

    with tqdm(
        total=total, initial=done, unit=unit, desc=label, file=sys.stderr, disable=is_quiet() or None, leave=False
    ) as bar:
        yield bar


def add_camera_arguments(parser: argparse.ArgumentParser, default: Camera | None = None) -> None:
    """Add ``--camera`` and a flag for every setting of a camera without maps, with the defaults of `default`."""
    from napari_subpixel.camera import Camera

    group = parser.add_argument_group("camera (a file, or flags, which override the file)")
    what = 'camera file, or the name of a known camera, such as "Hamamatsu ORCA-Fusion BT"'
    group.add_argument("--camera", type=camera_file, metavar="FILE.yaml|NAME", help=what)
    add_record_flags(group, default or Camera, metavar="NUMBER")


def add_movie_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--series`` and ``--channel``, which choose a movie among those in a file."""
    parser.add_argument(
        "--series", type=int, metavar="N", help="which image of a file that holds several, such as positions: from 0"
    )
    parser.add_argument(
        "--channel", metavar="N|NAME", help="which channel, where there are several: its number, from 0, or its name"
    )


def opening_from(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `open_stack` that the flags give."""
    frames = getattr(arguments, "frames", None)
    return {"series": arguments.series, "channel": arguments.channel, "stop": frames[1] if frames else None}


def unknown_gain(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Return which of the camera's baseline and gain neither a flag nor the camera file gives."""
    from napari_subpixel.camera import GAIN

    return tuple(name for name in GAIN if not _is_given(arguments, name))


def em_gain_given(arguments: argparse.Namespace) -> bool:
    """Say whether a flag or the camera file gives the EM gain, so that 1 is no default."""
    return _is_given(arguments, "em_gain")


def _is_given(arguments: argparse.Namespace, name: str) -> bool:
    """Say whether a flag or the camera file gives a number of the camera."""
    from napari_subpixel._util import records

    in_file = records.read_section(arguments.camera, "camera") if arguments.camera else {}
    return getattr(arguments, name) is not None or name in in_file


def camera_from(arguments: argparse.Namespace, default: Camera | None = None) -> Camera:
    """Return the camera that file and flags describe."""
    from dataclasses import replace

    from napari_subpixel.camera import Camera

    camera = Camera.from_yaml(arguments.camera) if arguments.camera else default or Camera()
    camera = replace(camera, **given(arguments, Camera))
    camera.check_plausible()
    return camera


def camera_file(text: str) -> Path:
    """Take a camera file; what neither is a file nor looks like one is a camera's name, whose file is returned."""
    path = Path(text)
    if path.exists() or path.suffix.lower() in (".yaml", ".yml") or len(path.parts) != 1:
        return path
    from napari_subpixel.cameras.presets import preset_file

    try:
        return preset_file(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(f"no such file, and {error}") from None


def frame_range(text: str) -> tuple[int | None, int | None]:
    """Parse ``A:B``, either end of which may be left out."""
    return _span(text, "frames are A:B, counted from 0, B excluded")


def region(text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Parse ``Y0:Y1,X0:X1``."""
    what = "a region is Y0:Y1,X0:X1 in pixels, the ends excluded"
    parts = text.split(",")
    if len(parts) == 1 and ":" in text:
        raise argparse.ArgumentTypeError(f"{what}, got one range only, {text!r}: rows and columns need one each")
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"{what}, got {text!r}")
    (y0, y1), (x0, x1) = (_span(part, what) for part in parts)
    if y0 is None or y1 is None or x0 is None or x1 is None:
        raise argparse.ArgumentTypeError(f"{what}, got {text!r}")
    for axis, start, stop in (("y", y0, y1), ("x", x0, x1)):
        if start >= stop:
            turned = f"; did you mean {stop}:{start}?" if start > stop else ""
            raise argparse.ArgumentTypeError(f"{what}: {axis} {start}:{stop} holds no pixel{turned}")
    return (y0, y1), (x0, x1)


def shape(text: str) -> tuple[int, int]:
    """Parse ``H,W``."""
    try:
        height, width = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a shape is H,W in pixels, got {text!r}") from None
    return height, width


def origin(text: str) -> str | tuple[float, int]:
    """Parse the name of an origin, or ``CENTRE,FRAME``."""
    from napari_subpixel.formats.flavours import ORIGINS, origin_of

    centre, _, first = text.partition(",")
    try:
        return origin_of((float(centre), int(first)))
    except (InputError, ValueError):
        if text in ORIGINS:
            return text
        names = ", ".join(ORIGINS)
        raise argparse.ArgumentTypeError(
            f"an origin is one of {names}, or CENTRE,FRAME as 0.5,1, got {text!r}"
        ) from None


#: What an option for an origin means.
ORIGIN_HELP = (
    "where {} counts from, if it is a text table: thunderstorm (first pixel's centre at 0.5 px, first frame 1), "
    "picasso (0 px, 0), smap (1 px, 1), or the two numbers CENTRE,FRAME; instead of what its program does"
)


#: What an option for units means.
UNITS_HELP = "what lengths of {} are in, if it is a text table whose headings do not say: px, nm or um"


def units(text: str) -> str:
    """Take a unit of length."""
    from napari_subpixel.formats.bare_names import checked_units

    try:
        checked_units(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def reading_from(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return how a table is to be read, as the flags of `add_table_arguments` have it."""
    return {name: getattr(arguments, name) for name in ("origin", "units", "skip_invalid")}


def add_table_arguments(parser: argparse.ArgumentParser, table: str = "the table") -> None:
    """Add the options of commands that read a table: ``--origin``, ``--units`` and ``--skip-invalid``."""
    parser.add_argument("--origin", type=origin, metavar="NAME|CENTRE,FRAME", help=ORIGIN_HELP.format(table))
    parser.add_argument("--units", type=units, metavar="UNIT", help=UNITS_HELP.format(table))
    parser.add_argument("--skip-invalid", action="store_true", help="leave out rows without a finite frame, x or y")


def add_output_table(parser: argparse.ArgumentParser) -> None:
    """Add the option for the table to write."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="TABLE",
        help="table to write (.csv ThunderSTORM, .hdf5 Picasso, .parquet native)",
    )


def add_pixel_size_of_table(parser: argparse.ArgumentParser) -> None:
    """Add the option for the pixel size of the table that is read."""
    parser.add_argument(
        "--pixel-size-nm",
        type=pixel_size,
        metavar="NM",
        help="width of a camera pixel, or height,width where they differ, where the table does not say; overrides it",
    )


def read_table(
    path: Path,
    *,
    pixel_size_nm: PixelSize | None = None,
    origin: str | tuple[float, int] | None = None,
    units: str | None = None,
    skip_invalid: bool = False,
) -> Localizations:
    """Read a table of localizations in any format, and report what was assumed or left out.

    Parameters
    ----------
    path : Path
        The file.
    pixel_size_nm : float or (float, float), optional
        Width of a camera pixel in nm, or height and width.
    origin : str or (float, int), optional
        Where a text table counts from.
    units : str, optional
        What lengths of a text table are in whose headings name no unit.
    skip_invalid : bool
        Whether rows without a finite frame, x or y are left out.
    """
    from napari_subpixel import formats
    from napari_subpixel.formats.copies import warning_of_copies

    if pixel_size_nm is not None:
        _check_pixel_size(path, pixel_size_nm)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TableWarning)
        table = formats.read(path, pixel_size_nm=pixel_size_nm, origin=origin, units=units, skip_invalid=skip_invalid)
    for warning in caught:
        if issubclass(warning.category, TableWarning):
            warn(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if copied := warning_of_copies(table):
        warn(f"{path}: {copied}")
    return table


def _check_pixel_size(path: Path, given: PixelSize) -> None:
    """Refuse a given pixel size that no camera has, and warn where the table says another."""
    from napari_subpixel import formats
    from napari_subpixel.camera import Camera
    from napari_subpixel.coordinates import pixel_size_misfit

    Camera(pixel_size_nm=given).check_plausible()
    try:
        known = formats.read_about(path).get("pixel_size_nm")
    except InputError:  # reading the table says why
        return
    if misfit := pixel_size_misfit(given, known, "the table"):
        warn(f"{path}: {misfit}")


def read_table_to_write(arguments: argparse.Namespace) -> Localizations:
    """Read the table that a command's arguments name, and refuse one that its output could not hold.

    Raises
    ------
    PixelSizeError
        If the output's format is in nm and the pixel size is not known.
    """
    from napari_subpixel import formats

    path, output = arguments.localizations, arguments.output
    table = read_table(path, pixel_size_nm=arguments.pixel_size_nm, **reading_from(arguments))
    if formats.format_for(output).in_nm and table.pixel_size_nm is None:
        raise PixelSizeError(f"{path}: has no pixel size, which a {output.suffix} in nm needs")
    return table


def without_pixel_size(path: Path, pixel_size_nm: PixelSize | None) -> str | None:
    """Return what to say of a table for Picasso that holds no pixel size, else None."""
    if pixel_size_nm is not None or path.suffix.lower() not in (".hdf5", ".h5"):
        return None
    return f"{path}: holds no pixel size, which Picasso asks for when it opens the table; --pixel-size-nm gives it"


def _span(text: str, what: str) -> tuple[int | None, int | None]:
    try:
        start, stop = (int(part) if part.strip() else None for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{what}, got {text!r}") from None
    return start, stop
