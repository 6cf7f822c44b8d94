"""The plugin's preferences, which napari keeps: *File > Preferences > Subpixel*."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from napari_subpixel._util.user_folder import FORBIDDEN
from napari_subpixel.widgets.controls.plugin import PLUGIN

#: The choice of model or device that a panel had when it was last used.
AS_LAST = "as used last"


@dataclass(frozen=True)
class Preferences:
    """What the user prefers; each field is a property of the configuration in the manifest that `CONFIGURATION` names.

    Attributes
    ----------
    model : str
        Name or path of the model of a panel that is opened, or `AS_LAST`.
    device : str
        Its device, as the panel calls it, or `AS_LAST`.
    threads : int
        Threads of a detection on the processor; 0 for as many as PyTorch takes.
    movies : str
        Folder in which movies are opened; empty for the last one.
    results : str
        Folder in which results are saved; empty for that of the movie or table.
    """

    model: str = AS_LAST
    device: str = AS_LAST
    threads: int = 0
    movies: str = ""
    results: str = ""


#: Configuration of the manifest that a preference is in.
CONFIGURATION = {
    "model": "detection",
    "device": "detection",
    "threads": "detection",
    "movies": "folders",
    "results": "folders",
}


def preferences() -> Preferences:
    """Return what the user prefers now; the defaults where this napari keeps no settings of plugins."""
    try:
        from napari.settings import get_plugin_settings

        settings = get_plugin_settings(PLUGIN)
    except (ImportError, KeyError):
        return Preferences()
    values = {field.name: getattr(getattr(settings, CONFIGURATION[field.name]), field.name)
              for field in fields(Preferences)}  # fmt: skip
    return Preferences(**values)


def results_path(name: str, source: str | Path | None = None) -> str:
    """Return where a dialog proposes to save a file: in the preferred folder, else next to what it was made from.

    Parameters
    ----------
    name : str
        Of the file.
    source : path-like, optional
        File that the result was made from, where there is one.
    """
    name = FORBIDDEN.sub("_", name)
    preferred = preferences().results.strip()
    if preferred:
        return str(Path(preferred).expanduser() / name)
    return str(Path(source).with_name(name)) if source is not None else name
