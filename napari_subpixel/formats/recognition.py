"""Which flavour a text table is, by its header; what is missing where it is none."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from napari_subpixel.errors import InputError
from napari_subpixel.formats.flavours import Flavour
from napari_subpixel.formats.text_table import TextTable, look

#: What a csv of drift by frame is called, and one of how long molecules are on: results, but no tables.
TRACE, TIMES = "a trace of drift", "on and off times"
#: The columns of each that must be there, and all that may be.
RESULTS = {
    TRACE: (
        {"frame", "x_nm", "y_nm", "x_error_nm", "y_error_nm"},
        {"frame", "x_nm", "y_nm", "z_nm", "x_error_nm", "y_error_nm", "z_error_nm"},
    ),
    TIMES: (
        {"first_frame", "on_frames", "off_frames_before"},
        {"first_frame", "on_frames", "off_frames_before", "dark_until_end"},
    ),
}


def result_of(header: Sequence[str]) -> str | None:
    """Return which result that is no table a header is of, one of `RESULTS`; None for any other header.

    Examples
    --------
    >>> result_of(["frame", "x_nm", "y_nm", "x_error_nm", "y_error_nm"]), result_of(["frame", "x_nm", "y_nm"])
    ('a trace of drift', None)
    """
    there = set(header)
    return next((name for name, (least, most) in RESULTS.items() if least <= there <= most), None)


def is_flavoured(path: str | Path, flavours: Sequence[Flavour]) -> bool:
    """Say whether the header of a csv table is one of these flavours', or like one with a column missing or misspelt.

    One whose unit of length must be given is none here: other programs may know it.

    Raises
    ------
    InputError
        If the file is missing, empty or no text.
    """
    header = look(path).header
    known = [flavour for flavour in flavours if flavour.lengths != "unknown"]
    return any(not f.missing_from(header) for f in known) or any(_is_alike(header, f) for f in known)


def recognised(text: TextTable, flavours: Sequence[Flavour]) -> Flavour:
    """Return the flavour of a table.

    Parameters
    ----------
    text : TextTable
        The table.
    flavours : sequence of Flavour
        What it may be.

    Raises
    ------
    InputError
        If its header is none of these; the message says what is missing from the closest ones.
    """
    path, header = text.path, text.header
    if result := result_of(header):
        raise InputError(f"{path}: holds {result} and no localizations")
    if fitting := [flavour for flavour in flavours if not flavour.missing_from(header)]:
        flavour = max(fitting, key=lambda flavour: flavour.fit(header))
        for name in flavour.known & {name for name in header if header.count(name) > 1}:
            raise InputError(f"{path}: column {name!r} is there {header.count(name)} times")
        return flavour
    found = _listed(header) + ("" if text.separator == "," else f" (separated by {text.separated_by})")
    if len(flavours) > 1 and not any(_is_alike(header, flavour) for flavour in flavours):
        first, *others = flavours
        known = f"{first.title}: {','.join(first.needed)}; {', '.join(flavour.title for flavour in others)}"
        raise InputError(f"{path}: unknown header {found}; known are {known}")
    likeness = [(_likeness(header, flavour), flavour.fit(header)[1]) for flavour in flavours]
    lacking = [_what_is_missing(header, f) for f, like in zip(flavours, likeness, strict=True) if like == max(likeness)]
    raise InputError(f"{path}: {'; '.join(lacking)}; there are {found}")


def _is_alike(header: Sequence[str], flavour: Flavour) -> bool:
    """Say whether more than half of the needed names, and more than that of frames, are alike."""
    return _likeness(header, flavour) > max(1, len(flavour.needed) / 2)


def _likeness(header: Sequence[str], flavour: Flavour) -> float:
    """Count the needed names that a header lists; one that merely looks like one counts half."""
    missing = flavour.missing_from(header)
    alike = sum(_looks_like(name, header, flavour) is not None for name in missing)
    return len(flavour.needed) - len(missing) + alike / 2


def _what_is_missing(header: Sequence[str], flavour: Flavour) -> str:
    missing = []
    for name in flavour.missing_from(header):
        like = _looks_like(name, header, flavour)
        missing.append(f"{name!r} (is it {like!r}?)" if like else repr(name))
    return f"not a {flavour.title}: missing column {', '.join(missing)}"


def _looks_like(name: str, header: Sequence[str], flavour: Flavour) -> str | None:
    """Return the name in the header that is this one, or looks like it and is no other known one."""
    if name in header:
        return name
    taken = {place.column for place in flavour.places_in(header).values()}
    by_lower_case = {n.lower(): n for index, n in enumerate(header) if index not in taken}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[close[0]] if close else None


def _listed(header: Sequence[str]) -> str:
    text = ", ".join(map(repr, header)) or "none"
    return text if len(text) <= 300 else f"{text[:300]}..."
