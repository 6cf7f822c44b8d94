"""Finished chunks of an unfinished run, on disk in a form that survives its end at any instant."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_subpixel.errors import InputError
from napari_subpixel.files import atomic_output, write_failure
from napari_subpixel.formats import parquet
from napari_subpixel.jobs import Chunk, DetectionJob
from napari_subpixel.localizations import Localizations, concat


class Journal:
    """Finished chunks of an unfinished run, in the folder ``OUTPUT.partial`` beside the output.

    Every chunk is a native table, put in place at once when it is whole; ``job.json`` says what it belongs to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def beside(cls, output: Path) -> Journal:
        """Return the journal of an output, there or not."""
        return cls(output.with_name(output.name + ".partial"))

    def open(self, job: DetectionJob, *, resume: bool, overwrite: bool) -> None:
        """Make the folder, or take over the one that is there if it belongs to this job."""
        about = json.loads(json.dumps({**job.provenance, "fingerprint": job.stack.fingerprint()}))
        if self.folder.exists() and resume:
            self._check_same(about)
        else:
            self.check_free(resume=resume, overwrite=overwrite)
            self.remove()
        try:
            self.folder.mkdir(exist_ok=True)
            with atomic_output(self.folder / "job.json") as draft:
                draft.write_text(json.dumps(about, indent=1), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self.folder}: {write_failure(error)}") from None

    def check_free(self, *, resume: bool, overwrite: bool) -> None:
        """Raise `InputError` if an interrupted run left its folder, and nobody said what becomes of it."""
        if self.folder.exists() and not (resume or overwrite):
            raise InputError(f"{self.folder}: an interrupted run left this; --resume goes on, --overwrite starts anew")

    def _check_same(self, about: dict[str, Any]) -> None:
        try:
            before = json.loads((self.folder / "job.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = {}
        before = before if isinstance(before, dict) else {}
        for name, value in about.items():
            if before.get(name) != value:
                raise InputError(
                    f"{self.folder}: the interrupted run had another {name} ({before.get(name)}, now "
                    f"{value}); --overwrite starts anew"
                )

    def has(self, start: int) -> bool:
        """Say whether the chunk that starts at this frame is finished."""
        return self._path(start).exists()

    def keep(self, chunk: Chunk) -> None:
        """Keep a finished chunk."""
        parquet.write(self._path(chunk.start), chunk.table)

    def whole(self, starts: Iterable[int]) -> Localizations:
        """Join the chunks that start at these frames."""
        return concat([parquet.read(self._path(start)) for start in starts])

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, start: int) -> Path:
        return self.folder / f"frames-{start:09d}.parquet"
