"""What a movie's file says of the camera that took it: names and settings, by the program that wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from napari_subpixel.stacks.stack import Stack
from napari_subpixel.stacks.tiffs import MICRO_MANAGER

#: Characters of a description that are read.
MAX_DESCRIPTION = 1 << 20
#: Names of entries that are of a camera.
OF_CAMERAS = re.compile(r"camera|detector|gain|multipl", re.IGNORECASE)
#: Elements of OME-XML that are of a camera.
ELEMENTS = re.compile(r"<(?:\w+:)?(Detector(?:Settings)?)\b([^>]*)>")
#: An attribute of such an element, and its value.
ATTRIBUTES = re.compile(r"(\w+)\s*=\s*[\"']([^\"']*)[\"']")
#: A line of ImageJ's text.
LINE = re.compile(r"^\s*([^=\n]{1,80}?)\s*=\s*([^\n]{1,200}?)\s*$", re.MULTILINE)


def camera_notes(stack: Stack) -> dict[str, str]:
    """Return what the first TIFF file of a movie says of its camera, by the names of the entries.

    Parameters
    ----------
    stack : Stack

    Returns
    -------
    dict of str to str
        Empty for other files, and where nothing is said.
    """
    import tifffile

    if not stack.files:
        return {}
    try:
        with tifffile.TiffFile(stack.files[0]) as file:
            page = file.pages[0]
            if not isinstance(page, tifffile.TiffPage):
                return {}
            about = page.tags.valueof(MICRO_MANAGER)
            texts = [page.description[:MAX_DESCRIPTION]]
            texts += [str((file.imagej_metadata or {}).get("Info", ""))[:MAX_DESCRIPTION]] if file.is_imagej else []
            notes = dict(_of_micro_manager(about)) if isinstance(about, Mapping) else {}
    except Exception:  # whatever a damaged header makes of it, the movie itself could be opened
        return {}
    for text in texts:
        notes |= _of_ome(text) if "<" in text[:200] else _of_lines(text)
    return notes


def _of_micro_manager(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in about.items():
        # Newer versions write each property as a mapping.
        value = value.get("PropVal", value) if isinstance(value, Mapping) else value
        if OF_CAMERAS.search(name) and isinstance(value, str | int | float):
            yield name, str(value)


def _of_ome(text: str) -> dict[str, str]:
    return {
        f"{element} {name}": value
        for element, attributes in ELEMENTS.findall(text)
        for name, value in ATTRIBUTES.findall(attributes)
    }


def _of_lines(text: str) -> dict[str, str]:
    return {name: value for name, value in LINE.findall(text) if OF_CAMERAS.search(name)}
