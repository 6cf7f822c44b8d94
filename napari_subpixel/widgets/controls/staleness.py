"""Whether the results that a widget shows are up to date, and what changed since."""

from __future__ import annotations

from qtpy.QtCore import Signal

from napari_subpixel.widgets.controls.words import Colour, Words

# What may change after results were made, as the line says that reports them out of date.
#: Threshold and filter of the points.
SHOWN_POINTS = "the shown points"
#: The points themselves, or their pixel size.
POINTS = "the points"
#: The form.
SETTINGS = "the settings above"


class Outdated(Words):
    """A line that says what changed since the shown results were requested; hidden while nothing did.

    Parameters
    ----------
    again : str
        What to do about it.

    Attributes
    ----------
    current_changed : Signal(bool)
        Whether the results are up to date, when that may have changed.
    since_shown, since_latest : list of str
        What changed since the shown results were requested, and since the latest work began.
    """

    current_changed = Signal(bool)

    def __init__(self, again: str = "Evaluate again") -> None:
        super().__init__(colour=Colour.WARNING)
        self._again = again
        self.since_shown: list[str] = []
        self.since_latest: list[str] = []
        self.hide()

    @property
    def current(self) -> bool:
        """Whether nothing changed since the shown results were requested."""
        return not self.since_shown

    def began(self) -> None:
        """Note that work begins on the present state."""
        self.since_latest = []

    def delivered(self) -> None:
        """Note that the results of the latest work are shown; changes during that work make them out of date."""
        self.since_shown = list(self.since_latest)
        self._show_changes()

    def note(self, what: str) -> None:
        """Note that something changed."""
        for changes in (self.since_shown, self.since_latest):
            if what not in changes:
                changes.append(what)
        self._show_changes()

    def _show_changes(self) -> None:
        self.setText(f"Out of date: {' and '.join(self.since_shown)} changed. {self._again}.")
        self.setVisible(not self.current)
        self.current_changed.emit(self.current)
