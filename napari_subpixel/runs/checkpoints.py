"""Finished chunks of an unfinished run, on disk in a form that survives its end at any instant."""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_subpixel import formats
from napari_subpixel._util.files import atomic_output, make_folder
from napari_subpixel.detection.job import FOLLOWED, Chunk
from napari_subpixel.errors import (
    ChangedRunError,
    FollowedRunError,
    InputError,
    NotFollowedRunError,
    UnfinishedRunError,
)
from napari_subpixel.formats import parquet
from napari_subpixel.localizations import Localizations

LOCK = "lock"


class Journal:
    """Finished chunks of an unfinished run, in the folder ``OUTPUT.partial`` beside the output.

    Every chunk is a native table, put in place at once when it is whole; ``job.json`` says what it belongs to. One run
    at a time may use it: it holds a lock, which the system lifts when the run ends, however it ends.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(output.name + ".partial")

    @contextmanager
    def opened(self, identity: Mapping[str, Any], *, resume: bool, overwrite: bool) -> Iterator[Journal]:
        """Make the folder, or take over the one that is there if it belongs to the same job, as `identity` tells.

        Raises
        ------
        InputError
            If another run is at work here, the folder is there and nobody said what becomes of it, it belongs to
            another job, or it cannot be written.
        """
        about = json.loads(json.dumps(identity))
        self.check_free(resume=resume, overwrite=overwrite)
        make_folder(self.folder)
        with self._locked():
            if resume and self.begun:
                self._check_same(about)
            else:
                self._clear()
            self._remove_drafts()
            with atomic_output(self._about) as draft:
                draft.write_text(json.dumps(about, indent=1), encoding="utf-8")
            yield self

    def check_free(self, *, resume: bool, overwrite: bool) -> None:
        """Raise `InputError` if an interrupted run left its folder, and nobody said what becomes of it."""
        if not self.folder.exists():
            return
        with self._locked():
            if not (resume or overwrite):
                raise UnfinishedRunError(f"{self.folder}: an interrupted run left this", self.folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Not one lock a thread: a generator may be closed by another thread than began it.
        lock = FileLock(self.folder / LOCK, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise InputError(f"{self.output}: another run is writing this table now") from None
        except (OSError, NotImplementedError):
            pass  # a drive without locks; one that cannot be written is told of at the first file
        try:
            yield
        finally:
            lock.release()

    def _check_same(self, about: dict[str, Any]) -> None:
        try:
            before = json.loads(self._about.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = {}
        before = before if isinstance(before, dict) else {}
        if before and (followed := FOLLOWED in before) != (FOLLOWED in about):
            kind = FollowedRunError if followed else NotFollowedRunError
            did = "followed" if followed else "did not follow"
            raise kind(f"{self.folder}: the interrupted run {did} the movie while it was written", self.folder)
        for name, value in about.items():
            if before.get(name) != value:
                had = f"the interrupted run had another {name} ({before.get(name)}, now {value})"
                raise ChangedRunError(f"{self.folder}: {had}", self.folder)

    def has(self, start: int) -> bool:
        """Say whether the chunk that starts at this frame is finished; one that a power cut damaged is removed."""
        path = self._path(start)
        if not path.exists():
            return False
        if parquet.is_whole(path):
            return True
        path.unlink()
        return False

    def keep(self, chunk: Chunk) -> None:
        """Keep a finished chunk."""
        parquet.write(self._path(chunk.start), chunk.table)

    def tables(self, starts: Iterable[int]) -> Iterator[Localizations]:
        """Yield the chunks that start at these frames."""
        for start in starts:
            yield parquet.read(self._path(start))

    def mark(self, what: Mapping[str, Any]) -> None:
        """Keep a note of how far the movie is."""
        with atomic_output(self._mark) as draft:
            draft.write_text(json.dumps(what), encoding="utf-8")

    @property
    def marked(self) -> dict[str, Any] | None:
        """The last such note, where there is one that can be read."""
        try:
            what = json.loads(self._mark.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return what if isinstance(what, dict) else None

    @property
    def begun(self) -> bool:
        """Whether there is an unfinished run to go on with."""
        return self._about.exists()

    def remove(self) -> None:
        """Delete the folder, unless another run is at work in it, first of all what makes it that of a run."""
        if not self.folder.exists():
            return  # to lock it would make it
        with suppress(InputError, OSError), self._locked():
            self._about.unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)
        if os.name == "nt":  # where the lock cannot be deleted while it is held
            shutil.rmtree(self.folder, ignore_errors=True)

    def _clear(self) -> None:
        for file in (*self.folder.glob("*.parquet"), self._mark):
            file.unlink(missing_ok=True)

    def _remove_drafts(self) -> None:
        """Remove what a run that was killed had begun to write."""
        outputs = formats.format_for(self.output).outputs(self.output)
        for folder, names in ((self.folder, ["*"]), (self.output.parent, [glob.escape(file.name) for file in outputs])):
            for name in names:
                for file in folder.glob(f".{'[0-9a-f]' * 8}-{name}"):
                    file.unlink(missing_ok=True)

    @property
    def _about(self) -> Path:
        return self.folder / "job.json"

    @property
    def _mark(self) -> Path:
        return self.folder / "last.json"

    def _path(self, start: int) -> Path:
        return self.folder / f"frames-{start:09d}.parquet"
