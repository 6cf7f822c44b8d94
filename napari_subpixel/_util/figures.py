"""Figures and their files, with Matplotlib, which is optional and loaded only when a figure is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel._version import __version__
from napari_subpixel.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Kinds of file that a figure can be written to.
SUFFIXES = (".png", ".pdf", ".svg")
#: Resolution of a bitmap, in dots per inch.
DOTS_PER_INCH = 130
#: Two colours that people with colour blindness tell apart (Okabe & Ito, Color Universal Design, 2008).
BLUE, VERMILION = "#0072b2", "#d55e00"


def new_figure(width_inch: float, height_inch: float) -> Figure:
    """Return an empty figure, or raise `InputError` where Matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError('a plot needs Matplotlib: pip install "napari-subpixel[plots]"') from None
    return Figure(figsize=(width_inch, height_inch), layout="constrained")


def check_plot_output(path: str | Path, *, overwrite: bool) -> None:
    """Raise `InputError` unless a plot can be made and may be written there."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: a plot's name must end in {', '.join(SUFFIXES)}")
    check_can_write(path, overwrite=overwrite)
    new_figure(1.0, 1.0)


def save_figure(figure: Figure, path: str | Path, *, title: str, overwrite: bool = False) -> None:
    """Write a figure; its suffix chooses the kind of file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path-like
        Ends in one of `SUFFIXES`.
    title : str
        Goes into the file, with the program's version.
    overwrite : bool
        Replace an existing file.
    """
    check_plot_output(path, overwrite=overwrite)
    kind = Path(path).suffix.lower().removeprefix(".")
    with atomic_output(path) as draft:
        about = {"Title": f"{title} (napari-subpixel {__version__})"}
        figure.savefig(draft, format=kind, dpi=DOTS_PER_INCH, metadata=about)
