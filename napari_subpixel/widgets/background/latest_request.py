"""Requests processed one at a time, of which only the latest waits."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar, cast

from qtpy.QtCore import QObject, QTimer, Signal

from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.controls.progress import ProgressRow

#: Progress is shown for work that takes longer than this, in milliseconds.
PATIENCE_MS = 300


class Request(Protocol):
    """Something to be done in the background."""

    @property
    def by_hand(self) -> bool:
        """Whether the user asked for it, so that only another request of the user may replace it."""

    @property
    def words(self) -> str:
        """What is being done, for the progress text."""

    def work(self) -> Work:
        """Return the work, on the present state of the layers."""


class Owner(Protocol):
    """What work ends with."""

    def begin(self, work: Work) -> Work:
        """Start work that ends with this."""


R = TypeVar("R", bound=Request)


class LatestWork(QObject, Generic[R]):
    """One piece of work at a time: a request that comes meanwhile waits, and replaces one that waited before.

    A float that the work yields is the share of it that is done, from 0 to 1.

    Parameters
    ----------
    owner : QObject
        A panel, or whatever else begins work that ends with it.
    progress : ProgressRow, optional
        Shown for work that takes long, with a button that stops it.

    Attributes
    ----------
    began : Signal(object)
        A request whose work begins.
    said : Signal(str)
        What the work is at, where it yields that.
    returned : Signal(object, object)
        A request and what its work returned.
    failed : Signal(object)
        The error that ended the work.
    """

    began = Signal(object)
    said = Signal(str)
    returned = Signal(object, object)
    failed = Signal(object)

    def __init__(self, owner: Owner, progress: ProgressRow | None = None) -> None:
        super().__init__(cast(QObject, owner))
        self._owner, self._progress = owner, progress
        self._work: Work | None = None
        self._waiting: R | None = None
        self._wanted = True
        self._share: object = None
        self.request: R | None = None
        self._patience = QTimer(self, singleShot=True, interval=PATIENCE_MS)
        self._patience.timeout.connect(self._show_progress)
        if progress is not None:
            progress.cancel_clicked.connect(self.cancel)

    def ask(self, request: R) -> None:
        """Begin a request now, or when the present work is done."""
        if self._work is None:
            self._begin(request)
        elif request.by_hand or self._waiting is None or not self._waiting.by_hand:
            self._waiting = request

    def cancel(self) -> None:
        """Stop the present work, forget what waits, and deliver nothing more, not even a result on its way."""
        self._waiting, self._wanted = None, False
        if self._work is not None:
            self._work.cancel()

    def _begin(self, request: R) -> None:
        work = request.work()
        work.yielded.connect(self._show_share)
        work.returned.connect(self._deliver)
        work.failed.connect(self.failed)
        work.finished.connect(self._finished)
        self.request, self._work = request, work
        self._wanted, self._share = True, None
        self.began.emit(request)
        self._patience.start()
        self._owner.begin(work)

    def _deliver(self, value: object) -> None:
        if self._wanted:
            self.returned.emit(self.request, value)

    def _show_progress(self) -> None:
        if self.request is not None and self._progress is not None:
            self._progress.begin(0, "", f"{self.request.words} ...")
            self._show_share(self._share)

    def _show_share(self, share: object) -> None:
        if isinstance(share, str):
            self.said.emit(share)
            return
        self._share = share
        if self._progress is not None and isinstance(share, float) and share > 0:
            self._progress.bar.setRange(0, 100)
            self._progress.bar.setValue(round(100 * share))

    def _finished(self) -> None:
        self._patience.stop()
        if self._progress is not None:
            self._progress.end()
        self._work = self.request = None
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._begin(waiting)
