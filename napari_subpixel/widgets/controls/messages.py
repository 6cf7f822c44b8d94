"""What the plugin shows its user: every refusal of the core, with what to do about it, as a notification."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import notification_manager, show_error, show_info, show_warning

from napari_subpixel.errors import InputError
from napari_subpixel.widgets.controls.advice import advised

#: What a user can mend: shown as text. Everything else is a fault of the program, shown with its traceback.
REFUSALS = (InputError, OSError, MemoryError)

__all__ = ["REFUSALS", "report", "reported", "show_error", "show_info", "show_warning"]


def report(error: BaseException) -> None:
    """Show an error: a refusal in one line, a fault of the program with its traceback."""
    if isinstance(error, REFUSALS):
        show_error(advised(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


@contextmanager
def reported() -> Iterator[None]:
    """Show a refusal raised inside, and go on after the block."""
    try:
        yield
    except REFUSALS as error:
        report(error)
