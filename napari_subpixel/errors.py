"""What the program says when its input is at fault."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """The user's input cannot be used; the message, one line, names it and says what was found."""


class AxesError(InputError):
    """An image has other axes than those of a movie: colours, channels, or depth beside time."""


class PixelSizeError(InputError):
    """Pixels and nm must be converted, and nothing says how wide a pixel is."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def shown(value: object) -> str:
    """Return what was found in a form that fits on the line of a message: an array by its shape."""
    shape = getattr(value, "shape", None)
    return f"an array of shape {shape}" if shape else " ".join(repr(value).split())
