"""From a table to its figure: drift, filter, resolution, linking, image and report."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_subpixel import formats
from napari_subpixel._util.files import check_can_write, make_folder
from napari_subpixel._util.generators import stepwise, under_name
from napari_subpixel.analysis.beads import Beads, find_beads
from napari_subpixel.analysis.drift import estimate_drift
from napari_subpixel.analysis.drift_curve import DriftCurve, is_corrected
from napari_subpixel.analysis.filters import Filter
from napari_subpixel.analysis.linking import Linked, link
from napari_subpixel.analysis.quantities import LEFT_OUT_WHERE_0
from napari_subpixel.analysis.resolution import Resolution, resolution
from napari_subpixel.analysis.traces import trace_outputs
from napari_subpixel.coordinates import mean_pixel_size, pixel_length
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import COLUMNS, DRIFT_COLUMNS, Localizations
from napari_subpixel.rendering.image_files import fitting_scale_bar_nm, save_image, save_preview
from napari_subpixel.rendering.render import MAX_IMAGE_BYTES, PIXEL_SIZE_NM, SuperResolutionImage, detected_roi, render
from napari_subpixel.reports.contents import Contents
from napari_subpixel.reports.page import write_report

#: Rows this many times less certain than the median of the molecules are left out of the figure.
LEAST_CERTAIN = 3.0
#: The files of a figure, by what they are.
FILES = {
    "localizations": "localizations.csv",
    "molecules": "molecules.csv",
    "drift": "drift.csv",
    "image": "image.tif",
    "picture": "picture.png",
    "report": "report.html",
}
#: Where the detection of `figure` is kept: a table that loses nothing.
DETECTED = "detected.parquet"


@dataclass(frozen=True, eq=False)
class Figure:
    """What was made of a table.

    Attributes
    ----------
    contents : Contents
        What the report shows.
    files : tuple of Path
        What was written.
    """

    contents: Contents
    files: tuple[Path, ...]


def check_figure_outputs(folder: Path, *, overwrite: bool) -> None:
    """Make the folder of a figure, and raise `InputError` where one of its files may not or cannot be written."""
    make_folder(folder)
    for what, name in FILES.items():
        for file in trace_outputs(folder / name) if what == "drift" else (folder / name,):
            check_can_write(file, overwrite=overwrite)


def is_begun(folder: Path) -> bool:
    """Say whether a folder has the detection of a figure, finished or interrupted."""
    from napari_subpixel.runs.checkpoints import PartialResults  # loads torch

    table = folder / DETECTED
    return table.exists() or PartialResults(table).begun


def check_filter(keep: Filter, table: Localizations | None = None) -> None:
    """Raise the error that a filter would raise in a figure, before anything is computed.

    Parameters
    ----------
    keep : Filter
    table : Localizations, optional
        Without it a column fits that a detection may have.

    Raises
    ------
    FilterError
        If neither the table nor its correction of drift has such a column, or quantities are compared that have nothing
        in common.
    PixelSizeError
        If a length is compared with a number in nm, and the pixel size of the table is not known.
    """
    nothing = np.empty(0)
    if table is None:
        rows = Localizations(
            dict.fromkeys(COLUMNS, nothing), extra=dict.fromkeys(LEFT_OUT_WHERE_0, nothing), pixel_size_nm=1.0
        )
    else:
        rows = table.select(np.zeros(len(table), bool))
    added = [name for axis, name in DRIFT_COLUMNS.items() if axis in rows and name not in rows]
    keep.check(rows.with_extra(dict.fromkeys(added, nothing)))


@stepwise
def figure(
    table: Localizations,
    folder: Path,
    *,
    name: str,
    command: str = "",
    keep: Filter | None = None,
    fiducials: bool | ArrayLike = False,
    warnings: tuple[str, ...] = (),
    overwrite: bool = False,
) -> Generator[str, None, Figure]:
    """Correct drift, filter, measure the resolution, link, render, and write all of it with a report.

    A step that cannot be done, as drift of a few molecules, is left out, and the report says why. `figure.steps`
    yields the name of each step before it begins, and again wherever it can be ended.

    Parameters
    ----------
    table : Localizations
        As it was detected; its pixel size must be known.
    folder : Path
        Where the files go, which are named in `FILES`.
    name : str
        Of the movie, for the report.
    command : str
        What repeats it, for the report.
    keep : Filter, optional
        The rows that are kept; without it those whose uncertainty is at most three times the median of the molecules,
        beads left out.
    fiducials : bool or array_like of float, shape (M, 2)
        Of `estimate_drift`: whether, or where, drift is estimated from fiducials.
    warnings : tuple of str
        Of the detection.
    overwrite : bool
        Replace existing files, and remove those of an earlier figure that this one does not have.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If a file exists or cannot be written, the pixel size is not known, or the filter does not fit the table.
    """
    check_figure_outputs(folder, overwrite=overwrite)
    table.known_pixel_size_nm()
    if keep is not None:
        check_filter(keep, table)
    steps: dict[str, str] = {"detection": f"{len(table):,} localizations"}
    skipped: dict[str, str] = {}
    found = list(warnings)
    yield "drift"
    drift = yield from _drift(table, fiducials, steps, skipped, found)
    corrected = table if drift is None else drift.correct(table)
    yield "filter"
    kept, beads = _kept(corrected, keep, steps)
    yield "resolution"
    measured = yield from under_name("resolution", resolution.steps(kept, beads=beads))
    found += measured.warnings
    _note_resolution(measured, steps, skipped)
    yield "linking"
    linked = yield from _linked(kept, measured.beads, steps, skipped, found)
    yield "image"
    image = image_of(kept, steps, skipped)
    settings = {**kept.provenance, "pixel_size_nm": kept.pixel_size_nm}
    contents = Contents(
        name, kept, command, measured, drift, linked, image, steps, skipped, tuple(dict.fromkeys(found)), settings
    )
    yield "report"
    return Figure(contents, tuple(_written(folder, contents, overwrite)))


def _drift(
    table: Localizations,
    fiducials: bool | ArrayLike,
    steps: dict[str, str],
    skipped: dict[str, str],
    found: list[str],
) -> Generator[str, None, DriftCurve | None]:
    if is_corrected(table):
        skipped["drift"] = "the table is corrected already"
        return None
    try:
        curve = yield from under_name("drift", estimate_drift.steps(table, fiducials=fiducials))
    except InputError as error:
        skipped["drift"] = str(error)
        return None
    found += [f"drift: {warning}" for warning in curve.warnings]
    y, x = curve.extent_nm
    steps["drift"] = f"corrected: over {x:.1f} nm in x and {y:.1f} nm in y, error {curve.rms_error_nm:.2f} nm RMS"
    return curve


def _kept(table: Localizations, keep: Filter | None, steps: dict[str, str]) -> tuple[Localizations, Beads | None]:
    """Return the rows of a figure, and the beads among them where these were searched for."""
    beads = None
    if keep is None and "x_uncertainty" in table and len(table):
        beads = find_beads(table)
        median_nm = _median_uncertainty_nm(table, beads)
        if median_nm > 0:
            keep = Filter.of(f"uncertainty < {float(f'{LEAST_CERTAIN * median_nm:.3g}')} nm")
    if keep is None:
        return table, beads
    if beads is not None:
        beads = beads.among(keep.mask(table))
    kept = keep.keep(table)
    steps["filter"] = f"{keep.text}: {len(kept):,} of {len(table):,} localizations"
    return kept, beads


def _median_uncertainty_nm(table: Localizations, beads: Beads) -> float:
    """Return the median uncertainty in x of the molecules, of which beads are none; 0 where it is not known."""
    values = table["x_uncertainty"].astype(np.float64)
    known = np.isfinite(values)
    molecules = known & ~beads.rows
    values = values[molecules if molecules.any() else known]
    return float(np.median(values)) * pixel_length("x", table.known_pixel_size_nm()) if len(values) else 0.0


def _note_resolution(measured: Resolution, steps: dict[str, str], skipped: dict[str, str]) -> None:
    nena, frc = measured.nena, measured.frc
    numbers = []
    if nena.nena_nm is not None:
        numbers.append(f"NeNA {nena.nena_nm:.2f} nm, uncertainties times {nena.uncertainty_factor:.3f}")
    if frc.frc_nm is not None:
        numbers.append(f"FRC {frc.frc_nm:.1f} nm")
    if numbers:
        steps["resolution"] = "; ".join(numbers)
    else:
        skipped["resolution"] = "; ".join(measured.warnings) or "nothing to measure"


def _linked(
    table: Localizations, beads: Beads, steps: dict[str, str], skipped: dict[str, str], found: list[str]
) -> Generator[str, None, Linked | None]:
    if not len(table):
        skipped["linking"] = "no rows"
        return None
    try:
        linked = yield from under_name("linking", link.steps(table, beads=beads))
    except InputError as error:
        skipped["linking"] = str(error)
        return None
    found += [f"linking: {warning}" for warning in linked.warnings]
    n_beads, dark = int(linked.is_bead.sum()), linked.max_dark_frames
    n = len(linked.molecules) - n_beads
    and_beads = f", and {n_beads:,} row{'s'[: n_beads != 1]} of beads" if n_beads else ""
    bridged = f"up to {dark:,} dark frame{'s'[: dark != 1]}" if dark else "no dark frames"
    steps["linking"] = f"{n:,} molecule{'s'[: n != 1]}{and_beads}, {bridged} bridged"
    return linked


def image_of(table: Localizations, steps: dict[str, str], skipped: dict[str, str]) -> SuperResolutionImage | None:
    """Render a table for a report, and note how, or why not: of the frame the part that was detected.

    Parameters
    ----------
    table : Localizations
        Its pixel size must be known.
    steps, skipped : dict of str to str
        Notes of a report, which get one more.
    """
    shape = table.frame_shape
    if shape is None and len(table):
        height, width = (int(np.floor(along.max())) + 2 for along in (table.y, table.x))
        shape = (max(height, 1), max(width, 1))
    if shape is None:
        skipped["image"] = "no rows, and the shape of the frames is not known"
        return None
    roi = detected_roi(table)
    drawn = shape if roi is None else tuple(stop - start for start, stop in roi)
    pixel_nm = PIXEL_SIZE_NM
    while 4.0 * np.prod(drawn) * (mean_pixel_size(table.known_pixel_size_nm()) / pixel_nm) ** 2 > MAX_IMAGE_BYTES / 8:
        pixel_nm *= 2
    image = render(table, pixel_size_nm=pixel_nm, frame_shape=shape, roi=roi)
    beyond = "frames" if roi is None else "region"
    outside = f", {image.n_outside} rows outside the {beyond} left out" if image.n_outside else ""
    height, width = image.image.shape
    steps["image"] = f"{height} x {width} pixels of {pixel_nm:g} nm{outside}"
    return image


def _written(folder: Path, contents: Contents, overwrite: bool) -> Generator[Path, Any, None]:
    def place(what: str) -> Path:
        return folder / FILES[what]

    formats.write(place("localizations"), contents.table, overwrite=overwrite)
    yield place("localizations")
    if contents.linked is not None:
        formats.write(place("molecules"), contents.linked.marked(), overwrite=overwrite)
        yield place("molecules")
    if contents.drift is not None:
        contents.drift.write(place("drift"), overwrite=overwrite)
        yield place("drift")
    if contents.image is not None:
        save_image(place("image"), contents.image, overwrite=overwrite)
        yield place("image")
        bar_nm = fitting_scale_bar_nm(contents.image)
        save_preview(place("picture"), contents.image, scale_bar_nm=bar_nm, overwrite=overwrite)
        yield place("picture")
    write_report(place("report"), contents, overwrite=overwrite)
    yield place("report")
    if overwrite:
        stale: list[Path] = []
        if contents.linked is None:
            stale += formats.format_for(place("molecules")).outputs(place("molecules"))
        if contents.drift is None:
            stale += trace_outputs(place("drift"))
        if contents.image is None:
            stale += [place("image"), place("picture")]
        for path in stale:
            path.unlink(missing_ok=True)
