"""A choice whose entries keep the order in which they are given."""

from __future__ import annotations

from magicgui.widgets import ComboBox


class OrderedChoice(ComboBox):
    """A combo box that keeps the order of its choices; magicgui's appends new ones at the end."""

    def reset_choices(self, *_: object) -> None:
        """List the choices again; the chosen one stays chosen if it is still there."""
        chosen = self.value if len(self) else None
        with self.changed.blocked():
            self.native.clear()
            super().reset_choices()
            if chosen in self.choices:
                self.value = chosen
        if chosen is not None and self.value != chosen:
            self.changed.emit(self.value)
