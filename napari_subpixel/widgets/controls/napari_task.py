"""A run as napari knows it: a bar in its activity dock, and a task that it asks about before it closes."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from napari_subpixel.widgets.controls.progress import ProgressRow

if TYPE_CHECKING:
    from napari import Viewer

#: Who does the work, in napari's question before it closes.
PROVIDER = "Subpixel"


class NapariTask:
    """Keeps napari informed of work whose progress a panel shows.

    Parameters
    ----------
    row : ProgressRow
        Shows the progress; the task ends with it.
    viewer : napari.Viewer
    words : str
        What is being done.

    Attributes
    ----------
    words : str
        As given; may be set before work begins.
    """

    def __init__(self, row: ProgressRow, viewer: Viewer, words: str) -> None:
        self._row, self._viewer, self.words = weakref.ref(row), weakref.ref(viewer), words
        self._bar: Any = None
        self._task: Any = None
        self._moving = False
        # These keep the task, which holds neither row nor viewer.
        row.began.connect(lambda total: self._begin(total))
        row.moved.connect(lambda done: self._move(done))
        row.ended.connect(lambda: self._end())
        row.destroyed.connect(lambda *_: self._end())

    def _begin(self, total: int) -> None:
        from napari.utils import progress

        if self._bar is not None:
            self._bar.reset(total)
            self._bar.total = total
            return
        self._bar = progress(total=total, desc=self.words)
        window = self._window()
        if window is not None:
            from napari.utils.task_status import Status

            self._task = window._register_task_status(PROVIDER, Status.BUSY, self.words, self._cancel)

    def _move(self, done: int) -> None:
        bar = self._bar
        if bar is None or self._moving:
            return
        self._moving = True  # napari handles further events while its bar moves, progress among them
        try:
            bar.update(done - bar.n)
        finally:
            self._moving = False

    def _end(self) -> None:
        bar, self._bar = self._bar, None
        task, self._task = self._task, None
        if bar is not None:
            bar.close()
        window = self._window()
        if task is not None and window is not None:
            from napari.utils.task_status import Status

            window._update_task_status(task, Status.COMPLETED)

    def _cancel(self) -> bool:
        """Stop the work, as *Cancel* does; napari calls this when it closes, also where the work is over."""
        row = self._row()
        if row is None or self._task is None:
            return False
        row.stop()
        return True

    def _window(self) -> Any:
        """Return the viewer's window, unless it is gone or does not keep tasks."""
        viewer = self._viewer()
        window = getattr(viewer, "window", None)
        return window if hasattr(window, "_register_task_status") else None
