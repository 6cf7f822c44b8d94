"""Output files: whole or not there at all, and a clear word on why not."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_subpixel._util.files import (
    atomic_output,
    check_can_write,
    first_bytes,
    make_folder,
    open_input,
    write_failure,
)
from napari_subpixel.errors import InputError

DEV_FULL = Path("/dev/full")
NOBODY = 65534


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Set the umask; it is put back afterwards."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@contextmanager
def locked_folder(mode: int) -> Iterator[Path]:
    """Make a folder of this mode with an old file in it; root, whom no mode stops, is nobody for the while."""
    with tempfile.TemporaryDirectory() as name:
        folder, root = Path(name), os.geteuid() == 0
        (folder / "old.csv").write_text("old")
        folder.chmod(mode)
        try:
            if root:
                os.setresuid(NOBODY, NOBODY, 0)
            yield folder
        finally:
            if root:
                os.setresuid(0, 0, 0)
            folder.chmod(0o755)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def written(path: Path, *steps: Callable[[Path], object]) -> None:
    """Take these steps with the draft of an output."""
    with atomic_output(path) as draft:
        for step in steps:
            step(draft)


def half(draft: Path) -> None:
    draft.write_text("half")


def failing(error: BaseException | type[BaseException]) -> Callable[[Path], None]:
    def step(draft: Path) -> None:
        raise error

    return step


# -- whole or not at all ------------------------------------------------------------------------------------------


def test_what_was_written_is_there_and_nothing_else(tmp_path):
    with atomic_output(tmp_path / "table.csv") as draft:
        draft.write_text("new")
    assert (tmp_path / "table.csv").read_text() == "new"
    assert names(tmp_path) == ["table.csv"]


def test_a_path_may_be_text(tmp_path):
    with atomic_output(str(tmp_path / "table.csv")) as draft:
        draft.write_text("new")
    assert names(tmp_path) == ["table.csv"]


def test_an_old_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old and much longer than the new")
    with atomic_output(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old and much longer than the new"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["table.csv"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    path.chmod(0o640)
    written(path, half)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="folders are not put on the disk there")
def test_a_file_is_on_the_disk_before_it_is_in_place_and_its_name_afterwards(tmp_path, monkeypatch):
    steps: list[str] = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (steps.append(os.readlink(f"/proc/self/fd/{file}")), sync(file))[1])
    monkeypatch.setattr(os, "replace", lambda *names: (steps.append("replace"), replace(*names))[1])
    written(tmp_path / "table.csv", half)
    draft, replaced, folder = steps
    assert (Path(draft).name.endswith("-table.csv"), replaced, folder) == (True, "replace", str(tmp_path))


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, InputError, GeneratorExit])
def test_an_error_leaves_nothing(error, tmp_path):
    with pytest.raises(error):
        written(tmp_path / "table.csv", half, failing(error))
    assert names(tmp_path) == []


def test_an_error_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        written(path, half, failing(ZeroDivisionError))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


@pytest.mark.parametrize("name", ["image.ome.tif", "table.csv", "no_suffix", ".hidden", "two words.tar.gz", "ünï.npy"])
def test_the_draft_ends_in_the_whole_name_and_is_hidden(name, tmp_path):
    with atomic_output(tmp_path / name) as draft:
        assert draft.parent == tmp_path
        assert draft.name.endswith(name)
        assert draft.name.startswith(".")
    assert names(tmp_path) == [name]


def test_a_draft_may_be_deleted_and_made_again_by_its_writer(tmp_path):
    with atomic_output(tmp_path / "table.csv") as draft:
        draft.unlink()
        draft.write_text("new")
    assert (tmp_path / "table.csv").read_text() == "new"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(mask, mode, umask, tmp_path):
    umask(mask)
    with atomic_output(tmp_path / "table.csv") as draft:
        draft.write_text("new")
    assert stat.S_IMODE((tmp_path / "table.csv").stat().st_mode) == mode
    assert umask(mask) == mask


def test_writers_of_one_file_at_once_leave_one_of_theirs_whole(umask, tmp_path):
    def write(n: int) -> None:
        with atomic_output(tmp_path / "table.csv") as draft:
            draft.write_text(f"{n}" * 1000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, [*range(8)] * 25))
    assert (tmp_path / "table.csv").read_text() in [f"{n}" * 1000 for n in range(8)]
    assert names(tmp_path) == ["table.csv"]
    assert umask(0o022) == 0o022


# -- why not ------------------------------------------------------------------------------------------------------


def test_a_missing_folder_is_refused_before_anything_is_done(tmp_path):
    path = tmp_path / "nowhere" / "table.csv"
    with (
        pytest.raises(InputError, match=f"^{path}: cannot write here: No such file or directory$"),
        atomic_output(path),
    ):
        pytest.fail("the block was entered")
    assert names(tmp_path) == []


@pytest.mark.parametrize("path", ["", ".", "folder"])
def test_a_folder_is_not_replaced(path, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is a folder, expected a file name"), atomic_output(path):
        pytest.fail("the block was entered")
    assert names(tmp_path) == ["folder"]


def test_a_pipe_or_a_device_is_not_replaced(tmp_path):
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    with pytest.raises(InputError, match=f"^{path}: is not a plain file$"):
        written(path, half)
    with pytest.raises(InputError, match=f"^{path}: is not a plain file$"):
        check_can_write(path, overwrite=True)
    assert path.is_fifo()


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_that_cannot_be_written_to_is_refused(mode):
    with (
        locked_folder(mode) as folder,
        pytest.raises(InputError, match=r"new.csv: cannot write here: Permission denied$"),
        atomic_output(folder / "new.csv"),
    ):
        pytest.fail("the block was entered")


def test_a_disk_that_fills_up_leaves_the_old_file_and_says_so(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(InputError, match=f"^{path}: the disk is full; nothing was written$"):
        written(path, half, failing(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


@pytest.mark.skipif(not DEV_FULL.exists(), reason=f"this system has no {DEV_FULL}")
@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(b"0" * 100_000),
        lambda path: np.ones(100_000).tofile(path),  # gives no errno
        lambda path: np.save(path, np.ones(100_000)),
        lambda path: pd.DataFrame({"x": np.ones(100_000)}).to_csv(path),
        lambda path: pd.DataFrame({"x": np.random.default_rng(0).random(100_000)}).to_parquet(path),
    ],
    ids=["bytes", "tofile", "npy", "csv", "parquet"],
)
def test_what_writers_say_of_a_full_disk_is_understood(write, tmp_path):
    path = tmp_path / "output.npy"
    with pytest.raises(InputError, match=f"^{path}: the disk is full; nothing was written$"):
        written(path, Path.unlink, lambda draft: draft.symlink_to(DEV_FULL), write)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full; nothing was written"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full; nothing was written"),
        (OSError("200000 requested and 32752 written"), "the disk is full; nothing was written"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full; nothing was written"),
        (OSError(errno.EIO, "Input/output error"), "could not be written: Input/output error"),
        (OSError("of two\n lines"), "could not be written: of two lines"),
        (
            OSError(errno.EIO, "No space left on device, it said"),
            "could not be written: No space left on device, it said",
        ),
    ],
)
def test_a_failure_is_put_on_one_line(error, words, tmp_path):
    assert write_failure(error) == words
    if isinstance(error, OSError) or "disk is full" in words:
        with pytest.raises(InputError, match=f": {words}$"), atomic_output(tmp_path / "table.csv"):
            raise error
        assert names(tmp_path) == []


def test_a_movie_that_cannot_be_read_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        written(tmp_path / "table.csv", half, lambda draft: tifffile.imread(tmp_path / "movie.tif"))
    assert Path(caught.value.filename) == tmp_path / "movie.tif"
    assert names(tmp_path) == []


def test_a_draft_that_is_gone_is_blamed_on_the_output(tmp_path):
    path = tmp_path / "table.csv"
    with pytest.raises(InputError, match=f"^{path}: could not be written: No such file"), atomic_output(path) as draft:
        draft.unlink()


# -- before long work ---------------------------------------------------------------------------------------------


def test_a_new_file_may_be_written_and_an_old_one_on_request(tmp_path):
    (tmp_path / "old.csv").write_text("old")
    check_can_write(tmp_path / "new.csv", overwrite=False)
    check_can_write(str(tmp_path / "old.csv"), overwrite=True)
    assert names(tmp_path) == ["old.csv"]
    assert (tmp_path / "old.csv").read_text() == "old"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder", "is a folder, expected a file name"),
        ("nowhere/table.csv", "the folder {folder}/nowhere does not exist"),
        ("old.csv/table.csv", "the folder {folder}/old.csv does not exist"),
    ],
)
def test_what_can_never_be_written_is_refused(name, message, overwrite, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "old.csv").write_text("old")
    with pytest.raises(InputError) as caught:
        check_can_write(tmp_path / name, overwrite=overwrite)
    assert str(caught.value) == f"{tmp_path / name}: {message.format(folder=tmp_path)}"


def test_an_old_file_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "old.csv").write_text("old")
    with pytest.raises(InputError, match=r"old.csv: exists already$"):
        check_can_write(tmp_path / "old.csv", overwrite=False)


@pytest.mark.parametrize("mode", [0o555, 0o000])
@pytest.mark.parametrize("name", ["new.csv", "old.csv"])
def test_a_locked_folder_is_noticed_before_the_work(name, mode):
    with locked_folder(mode) as folder, pytest.raises(InputError) as caught:
        check_can_write(folder / name, overwrite=True)
    assert str(caught.value) == f"{folder / name}: the folder {folder} cannot be written to"


def test_a_folder_is_made_with_those_it_is_in(tmp_path):
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/sub: cannot make this folder: Not a directory"):
        make_folder(tmp_path / "file" / "sub")


# -- reading ------------------------------------------------------------------------------------------------------


def test_the_first_bytes_are_as_many_as_there_are(tmp_path):
    (tmp_path / "movie.tif").write_bytes(b"II*\0" + bytes(20))
    assert first_bytes(tmp_path / "movie.tif", 4) == b"II*\0"
    (tmp_path / "short.tif").write_bytes(b"II")
    assert first_bytes(tmp_path / "short.tif") == b"II"


def test_what_cannot_be_read_is_named_with_the_reason(tmp_path):
    (tmp_path / "empty.tif").touch()
    for name, reason in [
        ("gone.tif", "no such file"),
        ("empty.tif", r"the file is empty \(0 bytes\)"),
        ("", "cannot be read: Is a directory"),
        ("empty.tif/frame.tif", "cannot be read: Not a directory"),
    ]:
        with pytest.raises(InputError, match=f"^{tmp_path / name}: {reason}$"):
            first_bytes(tmp_path / name)


def test_a_failure_while_a_file_is_read_is_named_too(tmp_path):
    (tmp_path / "movie.tif").write_bytes(b"II*\0")
    with (
        pytest.raises(InputError, match=r"movie\.tif: cannot be read: Input/output error$"),
        open_input(tmp_path / "movie.tif"),
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
