"""Lines of text in a panel: as narrow as it is, and coloured so that they are legible on every theme."""

from __future__ import annotations

import re
from enum import Enum

from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, QSize
from qtpy.QtWidgets import QLabel

#: Text on a background of at least this contrast (WCAG 2.1, level AA) is legible.
LEAST_CONTRAST = 4.5
#: Where a long name may be broken: after these characters, but not at the point of a number.
BREAKABLE = re.compile(r"(?<=[_\-./\\])(?<!\d\.)(?=\w)")
#: Of no width; a line may be broken there.
BREAK = "\u200b"
#: The least width of a line, in screen pixels: it never makes a panel wider.
LEAST_WIDTH = 60


class Colour(Enum):
    """What a colour of text says, with the colour on a dark and on a light background."""

    WARNING = "#FFB000", "#7A4300"
    REFUSAL = "#FF9E80", "#A32400"
    DONE = "#5FD38D", "#0B5D33"
    FALSE_POSITIVES = "#FF8A3D", "#9C3F00"
    MISSES = "#56B4E9", "#0B5A86"

    def on(self, background: str) -> str:
        """Return the colour on a background, the more legible of the two."""
        return max(self.value, key=lambda colour: contrast(colour, background))


def contrast(colour: str, background: str) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.1).

    Examples
    --------
    >>> round(contrast("#ffffff", "#000000"), 1)
    21.0
    """
    lighter, darker = sorted((_luminance(colour), _luminance(background)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour.lstrip("#")[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def background_now() -> str:
    """Return the background of the present viewer's panels, as #RRGGBB."""
    import napari
    from napari.settings import get_settings

    viewer = napari.current_viewer()
    theme = viewer.theme if viewer is not None else get_settings().appearance.theme
    return background_of(theme)


def background_of(theme: str) -> str:
    """Return the background of a theme's panels, as #RRGGBB."""
    red, green, blue = get_theme(theme).background.as_rgb_tuple()[:3]
    return f"#{red:02x}{green:02x}{blue:02x}"


class Words(QLabel):
    """Text that is wrapped anywhere it can be, long file names included, so that it never widens its panel.

    Parameters
    ----------
    text : str
    colour : Colour, optional
        Follows the theme; the theme's own if not given.
    """

    def __init__(self, text: str = "", colour: Colour | None = None) -> None:
        super().__init__()
        self._text, self._colour, self._styled = "", colour, ""
        self.setWordWrap(True)
        self.setText(text)
        self._recolour()

    def setText(self, text: str) -> None:  # noqa: N802 (Qt's name)
        """Show a text."""
        self._text = text
        super().setText(text if "<" in text else BREAKABLE.sub(BREAK, text))

    def text(self) -> str:
        """Return the text as it was given."""
        return self._text

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Ask for little width: the text is broken where it has to be."""
        hint = super().minimumSizeHint()
        return QSize(min(hint.width(), LEAST_WIDTH), hint.height())

    def set_colour(self, colour: Colour | None) -> None:
        """Show the text in another colour."""
        self._colour = colour
        self._recolour()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.PaletteChange) and hasattr(self, "_styled"):
            self._recolour()

    def showEvent(self, event: QEvent) -> None:  # noqa: N802 (Qt's name)
        """Follow a theme that was chosen while the text was hidden."""
        super().showEvent(event)  # type: ignore[arg-type] # a QShowEvent
        self._recolour()

    def _recolour(self) -> None:
        style = "" if self._colour is None else f"color: {self._colour.on(background_now())}"
        if style != self._styled:  # setting it is a change of style, too
            self._styled = style
            self.setStyleSheet(style)


def breakable(words: str) -> str:
    """Return a text whose paths can wrap, so that a long one does not widen the dock.

    Examples
    --------
    >>> breakable("data/cells").split(chr(0x200B))
    ['data/', 'cells']
    """
    for sign in "/\\_":
        words = words.replace(sign, sign + "\u200b")
    return words
