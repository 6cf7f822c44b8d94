"""Notifications of the plugin: a refusal of the core is shown with advice on what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import notification_manager, show_error, show_info, show_warning

from napari_subpixel.errors import InputError
from napari_subpixel.widgets.controls.advice import advised

#: Errors that a user can fix: shown with advice. Any other is a bug, shown with its traceback.
REFUSALS = (InputError, OSError, MemoryError)

__all__ = ["REFUSALS", "report", "reported", "show_error", "show_info", "show_warning"]


def report(error: BaseException, widget: str = "") -> None:
    """Show an error: a refusal on one line with a widget's advice, a bug with its traceback."""
    if isinstance(error, REFUSALS):
        show_error(advised(error, widget))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


@contextmanager
def reported(widget: str = "") -> Iterator[None]:
    """Show a refusal raised in the block, with a widget's advice, and continue after it."""
    try:
        yield
    except REFUSALS as error:
        report(error, widget)
