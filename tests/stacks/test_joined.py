"""A movie that was split into several files is joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel.errors import InputError
from napari_subpixel.stacks import SplitMovie, open_stack

from .movie_files import opens_as


def write_parts(folder: Path, names, frames, **options) -> list[Path]:
    for name, part in zip(names, np.array_split(frames, len(names)), strict=True):
        tifffile.imwrite(folder / name, part, **{"metadata": None, "photometric": "minisblack", **options})
    return [folder / name for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ["x_NDTiffStack.tif", "x_NDTiffStack_1.tif", "x_NDTiffStack_2.tif"],
        ["spool.tif", "spool_X2.tif", "spool_X3.tif"],
        ["part9.tif", "part10.tif", "part11.tif"],
        ["movie.tif", "movie (1).tif", "movie (2).tif"],
    ],
)
def test_parts_are_joined_in_the_order_of_their_numbers(tmp_path, frames, names):
    paths = write_parts(tmp_path, names, frames)
    opens_as(paths[::-1], frames, name=f"{names[0]} and 2 more", path=paths[0], files=paths, warnings=())
    with open_stack(tmp_path, join=True) as folder:
        np.testing.assert_array_equal(folder[:], frames)
        np.testing.assert_array_equal(folder[7:1:-2, 3], frames[7:1:-2, 3])


def test_a_missing_part_is_said(tmp_path, frames):
    paths = write_parts(tmp_path, ["a.tif", "a_1.tif", "a_3.tif"], frames)
    with open_stack(paths) as stack:
        assert "a_1.tif is followed by a_3.tif" in stack.warnings[0]
    paths = write_parts(tmp_path, ["b.tif", "b_X4.tif"], frames)
    with open_stack(paths) as stack:
        assert "b.tif is followed by b_X4.tif" in stack.warnings[0]


def test_parts_that_do_not_fit_are_refused(tmp_path, frames):
    first, second = write_parts(tmp_path, ["a.tif", "a_1.tif"], frames)
    tifffile.imwrite(second, frames[:, :4], metadata=None)
    with pytest.raises(InputError, match=r"a_1\.tif: cannot be joined to a\.tif: it has frames of \(4, 17\), that has"):
        open_stack([first, second])
    tifffile.imwrite(second, frames.astype(np.float32), metadata=None)
    with pytest.raises(InputError, match=r"a_1\.tif: cannot be joined .* type float32, that has uint16"):
        open_stack([first, second])
    with pytest.raises(InputError, match="given twice"):
        SplitMovie([first, first])
    with pytest.raises(InputError, match="no files"):
        open_stack([])


def test_the_pixel_size_of_parts_is_that_of_any_and_must_not_differ(tmp_path, frames):
    about = {"imagej": True, "metadata": {"axes": "TYX", "unit": "um"}}
    tifffile.imwrite(tmp_path / "a.tif", frames[:4], metadata=None, photometric="minisblack")
    tifffile.imwrite(tmp_path / "a_1.tif", frames[4:], resolution=(10, 10), **about)
    opens_as([tmp_path / "a.tif", tmp_path / "a_1.tif"], frames, pixel_size_nm=100)
    tifffile.imwrite(tmp_path / "a.tif", frames[:4], resolution=(8, 8), **about)
    with pytest.raises(InputError, match=r"it has pixels of 100 nm, that of 125 nm"):
        open_stack([tmp_path / "a.tif", tmp_path / "a_1.tif"])


def test_a_joined_movie_is_opened_again_from_what_it_says(tmp_path, frames):
    paths = write_parts(tmp_path, ["a.tif", "a_1.tif"], frames)
    with open_stack(paths) as stack, open_stack(**stack.opening) as again:
        assert again.fingerprint() == stack.fingerprint()
