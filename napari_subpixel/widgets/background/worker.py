"""Background work: a generator on its own thread, its results delivered on the viewer's thread."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, ClassVar, TextIO

from qtpy.QtCore import QObject, Qt, Signal

from napari_subpixel.widgets.controls.messages import report, show_warning

#: How long a closing viewer waits for work that was asked to stop, in seconds.
PATIENCE_S = 30.0


class Work(QObject):
    """A generator that runs on a thread, and signals that arrive on the thread that made it.

    Every value it yields, its return value, warnings raised meanwhile and its error each come as a signal. It can be
    stopped wherever it yields; then it is closed on its own thread, so that it releases what it holds.

    napari's own `thread_worker` is not used, because two of its workers at a time leave `warnings.showwarning` set to a
    worker that is gone, and because it does not close a generator that was stopped.

    Parameters
    ----------
    function : callable
        Returns the generator; called on the thread, so that slow imports do not hold up the viewer.
    *arguments
        Its arguments.
    widget : str
        The widget whose advice an error is shown with, where it has its own.

    Attributes
    ----------
    widget : str
        As given.
    yielded, returned : Signal(object)
        What the generator yields and returns.
    failed : Signal(object)
        The exception that ended it, which is also shown to the user.
    cancelled : Signal()
        It was stopped before its end.
    finished : Signal()
        It ended, one way or another; the last signal.
    """

    yielded = Signal(object)
    returned = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    finished = Signal()
    _posted = Signal(str, object)

    #: Work under way, kept here so that it does not vanish with the widget that started it.
    running: ClassVar[set[Work]] = set()

    def __init__(
        self, function: Callable[..., Generator[Any, None, Any]], *arguments: object, widget: str = ""
    ) -> None:
        super().__init__()
        self.widget = widget
        self._function, self._arguments = function, arguments
        self._stop = threading.Event()
        self._abandoned = False
        self._warned: set[str] = set()
        name = getattr(function, "__name__", "work")
        self._thread = threading.Thread(target=self._run, name=f"napari-subpixel-{name}", daemon=True)
        self._posted.connect(self._receive, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Begin."""
        Work.running.add(self)
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to stop at its next yield; what it has yielded is still delivered."""
        self._stop.set()

    def abandon(self) -> None:
        """Stop it, wait until its thread has ended, and deliver nothing more: for a viewer that closes."""
        self._abandoned = True
        self.cancel()
        self._thread.join(PATIENCE_S)
        if (
            not self._thread.is_alive()
        ):  # else the last reference would go on the thread, where no QObject may be deleted
            Work.running.discard(self)

    @property
    def is_cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    @property
    def is_running(self) -> bool:
        """Whether it has begun and its end has not been delivered."""
        return self in Work.running

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with _relayed_warnings(lambda message: self._post("warning", message)):
            try:
                ending = self._exhaust()
            except BaseException as error:  # delivered, whatever it is
                ending = "failed", error
        self._post(*ending)

    def _exhaust(self) -> tuple[str, object]:
        with closing(self._function(*self._arguments)) as generator:
            while not self._stop.is_set():
                try:
                    self._post("yielded", next(generator))
                except StopIteration as end:
                    return "returned", end.value
        return "cancelled", None

    def _post(self, kind: str, value: object) -> None:
        if not self._abandoned:
            with suppress(RuntimeError):  # the program has ended, and Qt deleted what it had
                self._posted.emit(kind, value)

    # -- on the viewer's thread ---------------------------------------------------------------------------------------

    def _receive(self, kind: str, value: object) -> None:
        if self._abandoned:
            return
        if kind == "yielded":
            self.yielded.emit(value)
        elif kind == "warning":
            self._warn(str(value))
        else:
            self._end(kind, value)

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            show_warning(message)

    def _end(self, kind: str, value: object) -> None:
        self._thread.join()
        Work.running.discard(self)
        if kind == "returned":
            self.returned.emit(value)
        elif kind == "cancelled":
            self.cancelled.emit()
        elif isinstance(value, BaseException):
            report(value, self.widget)
            self.failed.emit(value)
        self.finished.emit()


class WorkGroup:
    """Work that ends with something: with a widget, or a layer."""

    def __init__(self) -> None:
        self._works: list[Work] = []

    def begin(self, work: Work) -> Work:
        """Start work; connect its signals first."""
        self._works.append(work)
        works = self._works
        # A slot that held the work would keep it, and the files that it opened, alive for ever.
        work.finished.connect(lambda: _drop_ended(works))
        work.start()
        return work

    def __iter__(self) -> Iterator[Work]:
        """Give the work that is running."""
        return iter(list(self._works))

    def abandon(self) -> None:
        """Stop all of it, wait until it has ended, and deliver nothing more."""
        for work in self:
            work.abandon()
        self._works.clear()  # else each is kept by the slot that would have dropped it


def _drop_ended(works: list[Work]) -> None:
    works[:] = [work for work in works if work.is_running]


# -- warnings of other threads ------------------------------------------------------------------------------------

_lock = threading.Lock()
_relays: dict[int, Callable[[str], None]] = {}
_before = warnings.showwarning


@contextmanager
def _relayed_warnings(relay: Callable[[str], None]) -> Iterator[None]:
    """Send warnings raised on this thread, and on threads that it starts, to `relay` instead of to the screen.

    `warnings.catch_warnings` would change the hook for all threads, and put back a wrong one where two overlap.
    """
    global _before
    ident = threading.get_ident()
    with _lock:
        if not _relays:
            _before, warnings.showwarning = warnings.showwarning, _show_or_relay
        _relays[ident] = relay
    try:
        yield
    finally:
        with _lock:
            del _relays[ident]
            if not _relays and warnings.showwarning is _show_or_relay:
                warnings.showwarning = _before


def _show_or_relay(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    relay = None
    if threading.current_thread() is not threading.main_thread():
        # A thread that the work started, such as the one that reads ahead, is not registered: take the latest work's.
        relay = _relays.get(threading.get_ident()) or next(reversed(_relays.values()), None)
    if relay is not None:
        relay(str(message))
    else:
        _before(message, category, filename, lineno, file, line)
