"""The user's own files: the folder that keeps their cameras and models, each under its name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from napari_subpixel._util.files import make_folder
from napari_subpixel.errors import InputError

#: Environment variable that gives another folder for the user's own files.
CONFIG = "NAPARI_SUBPIXEL_CONFIG"
#: Characters that a file name may not have on one system or another.
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
#: Names that Windows reserves for devices, with any suffix.
WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
#: Most characters in a name.
MAX_NAME_LENGTH = 100


def user_root() -> Path:
    """Return the folder of all of the user's own files, whether it exists or not."""
    import platformdirs

    given = os.environ.get(CONFIG)
    return Path(given).expanduser() if given else platformdirs.user_config_path("napari-subpixel", appauthor=False)


def user_folder(kind: str) -> Path:
    """Return the folder of the user's own files of a kind, ``cameras`` or ``models``, whether it exists or not."""
    return user_root() / kind


def made_user_folder(kind: str) -> Path:
    """Return the same folder, made if it is missing.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    folder = user_folder(kind)
    make_folder(folder)
    return folder


def checked_file_name(kind: str, name: str) -> str:
    """Return a name if it can be that of a file, on every system; `kind` says what it names, for the message.

    Raises
    ------
    InputError
        If it cannot.

    Examples
    --------
    >>> checked_file_name("camera", "our iXon")
    'our iXon'
    """
    if not name:
        raise InputError(f"the {kind} needs a name to be kept under")
    if forbidden := FORBIDDEN.search(name):
        raise InputError(f"{kind} name {name!r}: {forbidden[0]!r} cannot be in a file's name")
    if name != name.strip(" .") or WINDOWS_DEVICES.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise InputError(
            f"{kind} name {name!r} cannot be a file's name: it begins or ends with a space or a point, is longer than "
            f"{MAX_NAME_LENGTH} characters, or is the name of a device on Windows"
        )
    return name
