"""The settings of a panel when it was last used, kept for the next session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_subpixel._util import records
from napari_subpixel._util.files import make_folder
from napari_subpixel._util.user_folder import user_root
from napari_subpixel.errors import InputError
from napari_subpixel.widgets.controls.messages import reported


def last_settings_file() -> Path:
    """Return the file with the settings of every panel when it was last used."""
    return user_root() / "last-settings.yaml"


def remember(panel: str, settings: Mapping[str, Any]) -> None:
    """Keep the settings of a panel.

    Parameters
    ----------
    panel : str
        Its name.
    settings : mapping
        Numbers and texts by name.
    """
    path = last_settings_file()
    with reported():
        make_folder(path.parent)
        records.write_section(path, panel, settings)


def recall(panel: str, controls: Mapping[str, Callable[[Any], object]]) -> None:
    """Set the controls of a panel to what they were when it was last used, as far as that is still possible.

    Parameters
    ----------
    panel : str
        Its name.
    controls : mapping of str to callable
        What sets each, by the name of the setting.
    """
    if not last_settings_file().is_file():
        return
    with suppress(InputError):  # there are none of this panel, or somebody edited the file
        for name, value in records.read_section(last_settings_file(), panel).items():
            # A choice that is not offered any more, or a number that is none, leaves the control as it is.
            with suppress(LookupError, TypeError, ValueError):
                controls[name](value)
