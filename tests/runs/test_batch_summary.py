"""The summary of a batch: a row for every movie, complete from run to run, and never over a file of another kind."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from pathlib import Path

import pandas as pd
import pytest

from napari_subpixel.errors import InputError
from napari_subpixel.runs.batch import MovieProgress, Outcome
from napari_subpixel.runs.batch_summary import SUMMARY_COLUMNS, check_summary, summarised, summary

RESULTS = [
    Outcome(Path("a.tif"), Path("out/a.csv"), 100, 2500, 100, 4.0, warnings=("crowded", "two images")),
    Outcome(Path("b, c.tif"), Path("out/b, c.csv"), error=InputError('b, c.tif: the file is "empty"')),
    Outcome(Path("d.tif"), Path("out/d.csv"), skipped=True),
]


def replayed(results: Iterable[Outcome | MovieProgress]) -> Generator[Outcome | MovieProgress, None, None]:
    yield from results


def done(folder: Path, name: str, n_molecules: int = 2500) -> Outcome:
    """A movie that became a table, which is there."""
    (folder / f"{name}.csv").touch()
    return Outcome(Path(f"{name}.tif"), folder / f"{name}.csv", 100, n_molecules, 100, 4.0)


def rows(folder: Path) -> dict[str, tuple[str, str]]:
    table = pd.read_csv(folder / "summary.csv", keep_default_na=False, dtype=str)
    return {Path(row.table).stem: (row.status, row.molecules) for row in table.itertuples()}


def test_the_summary_is_read_back_as_it_was(tmp_path):
    summary(RESULTS).to_csv(tmp_path / "summary.csv", index=False)
    table = pd.read_csv(tmp_path / "summary.csv", keep_default_na=False, dtype=str)
    assert list(table.columns) == list(SUMMARY_COLUMNS)
    assert table.iloc[0].tolist() == ["a.tif", os.path.join("out", "a.csv"), "done", "100", "2500", "4.0", "25.0",
                                      "crowded; two images", ""]  # fmt: skip
    assert table.status.tolist() == ["done", "failed", "skipped"]
    assert table.error[1] == 'b, c.tif: the file is "empty"'
    assert table.frames.tolist() == ["100", "", ""]


def test_the_summary_of_nothing_has_its_columns():
    assert list(summary([]).columns) == list(SUMMARY_COLUMNS)
    assert len(summary([])) == 0


def test_the_summary_is_there_after_every_movie(tmp_path):
    path = tmp_path / "summary.csv"
    running = summarised(replayed([done(tmp_path, "a"), MovieProgress(Path("b.tif"), tmp_path / "b.csv", 2, 2)]), path)
    next(running)
    next(running)
    assert rows(tmp_path) == {"a": ("done", "2500")}
    running.close()
    assert rows(tmp_path) == {"a": ("done", "2500")}


def test_movies_that_are_skipped_keep_their_figures(tmp_path):
    path = tmp_path / "summary.csv"
    list(summarised(replayed([done(tmp_path, "a"), done(tmp_path, "b", 7)]), path))
    skipped = Outcome(Path("b.tif"), tmp_path / "b.csv", skipped=True)
    (event,) = summarised(replayed([skipped]), path)
    assert (event.status, event.n_molecules) == ("skipped", 7)
    assert rows(tmp_path) == {"a": ("done", "2500"), "b": ("done", "7")}
    (tmp_path / "a.csv").unlink()
    unknown = Outcome(Path("c.tif"), tmp_path / "c.csv", skipped=True)
    list(summarised(replayed([unknown]), path))
    assert rows(tmp_path) == {"b": ("done", "7"), "c": ("skipped", "")}


def test_a_failure_is_listed_until_the_movie_is_done_or_gone(tmp_path):
    path, movie = tmp_path / "summary.csv", tmp_path / "bad.tif"
    movie.touch()
    failed = Outcome(movie, tmp_path / "bad.csv", error=InputError("bad.tif: cut off"))
    list(summarised(replayed([failed]), path))
    list(summarised(replayed([done(tmp_path, "a")]), path))
    assert rows(tmp_path) == {"bad": ("failed", ""), "a": ("done", "2500")}
    movie.unlink()
    list(summarised(replayed([done(tmp_path, "a", 9)]), path))
    assert rows(tmp_path) == {"a": ("done", "9")}


def test_a_summary_that_cannot_be_written_stops_no_movie(tmp_path):
    path = tmp_path / "summary.csv"
    path.mkdir()
    running = summarised(replayed([done(tmp_path, "a"), done(tmp_path, "b")]), path)
    assert [next(running).status, next(running).status] == ["done", "done"]
    with pytest.raises(InputError, match=r"summary.csv: is a folder"):
        next(running)


def test_a_summary_whose_numbers_were_changed_is_ignored(tmp_path):
    path = tmp_path / "summary.csv"
    list(summarised(replayed([done(tmp_path, "a")]), path))
    path.write_text(path.read_text().replace(",100,", ",many,"))
    list(summarised(replayed([done(tmp_path, "b")]), path))
    assert rows(tmp_path) == {"b": ("done", "2500")}


def test_what_is_no_summary_is_refused_before_the_work(tmp_path):
    path = tmp_path / "summary.csv"
    pairs = [("a.tif", tmp_path / "a.csv")]
    check_summary(path, pairs, overwrite=False)
    path.write_text("my,own\n1,2\n")
    with pytest.raises(InputError, match=r"summary.csv: is not a summary of this program"):
        check_summary(path, pairs, overwrite=False)
    check_summary(path, pairs, overwrite=True)
    with pytest.raises(InputError, match=r"summary.csv: is the name of the summary"):
        check_summary(path, [("summary.tif", path)], overwrite=True)


def test_a_row_whose_numbers_were_cleared_is_no_fault(tmp_path):
    path = tmp_path / "summary.csv"
    first = done(tmp_path, "a")
    list(summarised(replayed([first]), path))
    cleared = pd.read_csv(path, dtype=str)
    cleared[["frames", "molecules", "seconds", "frames_per_second"]] = ""
    cleared.to_csv(path, index=False)
    (again,) = summarised(replayed([Outcome(first.movie, first.output, skipped=True)]), path)
    assert (again.n_frames, again.n_molecules) == (0, 0)
