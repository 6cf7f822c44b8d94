"""The protocol file beside a text table: what the table itself cannot hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_subpixel._util.files import protocol_file
from napari_subpixel._util.records import naming
from napari_subpixel.formats import notes


def outputs(path: str | Path) -> tuple[Path, ...]:
    """Return the files that a csv table is written to, the table first."""
    return Path(path), protocol_file(path)


def csv_about(path: str | Path) -> dict[str, Any]:
    """Return what our own protocol file says of a table; nothing where there is none or it is another program's."""
    return read_protocol(Path(path))[0]


def read_protocol(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what our own protocol file says, and its stand-ins; nothing where there is none or it is another's.

    Parameters
    ----------
    path : Path
        The table.

    Raises
    ------
    InputError
        If it is ours and damaged.
    """
    file = protocol_file(path)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}, {}
    if not isinstance(values, dict) or values.get("program") != notes.PROGRAM:
        return {}, {}
    with naming(file):
        return notes.to_about(values), notes.named_entries(values.get("stand_ins"), "stand_ins")
