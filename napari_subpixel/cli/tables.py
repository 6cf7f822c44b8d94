"""What commands print on standard output: text tables, sections, and JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from napari_subpixel._util.words import in_words

#: Characters of a line of text that is read from top to bottom.
WIDTH = 100


def text_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return lines of columns, each as wide as its widest cell.

    Examples
    --------
    >>> print(text_table(["name", "gain"], [["a long one", 1.5], ["b", "-"]]))
    name        gain
    a long one  1.5
    b           -
    """
    lines = [[in_words(cell) for cell in line] for line in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def sections(named: Mapping[str, Mapping[str, Any]]) -> str:
    """Return headed blocks of lines, a name and its value each; what has no value is left out.

    Examples
    --------
    >>> print(sections({"movie": {"frames": 20, "made by": None}, "camera": {}}))
    movie
      frames  20
    """
    blocks = []
    for heading, fields in named.items():
        there = {name: value for name, value in fields.items() if value not in (None, "", [], (), {})}
        width = max(map(len, there), default=0)
        lines = [_folded(f"  {name.ljust(width)}  ", in_words(value)) for name, value in there.items()]
        if lines:
            blocks.append("\n".join([heading, *lines]))
    return "\n\n".join(blocks)


def print_json(document: Any) -> None:
    """Print one JSON document on standard output; what is no number is null."""
    print(json.dumps(_finite(document), indent=1, allow_nan=False, default=str))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value


def _folded(start: str, text: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
