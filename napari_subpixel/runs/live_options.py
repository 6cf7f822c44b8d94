"""How a movie is followed while it is written; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Follow:
    """How a movie is followed while it is written.

    Attributes
    ----------
    idle_s : float
        Seconds without a further byte after which it is taken to be complete; so long it may take to appear, too.
    """

    idle_s: float = 60.0
