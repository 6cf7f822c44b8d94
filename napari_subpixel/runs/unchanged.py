"""Whether a movie is still the one that a run began with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from napari_subpixel.errors import InputError
from napari_subpixel.stacks import Stack


class MovieState:
    """A movie as it is now, to be compared with what it is later.

    A file that another one was renamed over, or that was deleted, does not count: it is read to its end.

    Parameters
    ----------
    stack : Stack
    frames_sha256 : str
        Of its fingerprint.
    """

    def __init__(self, stack: Stack, frames_sha256: str) -> None:
        self._stack = stack
        self._files = {file: _state(file) for file in stack.files}
        self._frames = frames_sha256

    def check_unchanged(self) -> None:
        """Raise `InputError` if the movie was written to since."""
        changed = [file for file, state in self._files.items() if state and _written_to(state, _state(file))]
        if not changed:
            with suppress(OSError):
                if self._stack.fingerprint()["frames_sha256"] == self._frames:
                    return
                changed = [Path(self._stack.name)]
        if changed:
            raise InputError(
                f"{changed[0]}: was written to while it was being detected; the table would mix two states of the movie"
            )


def _state(file: Path) -> tuple[int, int, int] | None:
    """Return which file it is, its size in bytes and when it was written to, in ns; None where it is gone."""
    try:
        about = file.stat()
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns


def _written_to(before: tuple[int, int, int], now: tuple[int, int, int] | None) -> bool:
    return now is not None and now[0] == before[0] and now != before
