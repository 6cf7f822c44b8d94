"""What the commands share: the parser, arguments of several commands, progress and messages."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from napari_subpixel.camera import Camera
from napari_subpixel.cli.record_flags import add_record_flags, given
from napari_subpixel.errors import InputError


class UsageError(Exception):
    """The command line itself is wrong; the message is one line."""


class StoppedError(Exception):
    """The user stopped the program; the message says what is kept."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and are raised, not exited with; flags are written out."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` with the command's name."""
        raise UsageError(f"{self.prog.removeprefix('napari-subpixel').strip() or 'usage'}: {message} (--help explains)")


def say(message: str) -> None:
    """Print a line on standard error."""
    print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress_bar(total: int, unit: str, label: str, *, done: int = 0) -> Iterator[Any]:
    """Show a bar with rate and time left on standard error, where that is a terminal.

    Yields
    ------
    tqdm.tqdm
        Call ``update(n)`` on it.
    """
    from tqdm import tqdm

    with tqdm(total=total, initial=done, unit=unit, desc=label, file=sys.stderr, disable=None, leave=False) as bar:
        yield bar


def add_camera_arguments(parser: argparse.ArgumentParser, default: Camera | None = None) -> None:
    """Add ``--camera`` and a flag for every setting of a camera without maps, with the defaults of `default`."""
    group = parser.add_argument_group("camera (a file, or flags, which override the file)")
    what = 'camera file, or the name of a known camera, such as "Hamamatsu ORCA-Fusion BT"'
    group.add_argument("--camera", type=camera_file, metavar="FILE.yaml|NAME", help=what)
    add_record_flags(group, default or Camera, metavar="NUMBER")


def gives_gain(arguments: argparse.Namespace) -> bool:
    """Say whether an argument gives how the camera turns photons into ADU."""
    return any(getattr(arguments, name) is not None for name in ("camera", "baseline", "electrons_per_adu"))


def camera_from(arguments: argparse.Namespace, default: Camera | None = None) -> Camera:
    """Return the camera that file and flags describe."""
    from dataclasses import replace

    camera = Camera.from_yaml(arguments.camera) if arguments.camera else default or Camera()
    return replace(camera, **given(arguments, Camera))


def camera_file(text: str) -> Path:
    """Take a camera file; what is no file and looks like none is the name of a camera, whose file is returned."""
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
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"{what}, got {text!r}")
    (y0, y1), (x0, x1) = (_span(part, what) for part in parts)
    if y0 is None or y1 is None or x0 is None or x1 is None:
        raise argparse.ArgumentTypeError(f"{what}, got {text!r}")
    return (y0, y1), (x0, x1)


def shape(text: str) -> tuple[int, int]:
    """Parse ``H,W``."""
    try:
        height, width = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a shape is H,W in pixels, got {text!r}") from None
    return height, width


def read_table(path: Path, *, pixel_size_nm: float | None = None) -> Any:
    """Read a table of localizations in any format."""
    from napari_subpixel import formats

    return formats.read(path, pixel_size_nm=pixel_size_nm)


def _span(text: str, what: str) -> tuple[int | None, int | None]:
    try:
        start, stop = (int(part) if part.strip() else None for part in text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{what}, got {text!r}") from None
    return start, stop
