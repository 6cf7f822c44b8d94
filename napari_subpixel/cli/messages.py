"""What a command says while it works: notes, warnings and errors, on standard error and in a log."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from napari_subpixel._util.files import reading
from napari_subpixel.cli.advice import hinted
from napari_subpixel.errors import InputError

#: Where the messages of the program go through.
LOGGER = logging.getLogger("napari_subpixel")
#: How a line of a log begins: by this a file is known to be one.
LOG_LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


class _Console(logging.Handler):
    """Prints on what is standard error at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


_CONSOLE = _Console(logging.INFO)


def counted(number: int, noun: str) -> str:
    """Return a number of things in words.

    Examples
    --------
    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say(message: str) -> None:
    """Print a note on standard error, unless the command is to be quiet."""
    LOGGER.info(message)


def warn(message: str) -> None:
    """Print a warning on standard error, a line that begins so and ends with what to do about it, if anything."""
    LOGGER.warning("warning: %s", hinted(message))


def fail(message: str) -> None:
    """Print on standard error what went wrong; with the traceback of the exception at hand in a log."""
    LOGGER.error(message)
    if sys.exc_info()[0] is not None:
        LOGGER.debug("this came from", exc_info=True)


def detail(message: str) -> None:
    """Print what only ``-v`` and a log are to have."""
    LOGGER.debug(message)


def is_quiet() -> bool:
    """Whether neither progress nor notes are wanted."""
    return _CONSOLE.level > logging.INFO


@contextlib.contextmanager
def console() -> Iterator[None]:
    """Send messages to standard error for as long as a command runs."""
    _CONSOLE.setLevel(logging.INFO)
    before = LOGGER.level, LOGGER.propagate
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it complains of is refused here, or harmless
    LOGGER.addHandler(_CONSOLE)
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.propagate = False
    try:
        yield
    finally:
        for handler in set(LOGGER.handlers):
            if handler is _CONSOLE or isinstance(handler, logging.FileHandler):
                LOGGER.removeHandler(handler)
                handler.close()
        LOGGER.setLevel(before[0])
        LOGGER.propagate = before[1]


def configure(*, quiet: bool = False, verbose: bool = False, log: Path | None = None) -> None:
    """Set how much is printed, and keep all of it in a log too.

    Parameters
    ----------
    quiet : bool
        Warnings and errors only.
    verbose : bool
        Details too.
    log : Path, optional
        File to append everything to, each line with its time.

    Raises
    ------
    InputError
        If the log is another kind of file, or cannot be written.
    """
    _CONSOLE.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    if log is None:
        return
    _check_is_log(log)
    try:
        file = logging.FileHandler(log, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{log}: cannot write a log here: {error.strerror}") from None
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    LOGGER.addHandler(file)


def _check_is_log(path: Path) -> None:
    """Refuse to append to a file that is no log, such as a movie or a table."""
    if not path.exists():
        return
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected the name of a log")
    with reading(path), path.open("rb") as file:
        head = file.read(32)
    if head and not LOG_LINE.match(head):
        raise InputError(f"{path}: is not a log of this program, and is left as it is; it starts with {head[:12]!r}")
