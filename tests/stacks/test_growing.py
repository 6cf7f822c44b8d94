"""Of a movie that is still being written, the frames that are whole, and when it has ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_subpixel.errors import InputError
from napari_subpixel.stacks import growing, open_stack, watch_growth

#: Seconds without a byte after which a movie is complete, by a clock that only sleep moves.
IDLE_S = 3.0
OME = """<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="movie.ome.tif">
<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="52" SizeY="40" SizeC="1"
SizeZ="1" SizeT="18">{}</Pixels></Image></OME>"""


@pytest.fixture(autouse=True)
def no_waiting(clock):
    """By a clock of the tests' own."""


@pytest.fixture
def frames(rng) -> np.ndarray:
    return rng.integers(0, 2**16, (18, 40, 52)).astype(np.uint16)


def append(path: Path, frames: np.ndarray) -> None:
    for frame in frames:
        tifffile.imwrite(path, frame, append=True, photometric="minisblack", metadata=None)


def whole(path: Path) -> np.ndarray:
    with open_stack(path, growing=True) as stack:
        return stack[:]


@pytest.mark.parametrize("bigtiff", [False, True])
def test_of_a_file_cut_anywhere_the_whole_frames_are_taken(bigtiff, frames, tmp_path):
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as writer:
        ends = []
        for frame in frames[:5]:
            writer.write(frame, contiguous=False, photometric="minisblack", metadata=None)
            writer.filehandle.flush()
            ends.append(path.stat().st_size)
    content = path.read_bytes()
    seen = set()
    for length in range(ends[0], len(content) + 1, 97):
        path.write_bytes(content[:length])
        n = len(whole(path))
        assert n in (k := sum(end <= length for end in ends), k + 1)  # padding may be missing from a whole frame
        np.testing.assert_array_equal(whole(path), frames[:n])
        seen.add(n)
        if n < 5:
            with pytest.raises(InputError):
                open_stack(path)
    assert seen >= {1, 2, 3, 4}


def test_of_frames_announced_by_ome_xml_those_are_taken_that_are_there(frames, tmp_path):
    path = tmp_path / "movie.ome.tif"
    blocks = "".join(
        f'<TiffData FirstT="{t}" IFD="{t % 9}" PlaneCount="1"><UUID FileName="{name}">{name}</UUID></TiffData>'
        for t in range(18)
        for name in ["movie.ome.tif" if t < 9 else "movie_1.ome.tif"]
    )
    xml = OME.format(blocks)
    for file, part in ((path, frames[:9]), (tmp_path / "movie_1.ome.tif", frames[9:])):
        with tifffile.TiffWriter(file) as writer:
            for number, frame in enumerate(part):
                described = {} if number else {"description": xml}
                writer.write(frame, contiguous=False, photometric="minisblack", metadata=None, **described)
        if file == path:
            with pytest.raises(InputError, match=r"movie_1\.ome\.tif, which is missing"):
                open_stack(path)
            np.testing.assert_array_equal(whole(path), frames[:9])
    np.testing.assert_array_equal(whole(path), frames)
    (tmp_path / "movie_1.ome.tif").rename(tmp_path / "kept")
    (tmp_path / "movie_1.ome.tif").write_bytes(b"II*\0\0\0\0\0")
    np.testing.assert_array_equal(whole(path), frames[:9])
    (tmp_path / "kept").replace(tmp_path / "movie_1.ome.tif")
    second = tmp_path / "movie_1.ome.tif"
    second.write_bytes(second.read_bytes()[:-100])
    with pytest.raises(InputError, match="cut off"):
        open_stack(path)
    np.testing.assert_array_equal(whole(path), frames[:17])


def test_of_frames_under_one_page_those_are_taken_that_are_there(frames, tmp_path):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, imagej=True)
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[0]
    content = path.read_bytes()
    ifd = int.from_bytes(content[4:8], "little" if content[:1] == b"I" else "big")
    assert ifd < start
    path.write_bytes(content[: start + 5 * 40 * 52 * 2 + 77])
    np.testing.assert_array_equal(whole(path), frames[:5])


def test_of_a_folder_the_files_before_one_that_is_not_whole_are_taken(frames, tmp_path):
    for number in range(4):
        append(tmp_path / f"img_{number}.tif", frames[number : number + 1])
    for content in (b"", b"II*\0\0\0\0\0"):
        (tmp_path / "img_4.tif").write_bytes(content)
        with pytest.raises(InputError, match="img_4"):
            open_stack(tmp_path)
        np.testing.assert_array_equal(whole(tmp_path), frames[:4])


def test_frames_for_which_there_is_only_room_do_not_count(frames, tmp_path):
    array = zarr.create_array(tmp_path / "m.zarr", shape=(18, 40, 52), chunks=(1, 40, 52), dtype=frames.dtype)
    snapshots = watch_growth(tmp_path / "m.zarr", idle_s=IDLE_S)
    seen = [next(snapshots), next(snapshots)]
    for n in (3, 4, 11):
        array[:n] = frames[:n]
        seen.append(next(snapshots))
        assert seen[-1].stack.n_frames == n
    assert [snapshot.stack for snapshot in seen[:2]] == [None, None]
    *_, last = snapshots
    assert last.stack.n_frames == 18


def test_a_movie_grows_as_long_as_a_file_does_that_goes_on_with_it(frames, tmp_path):
    append(tmp_path / "m.tif", frames[:3])
    snapshots = watch_growth(tmp_path / "m.tif", idle_s=IDLE_S)
    for number in range(3, 18):
        append(tmp_path / "m_1.tif", frames[number : number + 1])
        assert not next(snapshots).ended
    assert sum(1 for _ in snapshots) == pytest.approx(IDLE_S / growing.MIN_PAUSE_S, abs=1)


def test_a_frame_counts_once_it_was_there_in_two_snapshots_and_all_of_them_at_the_end(frames, tmp_path):
    array = zarr.create_array(tmp_path / "m.zarr", shape=(2, 40, 52), chunks=(1, 40, 52), dtype=frames.dtype)
    array[:] = frames[:2]
    snapshots = watch_growth(tmp_path / "m.zarr", idle_s=IDLE_S)
    assert next(snapshots) == (None, False)
    assert next(snapshots).stack.n_frames == 2
    array.append(frames[2:5])
    assert next(snapshots).stack.n_frames == 2
    stack, ended = next(snapshots)
    assert not ended
    np.testing.assert_array_equal(stack[:], frames[:5])
    *_, last = snapshots
    assert last.ended
    assert last.stack.n_frames == 5
