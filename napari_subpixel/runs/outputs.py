"""What a run writes: its table, and an image of the molecules in it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from napari_subpixel import formats
from napari_subpixel.coordinates import Roi
from napari_subpixel.detection.job import DetectionJob
from napari_subpixel.detection.saturated import without_unused
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import LocalizationParts, Localizations, concat
from napari_subpixel.rendering.image_files import check_image_output, save_image
from napari_subpixel.rendering.render import SuperResolutionImage, image_grid, render
from napari_subpixel.runs.quality_warnings import TableSummary, provenance_with_warnings
from napari_subpixel.runs.static_points import StaticPoints, find_static_points

#: Rows that are drawn into an image at a time.
DRAWN_ROWS = 1 << 20


class Detected(NamedTuple):
    """What was written: the number of rows, the provenance, with its ``warnings``, and the rows of the median frame."""

    n_molecules: int
    provenance: dict[str, Any]
    median_per_frame: float


class Outputs:
    """A table, and an image where one is asked for, each put in place when it is whole, and again when it has grown.

    Parameters
    ----------
    table : Path
        Its suffix chooses the format.
    image : Path, optional
        OME-TIFF, rendered as `render` does by default.
    overwrite : bool
        Replace what is there before; what was written here is replaced in any case.

    Raises
    ------
    InputError
        If the image may not or cannot be written there.
    """

    def __init__(self, table: Path, image: Path | None = None, *, overwrite: bool = False) -> None:
        self.table, self.image, self.overwrite = table, image, overwrite
        self._drawn: SuperResolutionImage | None = None
        self._n_drawn = 0
        if image is not None:
            check_image_output(image, overwrite=overwrite)

    def check(self, job: DetectionJob) -> None:
        """Raise `InputError` if the image could not be drawn in the end, or would replace a file of the movie."""
        if self.image is None:
            return
        path, stack = self.image.resolve(), job.stack
        frames = stack.path.resolve() if stack.path is not None and stack.path.is_dir() else None
        if path in {file.resolve() for file in stack.files} or path.parent == frames:
            raise InputError(f"{self.image}: is, or lies among, the files of the movie, which is read")
        if job.pixel_size_nm is None:
            raise stack.pixel_size_error("an image")
        image_grid(stack.frame_shape, job.pixel_size_nm, roi=job.roi)

    def write(self, job: DetectionJob, tables: Callable[[int], Iterable[Localizations]]) -> Detected:
        """Write the table, and draw what was not drawn before.

        Parameters
        ----------
        job : DetectionJob
            What was detected.
        tables : callable
            Gives the tables of the chunks in their order, from that of a number on.
        """
        summary, static = TableSummary.of(tables(0)), None
        if summary.per_pixel is not None:
            static = find_static_points(job, summary.per_pixel)
            if job.drop_static:
                tables = _kept(tables, static)
                summary = TableSummary.of(tables(0))
                self._drawn, self._n_drawn = None, 0  # what never moves shows only in time
        provenance = {**provenance_with_warnings(job, job.provenance, summary, static), **circumstances(job)}
        about = {**job.about, "provenance": provenance}
        parts = LocalizationParts(lambda: _as_written(tables(0), summary), about)
        formats.write(self.table, parts, overwrite=self.overwrite)
        if self.image is not None:
            save_image(self.image, self._draw(about, tables, job.roi), overwrite=self.overwrite)
        self.overwrite = True
        return Detected(summary.n_points, about["provenance"], summary.median_per_frame(*job.span))

    def _draw(
        self, about: dict[str, Any], tables: Callable[[int], Iterable[Localizations]], roi: Roi | None
    ) -> SuperResolutionImage:
        drawn = self._drawn
        if drawn is not None and drawn.grid != image_grid(about["frame_shape"], about["pixel_size_nm"], roi=roi):
            drawn, self._n_drawn = None, 0  # the pixel size was known only at the movie's end
        for n_tables, table in _batches(tables(self._n_drawn)):
            part = render(table.with_about(**about), roi=roi)
            drawn = part if drawn is None else drawn.plus(part)
            self._n_drawn += n_tables
        assert drawn is not None, "there is at least one table"
        self._drawn = drawn
        return drawn


def circumstances(job: DetectionJob) -> dict[str, Any]:
    """Return what a table's provenance has that a resumed run need not have in common with the one before.

    The versions of the libraries that compute, and of the movie its size in bytes and a hash over its first, middle and
    last frame; neither the device, which may be others' on a cluster, nor the date, so that the same run gives the same
    bytes.

    Parameters
    ----------
    job : DetectionJob
    """
    import torch

    versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": str(torch.__version__)}
    try:
        movie = job.stack.fingerprint()
    except (InputError, OSError):  # one that is still being written, and gone for a moment
        return {"versions": versions}
    return {"versions": versions, "movie_bytes": movie["bytes"], "movie_frames_sha256": movie["frames_sha256"]}


def _kept(
    tables: Callable[[int], Iterable[Localizations]], static: StaticPoints
) -> Callable[[int], Iterable[Localizations]]:
    """Return the same tables without points that never move."""
    return lambda first: (static.keep(table) for table in tables(first))


def _as_written(tables: Iterable[Localizations], summary: TableSummary) -> Iterator[Localizations]:
    """Yield tables without the column of what no molecule of the movie has."""
    return (table if summary.n_saturated else without_unused(table) for table in tables)


def _batches(tables: Iterable[Localizations]) -> Iterator[tuple[int, Localizations]]:
    """Join tables until they have many rows, so that an image is seldom gone through; yield also how many they are."""
    held: list[Localizations] = []
    for table in tables:
        held.append(table)
        if sum(map(len, held)) >= DRAWN_ROWS:
            yield len(held), concat(held)
            held = []
    if held:
        yield len(held), concat(held)
