"""Values in words, for people: short numbers, yes and no, lists with commas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What is written where there is no value.
NOTHING = "none"


def in_words(value: Any) -> str:
    """Return a value as people write it, on one line.

    Examples
    --------
    >>> in_words(True), in_words(1 / 3), in_words(None), in_words([1, 2])
    ('yes', '0.333333', 'none', '1, 2')
    >>> in_words([[0, 20], [5, 40]]), in_words({"keep": "photons > 500", "rows": 90})
    ('0, 20; 5, 40', 'keep photons > 500, rows 90')
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {in_words(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        nested = any(isinstance(item, list | tuple | Mapping) for item in value)
        return ("; " if nested else ", ").join(map(in_words, value)) or NOTHING
    return " ".join(str(value).split())


def settings_in_words(settings: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Return settings in words on one level.

    Examples
    --------
    >>> settings_in_words({"camera": {"pixel_size_nm": 100.0}, "frames": None})
    {'camera, pixel_size_nm': '100', 'frames': 'none'}
    """
    rows: dict[str, str] = {}
    for name, value in settings.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            rows |= settings_in_words(value, f"{path}, ")
        else:
            texts = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
            rows[path] = "; ".join(value) or NOTHING if texts else in_words(value)
    return rows
