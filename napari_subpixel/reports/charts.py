"""Plots: bars, lines and bands on axes with round ticks, and their SVG text. The same numbers give the same text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Width of a plot, in pixels of the screen.
WIDTH = 460
#: Height of a plot, in pixels of the screen.
HEIGHT = 290
#: Room around the axes: left, right, top, bottom.
MARGINS = (64, 16, 30, 44)
#: Colours that people with colour blindness tell apart (Okabe & Ito, Color Universal Design, 2008).
BLUE, VERMILION, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#9aa0a6"
#: Most points of a line: more are not seen.
MAX_POINTS = 1200
#: Ticks along an axis, about.
N_TICKS = 5


@dataclass(frozen=True, eq=False)
class Bars:
    """A histogram: counts between edges."""

    edges: ArrayLike
    counts: ArrayLike
    colour: str = GREY
    label: str = ""


@dataclass(frozen=True, eq=False)
class Line:
    """A line through points, with a band from `low` to `high` where both are given."""

    x: ArrayLike
    y: ArrayLike
    colour: str = BLUE
    label: str = ""
    dash: str = ""
    width: float = 1.6
    low: ArrayLike | None = None
    high: ArrayLike | None = None


@dataclass(frozen=True)
class Mark:
    """A vertical line at a value."""

    x: float
    label: str = ""
    colour: str = VERMILION


@dataclass(frozen=True)
class _Axes:
    """From values to pixels."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, values: ArrayLike) -> NDArray[np.float64]:
        low, high = self.x
        width = WIDTH - MARGINS[0] - MARGINS[1]
        return MARGINS[0] + (np.asarray(values, np.float64) - low) / (high - low) * width

    def up(self, values: ArrayLike) -> NDArray[np.float64]:
        low, high = self.y
        height = HEIGHT - MARGINS[2] - MARGINS[3]
        share = np.clip((np.asarray(values, np.float64) - low) / (high - low), -0.02, 1.02)
        return HEIGHT - MARGINS[3] - share * height


