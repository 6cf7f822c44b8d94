"""What happens in a training as lines of JSON, for a program that runs it and stops it by closing standard input."""

from __future__ import annotations

import _thread
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any, TextIO

from napari_subpixel.errors import InputError

if TYPE_CHECKING:
    from napari_subpixel.training.request import TrainingPlan

#: Names of the lines of a training, by the class of what happens.
NAMES = {
    "TrainingStart": "start",
    "BaseScore": "base",
    "TrainingProgress": "progress",
    "TrainingStopped": "stopped",
    "TrainedModel": "model",
}


class EventLines:
    """Writes a line for each event; nothing where there is no stream.

    Until the first event, the end of standard input interrupts the program as Ctrl-C does; from then on it is noted, so
    that the work ends where it can be continued.

    Parameters
    ----------
    stream : text file, optional
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._has_begun = False
        self._stop = threading.Event()
        if stream is not None:
            threading.Thread(target=self._wait_for_end, name="standard-input", daemon=True).start()

    def is_to_stop(self) -> bool:
        """Say whether standard input has ended."""
        return self._stop.is_set()

    def write(self, event: object, plan: TrainingPlan) -> None:
        """Write an event of a training; its start with what is planned."""
        if self._stream is None or not is_dataclass(event) or isinstance(event, type):
            return
        name = NAMES[type(event).__name__]
        more: dict[str, Any] = {}
        if name == "start":
            self._has_begun = True
            more = {"notes": plan.notes, "warnings": plan.warnings, "domain": plan.card.get("domain") or None}
        self._print({"event": name, **asdict(event), **more})

    @contextmanager
    def naming_errors(self) -> Iterator[None]:
        """Write a line for an error of the input that ends the block: its kind, its message, and the field at fault."""
        try:
            yield
        except InputError as error:
            cause = error.__cause__ if isinstance(error.__cause__, InputError) else error
            about = {"kind": type(cause).__name__, "message": str(cause), "field": getattr(cause, "field", "")}
            self._print({"event": "error", **about})
            raise

    def _print(self, line: dict[str, Any]) -> None:
        print(json.dumps(line, default=str), file=self._stream, flush=True)

    def _wait_for_end(self) -> None:
        """Wait until standard input ends; read without Python's buffer, whose lock would block the program's end."""
        try:
            while os.read(sys.stdin.fileno(), 1 << 12):
                pass
        except (OSError, ValueError):  # there is none
            return
        self._stop.set()
        if not self._has_begun:
            _thread.interrupt_main()
