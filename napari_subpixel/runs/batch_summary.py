"""What became of every movie of a batch, as a table in the folder of its results that is continued from run to run."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Iterable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from napari_subpixel import formats
from napari_subpixel._util.files import atomic_output, check_can_write
from napari_subpixel.errors import InputError
from napari_subpixel.runs.batch import MovieProgress, Outcome

#: The file, next to the tables, that says what became of every movie.
SUMMARY_NAME = "summary.csv"
#: Columns of the summary, with their types.
SUMMARY_COLUMNS = {
    "movie": "str",
    "table": "str",
    "status": "str",
    "frames": "Int64",
    "molecules": "Int64",
    "seconds": "float64",
    "frames_per_second": "float64",
    "warnings": "str",
    "error": "str",
}
NUMBERS = tuple(name for name, kind in SUMMARY_COLUMNS.items() if kind != "str")
#: A row, by the names of the columns.
Cells = dict[Hashable, Any]


def summary(outcomes: Iterable[Outcome]) -> pd.DataFrame:
    """Return a row for every movie; numbers are missing where no table was written.

    Examples
    --------
    >>> print(summary([Outcome(Path("a.tif"), Path("a.csv"), 100, 2500, 100, 4.0)]).T.to_string(header=False))
    movie                a.tif
    table                a.csv
    status                done
    frames                 100
    molecules             2500
    seconds                4.0
    frames_per_second     25.0
    warnings
    error
    """
    return _table(map(_cells, outcomes))


def check_summary(path: Path, pairs: Iterable[tuple[str | Path, Path]], *, overwrite: bool) -> None:
    """Raise `InputError` now if `summarised` could not write its summary, or would write over something else.

    Parameters
    ----------
    path : Path
        Where the summary goes; an earlier one is taken over.
    pairs : iterable of (path-like, Path)
        Movies and tables.
    overwrite : bool
        Replace a file of that name that is not a summary.
    """
    if path in {file for _, table in pairs for file in formats.format_for(table).outputs(table)}:
        raise InputError(f"{path}: is the name of the summary, and a movie would become this table; rename it")
    check_can_write(path, overwrite=True)
    if path.exists() and not overwrite and not is_summary(path):
        raise InputError(f"{path}: is not a summary of this program; rename it, or choose another folder")


def summarised(
    events: Generator[MovieProgress | Outcome, None, None], path: Path
) -> Generator[MovieProgress | Outcome, None, None]:
    """Pass on the events of `detect_batch`, and keep the summary up to date with them, movie by movie.

    The summary keeps the rows of tables that earlier runs wrote and that are still there, and of movies that failed
    and were not tried again.

    Yields
    ------
    MovieProgress or Outcome
        As they come; what is skipped comes with the figures that the run noted that made its table.

    Raises
    ------
    InputError
        In the end, if the summary cannot be written: that stops no movie.
    """
    earlier = _read(path)
    rows = dict(earlier)
    written = True
    with closing(events):
        try:
            for event in events:
                if isinstance(event, Outcome):
                    before = earlier.get(event.output.name)
                    if event.skipped and before is not None and before["status"] == "done":
                        event = _recalled(event, before)
                    else:
                        rows[event.output.name] = _cells(event)
                    written = False
                    with suppress(InputError):
                        _write(path, rows.values())
                        written = True
                yield event
        finally:
            if not written:
                _write(path, rows.values())


def is_summary(path: Path) -> bool:
    """Say whether a file is a summary that a run wrote, by its headings."""
    try:
        return list(pd.read_csv(path, nrows=0).columns) == list(SUMMARY_COLUMNS)
    except (OSError, ValueError):
        return False


def _write(path: Path, rows: Iterable[Cells]) -> None:
    with atomic_output(path) as draft:
        _table(rows).to_csv(draft, index=False)


def _read(path: Path) -> dict[str, Cells]:
    """Return the rows of earlier runs that still hold, by the names of the tables; none of a file that is no summary.

    Rows of tables hold while the table is there, and those of failures while the movie is there and the table is not.
    """
    if not is_summary(path):
        return {}
    try:
        rows = pd.read_csv(path, dtype=SUMMARY_COLUMNS, keep_default_na=False, na_values={n: [""] for n in NUMBERS})
    except ValueError:  # somebody changed its numbers
        return {}
    earlier = {Path(row["table"]).name: row for row in rows.to_dict("records") if row["status"] in ("done", "failed")}
    return {name: row for name, row in earlier.items() if _holds(row, path.parent / name)}


def _holds(row: Cells, table: Path) -> bool:
    failed = row["status"] == "failed"
    return Path(row["movie"]).exists() and not table.exists() if failed else table.exists()


def _table(rows: Iterable[Cells]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(SUMMARY_COLUMNS)).astype(SUMMARY_COLUMNS)


def _cells(outcome: Outcome) -> Cells:
    """Return the row of an outcome."""
    done = outcome.status == "done"
    return {
        "movie": str(outcome.movie),
        "table": str(outcome.output),
        "status": outcome.status,
        "frames": outcome.n_frames if done else None,
        "molecules": outcome.n_molecules if done else None,
        "seconds": round(outcome.seconds, 2) if done else None,
        "frames_per_second": round(outcome.frames_per_second, 1) if outcome.frames_per_second else None,
        "warnings": "; ".join(outcome.warnings),
        "error": str(outcome.error or ""),
    }


def _recalled(outcome: Outcome, row: Cells) -> Outcome:
    """Return what became of a movie that was skipped, with what the run noted that made its table."""
    frames, molecules, seconds, rate = (0.0 if pd.isna(row[name]) else float(row[name]) for name in NUMBERS)
    return replace(
        outcome,
        n_frames=int(frames),
        n_molecules=int(molecules),
        n_detected=round(rate * seconds),
        seconds=seconds,
        warnings=tuple(filter(None, [row["warnings"]])),
    )