@dataclass(frozen=True, eq=False)
class Chart:
    """What is drawn on which axes, for a page or a panel.

    Attributes
    ----------
    title, x_label, y_label : str
    parts : sequence of Bars, Line or Mark
        Drawn in this order.
    x_range, y_range : (float, float), optional
        Ends of the axes; those of the parts where not given.
    """

    title: str
    x_label: str
    y_label: str
    parts: Sequence[Bars | Line | Mark]
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None

    @property
    def ranges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ends of the axes along x and y."""
        return _ranges(self.parts, self.x_range, self.y_range)

    def svg(self) -> str:
        """Return the plot as an SVG element."""
        axes = _Axes(*self.ranges)
        body = "".join(_drawn(part, axes) for part in self.parts)
        width, height = WIDTH - MARGINS[0] - MARGINS[1], HEIGHT - MARGINS[2] - MARGINS[3]
        inside = f'<rect x="{MARGINS[0]}" y="{MARGINS[2]}" width="{width}" height="{height}"/>'
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">'
            f'<text class="title" x="{MARGINS[0]}" y="18">{escape(self.title)}</text>'
            f"{_ticks(axes, self.x_label, self.y_label)}"
            f'<clipPath id="inside">{inside}</clipPath><g clip-path="url(#inside)">{body}</g>'
            f"{_legend(self.parts)}</svg>"
        )


def _ranges(
    parts: Sequence[Any], x_range: tuple[float, float] | None, y_range: tuple[float, float] | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    x = [np.asarray(part.edges if isinstance(part, Bars) else part.x, np.float64).ravel() for part in parts]
    y = [np.zeros(1)] if any(isinstance(part, Bars) for part in parts) else []
    for part in parts:
        for values in (getattr(part, name, None) for name in ("counts", "y", "low", "high")):
            if values is not None:
                y.append(np.asarray(values, np.float64).ravel())
    return x_range or _span(x, 0.0), y_range or _span(y, 0.08)


def _span(values: Sequence[NDArray[np.float64]], room: float) -> tuple[float, float]:
    joined = np.concatenate(values) if values else np.zeros(1)
    joined = joined[np.isfinite(joined)]
    low, high = (float(joined.min()), float(joined.max())) if len(joined) else (0.0, 1.0)
    if high <= low:
        return low - 0.5, high + 0.5
    return (low - room * (high - low) if low < 0 or low > 0 else low), high + room * (high - low)


def _drawn(part: Any, axes: _Axes) -> str:
    if isinstance(part, Bars):
        across, up = axes.across(part.edges), axes.up(part.counts)
        bottom = float(axes.up(max(axes.y[0], 0.0)))
        points = [f"M{across[0]:.1f} {bottom:.1f}"]
        points += [f"V{y:.1f}H{x:.1f}" for y, x in zip(up, across[1:], strict=True)]
        return f'<path d="{"".join(points)}V{bottom:.1f}Z" fill="{part.colour}" fill-opacity="0.55"/>'
    if isinstance(part, Mark):
        x = float(axes.across(part.x))
        return (
            f'<path d="M{x:.1f} {MARGINS[2]}V{HEIGHT - MARGINS[3]}" stroke="{part.colour}" stroke-width="1.4" '
            'stroke-dasharray="5 4"/>'
        )
    keep = thinned(len(np.atleast_1d(part.x)))
    across = axes.across(part.x)[keep]
    band = ""
    if part.low is not None and part.high is not None:
        low, high = axes.up(part.low)[keep], axes.up(part.high)[keep]
        there = _points(across, high) + " L" + _points(across[::-1], low[::-1])
        band = f'<path d="M{there}Z" fill="{part.colour}" fill-opacity="0.22"/>'
    dash = f' stroke-dasharray="{part.dash}"' if part.dash else ""
    line = _points(across, axes.up(part.y)[keep])
    return f'{band}<path d="M{line}" fill="none" stroke="{part.colour}" stroke-width="{part.width}"{dash}/>'


def thinned(n: int) -> NDArray[np.int64]:
    """Return which of a line's points are drawn: `MAX_POINTS` at most.

    Examples
    --------
    >>> thinned(3).tolist()
    [0, 1, 2]
    """
    return np.unique(np.linspace(0, n - 1, min(n, MAX_POINTS)).round().astype(np.int64))


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    return " ".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(a) and np.isfinite(b))


def _ticks(axes: _Axes, x_label: str, y_label: str) -> str:
    left, right, top, bottom = MARGINS[0], WIDTH - MARGINS[1], MARGINS[2], HEIGHT - MARGINS[3]
    parts = [f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#5f6368"/>']
    for value in round_ticks(*axes.x):
        x = float(axes.across(value))
        parts.append(f'<path d="M{x:.1f} {bottom}v4" stroke="#5f6368"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{number_text(value)}</text>')
    for value in round_ticks(*axes.y):
        y = float(axes.up(value))
        parts.append(f'<path d="M{left - 4} {y:.1f}H{right}" stroke="#5f6368" stroke-opacity="0.15"/>')
        parts.append(f'<text x="{left - 7}" y="{y + 4:.1f}" text-anchor="end">{number_text(value)}</text>')
    parts.append(f'<text x="{(left + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>')
    middle = (top + bottom) / 2
    parts.append(
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(y_label)}</text>'
    )
    return "".join(parts)


def round_ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two ends, about five.

    Examples
    --------
    >>> round_ticks(0.3, 9.7)
    [2.0, 4.0, 6.0, 8.0]
    """
    rough = (high - low) / N_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(times * power for times in (1, 2, 2.5, 5, 10) if times * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def value_text(value: float, error: float | None = None) -> str:
    """Return a measured number with its error, to the error's first two digits.

    Examples
    --------
    >>> value_text(10.172, 0.034), value_text(1234.5, 60.0), value_text(8.25)
    ('10.172 ± 0.034', '1,234 ± 60', '8.25')
    """
    if error is None or not error > 0:
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:,.{digits}f} ± {error:,.{digits}f}"


def number_text(value: float) -> str:
    """Return a number as a tick has it: short, with thousands separated.

    Examples
    --------
    >>> number_text(20000.0), number_text(0.025), number_text(-3.0)
    ('20,000', '0.025', '-3')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def _legend(parts: Sequence[Any]) -> str:
    named = [part for part in parts if part.label]
    lines = []
    for k, part in enumerate(named):
        y = MARGINS[2] + 12 + 15 * k
        is_dashed = isinstance(part, Mark) or (isinstance(part, Line) and part.dash)
        dash = ' stroke-dasharray="5 4"' if is_dashed else ""
        width = 8 if isinstance(part, Bars) else 2
        x = WIDTH - MARGINS[1] - 8
        lines.append(
            f'<text class="key" x="{x - 26}" y="{y + 4}" text-anchor="end">{escape(part.label)}</text>'
            f'<path d="M{x - 20} {y}h20" stroke="{part.colour}" stroke-width="{width}"{dash}/>'
        )
    return "".join(lines)
