"""Finished chunks of an unfinished run, on disk in a form that survives a kill at any instant."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from napari_subpixel import formats
from napari_subpixel._util.files import atomic_output, make_folder, reading
from napari_subpixel.detection.chunks import Chunk
from napari_subpixel.detection.job import FOLLOWED
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
#: Names of the chunks' files.
CHUNKS = "frames-*.parquet"
#: What a chunk is called until the hash of its bytes is known.
NEW_CHUNK = "chunk.parquet"


class PartialResults:
    """Finished chunks of an unfinished run, in the folder ``OUTPUT.partial`` next to the output.

    Every chunk is a native table, put in place at once when it is whole, under a name with its first frame and the hash
    of its bytes; ``job.json`` says what it belongs to. One run at a time may use it: it holds a lock, which the system
    lifts when the run ends, however it ends.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.folder = output.with_name(output.name + ".partial")
        #: Files of the chunks that are whole, by their first frames.
        self._whole: dict[int, Path] = {}
        #: Those that an interrupted run left and that were not checked yet.
        self._left: dict[int, list[Path]] = {}

    @contextmanager
    def opened(self, identity: Mapping[str, Any], *, resume: bool, overwrite: bool) -> Iterator[PartialResults]:
        """Make the folder, or take over the one that is there if it belongs to the same job.

        Parameters
        ----------
        identity : mapping
            Of the job, for JSON: what a run that is resumed must have in common with this one.
        resume, overwrite : bool
            Continue what an interrupted run left, or drop it.

        Yields
        ------
        PartialResults
            This; the folder is locked until the end of the block. It is removed where the block ends with an error or
            an interruption before any chunk is kept.

        Raises
        ------
        UnfinishedRunError
            If an interrupted run left its folder, which is neither to be continued nor dropped.
        ChangedRunError
            If it belongs to another job.
        InputError
            If another run is at work here, or the folder cannot be written.
        """
        identity = json.loads(json.dumps(identity))
        self.check_free(resume=resume, overwrite=overwrite)
        make_folder(self.folder)
        with self._locked():
            if resume and self.begun:
                self._check_same(identity)
            else:
                self._clear()
            self._remove_drafts()
            self._left = self._by_start()
            with atomic_output(self._identity_file) as draft:
                draft.write_text(json.dumps(identity, indent=1), encoding="utf-8")
            stopped = True
            try:
                yield self
                stopped = False
            finally:
                if stopped and next(self.folder.glob(CHUNKS), None) is None:
                    self._identity_file.unlink(missing_ok=True)
                    shutil.rmtree(self.folder, ignore_errors=True)

    def check_free(self, *, resume: bool, overwrite: bool) -> None:
        """Raise `UnfinishedRunError` if an interrupted run left its folder, to be neither continued nor dropped."""
        if self.folder.is_symlink():
            raise InputError(f"{self.folder}: is a symbolic link, expected a folder of an unfinished run")
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
            pass  # a drive without locks; one that cannot be written fails at the first file
        try:
            yield
        finally:
            lock.release()

    def _check_same(self, identity: Mapping[str, Any]) -> None:
        try:
            before = json.loads(self._identity_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = {}
        before = before if isinstance(before, dict) else {}
        if before and (followed := FOLLOWED in before) != (FOLLOWED in identity):
            kind = FollowedRunError if followed else NotFollowedRunError
            did = "followed" if followed else "did not follow"
            raise kind(f"{self.folder}: the interrupted run {did} the movie while it was written", self.folder)
        for name, value in identity.items():
            if before.get(name) != value:
                had = f"the interrupted run had another {name} ({before.get(name)}, now {value})"
                raise ChangedRunError(f"{self.folder}: {had}", self.folder)

    def has(self, start: int) -> bool:
        """Say whether the chunk that starts at this frame is finished; one that is not as it was written is removed."""
        for path in self._left.pop(start, ()):
            if path == self._path(start, path):
                self._whole[start] = path
            else:
                path.unlink()
        return start in self._whole

    def keep(self, chunk: Chunk) -> None:
        """Keep a finished chunk."""
        draft = self.folder / NEW_CHUNK
        parquet.write(draft, chunk.table, overwrite=True)
        self._whole[chunk.start] = path = self._path(chunk.start, draft)
        os.replace(draft, path)

    def tables(self, starts: Iterable[int]) -> Iterator[Localizations]:
        """Yield the chunks that start at these frames."""
        for start in starts:
            yield parquet.read(self._whole[start])

    def keep_last_frame(self, frame: Mapping[str, Any]) -> None:
        """Keep number and hash of the last frame that was detected of a movie that grows."""
        with atomic_output(self._last_frame_file) as draft:
            draft.write_text(json.dumps(frame), encoding="utf-8")

    @property
    def last_frame(self) -> dict[str, Any] | None:
        """What was kept so, where it can be read."""
        try:
            frame = json.loads(self._last_frame_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return frame if isinstance(frame, dict) else None

    @property
    def begun(self) -> bool:
        """Whether there is an unfinished run to continue."""
        return self._identity_file.exists()

    def remove(self) -> None:
        """Delete the folder, unless another run is at work in it, first of all what makes it that of a run."""
        if not self.folder.exists():
            return  # to lock it would make it
        with suppress(InputError, OSError), self._locked():
            self._identity_file.unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)
        if os.name == "nt":  # where the lock cannot be deleted while it is held
            shutil.rmtree(self.folder, ignore_errors=True)

    def _by_start(self) -> dict[int, list[Path]]:
        found: dict[int, list[Path]] = {}
        for path in self.folder.glob(CHUNKS):
            if (start := re.match(r"frames-(\d{9,})-", path.name)) is not None:
                found.setdefault(int(start[1]), []).append(path)
        return found

    def _clear(self) -> None:
        self._whole.clear()
        for file in (*self.folder.glob(CHUNKS), self._last_frame_file):
            file.unlink(missing_ok=True)

    def _remove_drafts(self) -> None:
        """Remove what a run that was killed began to write."""
        (self.folder / NEW_CHUNK).unlink(missing_ok=True)
        outputs = formats.format_for(self.output).outputs(self.output)
        for folder, names in ((self.folder, ["*"]), (self.output.parent, [glob.escape(file.name) for file in outputs])):
            for name in names:
                for file in folder.glob(f".{'[0-9a-f]' * 8}-{name}"):
                    file.unlink(missing_ok=True)

    @property
    def _identity_file(self) -> Path:
        return self.folder / "job.json"

    @property
    def _last_frame_file(self) -> Path:
        return self.folder / "last.json"

    def _path(self, start: int, content: Path) -> Path:
        """Return the file for the chunk that starts at a frame and has the content of another file."""
        with reading(content), content.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return self.folder / f"frames-{start:09d}-{digest[:16]}.parquet"
