"""A training in a process of its own, so that the viewer keeps its time: what it says, and how it is stopped."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel import errors
from napari_subpixel._util.command_text import PROGRAM, flag, flag_arguments
from napari_subpixel.errors import InputError
from napari_subpixel.stacks import open_stack
from napari_subpixel.training.curves import LOG, read_log
from napari_subpixel.training.request import RequestError
from napari_subpixel.training.train_model import EXAMPLES_FILE

#: What Python runs: the command `train`, which says what happens.
COMMAND = ("-m", "napari_subpixel", "train", flag("events"))
#: How often the work can be stopped, in seconds.
POLL_S = 0.1
#: How long a training that is to stop may take to keep what is done, in seconds: it may be measuring.
PATIENCE_S = 30.0
#: The same while the window closes; a checkpoint of the last minute is there in any case.
CLOSING_PATIENCE_S = 5.0
#: The process gives way to the viewer: its niceness.
NICENESS = 5
#: The exit status of a command that refuses its input.
REFUSED = 2
#: Last lines of what the process says of its own fault.
FAULT_LINES = 12


class TrainingCall(NamedTuple):
    """A call of the command `train`.

    Attributes
    ----------
    flags : mapping
        Its flags, by the names of the fields.
    written : mapping
        Flags of files that are written first: functions that write one to a folder and return its path.
    stop : threading.Event
        Set to stop it; what is done is kept.
    """

    flags: Mapping[str, Any]
    written: Mapping[str, Callable[[Path], Path]]
    stop: threading.Event


class Begun(NamedTuple):
    """A training that begins, or goes on.

    Attributes
    ----------
    n_done, n_iterations : int
        Steps that were done before, and in all.
    notes, warnings : list of str
    domain : dict, optional
        Ranges of the simulations, by the fields of a `Domain`.
    log : dict of str to ndarray, optional
        Columns of the log of what was done before.
    frames : ndarray, shape (T, Y, X), optional
        Frames like those it learns from, next to the user's own where there is a movie to imitate.
    """

    n_done: int
    n_iterations: int
    notes: list[str]
    warnings: list[str]
    domain: dict[str, Any] | None
    log: dict[str, NDArray[np.float64]] | None
    frames: NDArray[Any] | None


class Happened(NamedTuple):
    """What a training says of itself: the name of the event, and its fields."""

    name: str
    fields: dict[str, Any]


def train(call: TrainingCall) -> Generator[Begun | Happened | None, None, Happened]:
    """Train in another process; the work can be stopped at each yield.

    Parameters
    ----------
    call : TrainingCall

    Yields
    ------
    Begun, Happened or None
        What happens; None often, where nothing does.

    Returns
    -------
    Happened
        The event ``model`` or ``stopped``.

    Raises
    ------
    InputError
        What the command refuses, of the same kind.
    RuntimeError
        If the process ended by a fault of its own.
    """
    with tempfile.TemporaryDirectory(prefix="napari-subpixel-") as folder:
        flags = dict(call.flags)
        for name, write in call.written.items():
            flags[name] = write(Path(folder))
            yield None
        arguments = [text for name, value in flags.items() for text in flag_arguments(name, value)]
        last: Happened | None = None
        with _process(arguments, Path(folder) / "said.txt") as process:
            for event in process.events(call.stop):
                if event is not None:
                    last = event
                yield _begun(event) if event is not None and event.name == "start" else event
            return _ended(last, process, call.stop.is_set())


def _ended(last: Happened | None, process: _Process, was_stopped: bool) -> Happened:
    """Return how a training ended, or raise what ended it."""
    if last is not None and last.name in ("model", "stopped"):
        return last
    if last is not None and last.name == "error":
        raise _error(last.fields)
    if was_stopped:
        done = last.fields.get("iteration", 0) if last is not None else 0
        return Happened("stopped", {"n_done": done})
    status, fault = process.status(), process.fault()
    if status == REFUSED and fault:
        raise InputError(fault[-1].removeprefix(f"{PROGRAM}: "))
    raise RuntimeError("\n".join([f"the training ended by itself, with status {status}", *fault]))


def _error(fields: Mapping[str, Any]) -> InputError:
    """Return an error of the process, of the same kind."""
    kind, message = str(fields["kind"]), str(fields["message"])
    if kind == RequestError.__name__:
        return RequestError(message, str(fields["field"]))
    known = getattr(errors, kind, InputError)
    return known(message) if isinstance(known, type) and issubclass(known, InputError) else InputError(message)


def _begun(event: Happened) -> Begun:
    """Read what a training that begins has in its folder."""
    fields = event.fields
    folder = Path(fields["folder"])
    log, frames = None, None
    with suppress(InputError):
        log = read_log(folder / LOG)
    if (folder / EXAMPLES_FILE).exists():
        with open_stack(folder / EXAMPLES_FILE) as stack:
            frames = stack.read(0, stack.n_frames)
    return Begun(
        fields["n_done"], fields["n_iterations"], fields["notes"], fields["warnings"], fields["domain"], log, frames
    )


class _Process:
    """The process of a training, and a thread that reads what it says."""

    def __init__(self, arguments: list[str], said: IO[bytes]) -> None:
        command = [sys.executable, *COMMAND, *arguments]
        below = getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
        self._said = said
        self._popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, creationflags=below
        )
        with suppress(AttributeError, OSError):  # Windows has no niceness
            os.setpriority(os.PRIO_PROCESS, self._popen.pid, NICENESS)
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="napari-subpixel-training", daemon=True)
        self._reader.start()

    def events(self, stop: threading.Event) -> Iterator[Happened | None]:
        """Yield what happens, and None every `POLL_S` where nothing does, until the process ends."""
        patience = PATIENCE_S
        while True:
            if stop.is_set():
                self.ask_to_stop()
                if patience < 0:
                    self._popen.kill()
            try:
                line = self._lines.get(timeout=POLL_S)
            except queue.Empty:
                patience -= POLL_S * stop.is_set()
                yield None
                continue
            if line is None:
                return
            with suppress(ValueError):
                fields = json.loads(line)
                yield Happened(fields.pop("event"), fields)

    def ask_to_stop(self) -> None:
        """Close the standard input of the process: it keeps what is done, and ends."""
        with suppress(OSError):
            assert self._popen.stdin is not None
            self._popen.stdin.close()

    def end(self) -> None:
        """Wait a little until it has ended, else end it."""
        self.ask_to_stop()
        try:
            self._popen.wait(CLOSING_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._reader.join()
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    def status(self) -> int:
        """Return the exit status, once it has ended."""
        return self._popen.wait()

    def fault(self) -> list[str]:
        """Return the last lines of what it said on standard error."""
        self._said.seek(0)
        return self._said.read().decode(errors="replace").splitlines()[-FAULT_LINES:]

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self._lines.put(line)
        self._lines.put(None)


@contextmanager
def _process(arguments: list[str], said: Path) -> Iterator[_Process]:
    with said.open("w+b") as file:
        process = _Process(arguments, file)
        try:
            yield process
        finally:
            process.end()
