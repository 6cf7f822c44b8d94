"""A TIFF that is cut off or damaged is named instead of shortened, and a long one opens quickly."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc

import numpy as np
import pytest
import tifffile

from napari_subpixel.errors import InputError
from napari_subpixel.stacks import open_stack

from .movie_files import KINDS, grey_page, opens_as, refused, tiff_bytes


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_a_tiff_cut_off_anywhere_is_refused(tmp_path, frames, options):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, **options)
    # tifffile may end a file with some bytes that no page refers to; every byte before them counts.
    whole = path.stat().st_size - 64
    for size in sorted({*range(1, whole, 173), whole // 2, whole - 1}, reverse=True):
        os.truncate(path, size)
        refused(path)


@pytest.mark.parametrize(
    ("compression", "strips"),
    [(1, [(440, 40)]), (1, [(440, 20), (460, 20)]), (1, [(460, 20), (440, 20)]), (8, [(440, 40)])],
    ids=["one strip", "strips in one piece", "strips apart", "deflate"],
)
def test_a_tiff_that_lacks_the_last_byte_of_its_last_page_is_refused_before_any_pixel_is_read(
    tmp_path, compression, strips
):
    path = tmp_path / "movie.tif"
    tags = [tag for tag in grey_page(4, 5, 0) if tag[0] not in (259, 273, 279)]
    tags += [(259, 3, [compression]), (273, 4, [offset for offset, _ in strips]), (279, 4, [n for _, n in strips])]
    path.write_bytes(tiff_bytes([grey_page(4, 5, 400), sorted(tags)]).ljust(480, b"\0"))
    open_stack(path).close()
    os.truncate(path, 479)
    with pytest.raises(InputError, match="pixels of page 1 should reach byte 480, the file ends at byte 479"):
        open_stack(path)


def test_a_cut_that_tifffile_only_logs_is_refused_before_any_pixel_is_read(tmp_path, frames):
    path = tmp_path / "movie.tif"
    with tifffile.TiffWriter(path) as writer:
        for frame in frames:
            writer.write(frame, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        sixth = tiff.pages[6].offset
    os.truncate(path, sixth + 30)
    with tifffile.TiffFile(path) as tiff:
        assert 0 < len(tiff.pages) < len(frames)
    with pytest.raises(InputError, match=r"movie\.tif: the file is cut off: page 6 at byte .* is incomplete"):
        open_stack(path)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_imagej_may_announce_more_frames_than_there_are_pages_all_of_which_are_read(tmp_path, frames, options):
    """As where a program split the movie and left the description as it was."""
    text = "ImageJ=1.53t\nimages=12\nframes=12\n"
    tifffile.imwrite(tmp_path / "movie.tif", frames, description=text, metadata=None, **options)
    opens_as(tmp_path / "movie.tif", frames)
    with open_stack(tmp_path / "movie.tif") as stack:
        (warning,) = stack.warnings
    assert "announces 12 frames" in warning
    assert "9 pages" in warning


@pytest.mark.parametrize("description", ['{"shape": [12, 13, 17]}'])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_a_description_that_announces_more_frames_than_there_are_is_refused(tmp_path, frames, description, options):
    tifffile.imwrite(tmp_path / "movie.tif", frames, description=description, metadata=None, **options)
    refused(tmp_path / "movie.tif", "cut off", "announces 12 frames", "9")


def test_contiguous_imagej_data_shorter_than_announced_is_refused_on_opening(tmp_path, frames):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, imagej=True, truncate=True)
    os.truncate(path, path.stat().st_size - 2 * 13 * 17 * 2 - 1)
    with pytest.raises(InputError, match=r"announces 9 frames of 442 bytes, the bytes end after 6"):
        open_stack(path)


def test_a_movie_that_shrinks_while_it_is_read_is_noticed(tmp_path, frames):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, imagej=True, truncate=True)
    with open_stack(path) as stack:
        stack[0]
        os.truncate(path, path.stat().st_size - 10)
        with pytest.raises(InputError, match=r"movie\.tif: the file became shorter"):
            stack[8]
        path.unlink()


def test_damaged_compressed_pixels_are_refused_on_reading(tmp_path, frames):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[4].dataoffsets[0]
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(bytes(40))
    with open_stack(path) as stack:
        np.testing.assert_array_equal(stack[3], frames[3])
        with pytest.raises(InputError, match=r"movie\.tif: frame 4 cannot be read"):
            stack[4]


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (tiff_bytes([grey_page(4, 5, 0)]), "page 0 has no pixels"),
        (tiff_bytes([[t for t in grey_page(4, 5, 300) if t[0] != 273]]), "page 0 has no pixels"),
        (tiff_bytes([[t for t in grey_page(4, 5, 300) if t[0] != 256]]), "does not say its width"),
        (tiff_bytes([grey_page(4, 5, 8)] * 2, chain=[1, 0]), "circle after page 1"),
        (tiff_bytes([[(256, 3, [5])]])[:8] + b"\0\0" + bytes(40), "has 0 tags"),
        (b"II*\0\x10\0\0\0" + bytes(8) + b"\xff\xff" + bytes(99), "has 65535 tags"),
        (b"II*\0", "header is incomplete"),
        (b"II+\0\x08\0\0\0\x10\0\0\0", "header is incomplete"),
        (tiff_bytes([sorted([*grey_page(4, 5, 8), (270, 2, "x" * 9)])])[:124], "tag 270 of page 0 should be at"),
    ],
)
def test_damaged_tiffs_say_what_is_wrong(tmp_path, data, seen):
    (tmp_path / "movie.tif").write_bytes(data)
    refused(tmp_path / "movie.tif", seen)


def test_a_byte_count_of_zero_is_forgiven_where_the_size_is_known(tmp_path, frames):
    (tmp_path / "movie.tif").write_bytes(
        tiff_bytes([grey_page(13, 17, 300, count=0)]).ljust(300, b"\0") + frames[0].tobytes()
    )
    with open_stack(tmp_path / "movie.tif") as stack:
        np.testing.assert_array_equal(stack[0], frames[0])


def test_random_damage_never_ends_in_another_error(tmp_path, frames, rng):
    path = tmp_path / "movie.tif"
    for options in ({"metadata": None}, {"imagej": True}, {"ome": True}, {"rowsperstrip": 4, "bigtiff": True}):
        tifffile.imwrite(path, frames, **options)
        whole = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(whole)
            # Half of the places are near the start, where the tags are.
            for place in (rng.integers(len(whole)), rng.integers(400)):
                damaged[place] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                with open_stack(path) as stack:
                    stack[0]
            except InputError:
                continue


@pytest.fixture
def sparse_movie(tmp_path, rng):
    """A movie of 6.5 GB of which only the last frame takes room on the disk, as ImageJ writes such."""
    n_frames, height, width = 50_000, 250, 260
    text = f"ImageJ=1.53t\nimages={n_frames}\nframes={n_frames}\0"
    path = tmp_path / "large.tif"
    last = rng.integers(0, 2**16, (height, width)).astype(np.uint16)
    with open(path, "wb") as file:
        file.write(tiff_bytes([grey_page(height, width, 400, more=[(270, 2, text)])]))
        file.seek(400 + (n_frames - 1) * last.nbytes)
        file.write(last.tobytes())
    yield path, (n_frames, height, width), last
    path.unlink()


def test_two_frames_of_a_huge_movie_cost_the_time_and_memory_of_two_frames(sparse_movie):
    path, shape, last = sparse_movie
    assert path.stat().st_size > 6e9
    open_stack(path).close()  # what Python imports on the way is not the movie's
    tracemalloc.start()
    start = time.perf_counter()
    with open_stack(path) as stack:
        assert stack.shape == shape
        part = stack.read(shape[0] - 2, shape[0])
    taken, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(part[1], last)
    assert not part[0].any()
    assert taken < 2
    assert peak < 16 * 2**20


def test_a_movie_of_many_pages_opens_quickly(tmp_path):
    path = tmp_path / "long.tif"
    tifffile.imwrite(path, np.zeros((20_000, 4, 5), np.uint16), metadata=None)
    start = time.perf_counter()
    with open_stack(path) as stack:
        assert len(stack) == 20_000
    # About 0.15 s on one slow core; the limit leaves room for a busy machine.
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True}, {"byteorder": ">"}])
@pytest.mark.parametrize(
    ("chain", "n_listed", "said"), [("ends", 1, "1 page and holds 8"), ("skips", 8, "8 pages and")]
)
def test_pages_that_the_chain_leads_past_are_noticed(tmp_path, frames, options, chain, n_listed, said):
    path = tmp_path / "movie.tif"
    for frame in frames:
        tifffile.imwrite(path, frame, append=path.exists(), metadata=None, **options)
    with tifffile.TiffFile(path) as tiff:
        size, kind = (8, "Q") if tiff.is_bigtiff else (4, "I")
        page = tiff.pages[0]
        link = page.offset + (8 if tiff.is_bigtiff else 2) + len(page.tags) * (20 if tiff.is_bigtiff else 12)
        target = 0 if chain == "ends" else tiff.pages[2].offset
        order = tiff.byteorder
    content = bytearray(path.read_bytes())
    with open_stack(path) as stack:
        assert stack.warnings == ()
    content[link : link + size] = struct.pack(order + kind, target)
    path.write_bytes(content)
    with open_stack(path) as stack:
        assert stack.n_frames == n_listed
        assert any("the file is damaged: it lists " + said in warning for warning in stack.warnings)


def test_tags_that_a_program_left_behind_are_no_frames(tmp_path, frames):
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, frames, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        tags = path.read_bytes()[page.offset : page.offset + 2 + 12 * len(page.tags) + 4]
    with open(path, "ab") as file:
        file.write(tags)
    with open_stack(path) as stack:
        assert stack.warnings == ()


def test_pages_larger_than_of_any_camera_are_refused(tmp_path):
    for height, width in ((2**31, 5), (4, 2**31)):
        page = [
            (t, 4 if t in (256, 257) else kind, values) for t, kind, values in grey_page(height, width, 400, count=9)
        ]
        page = [(t, kind, [5] if t == 259 else values) for t, kind, values in page]
        (tmp_path / "movie.tif").write_bytes(tiff_bytes([page]).ljust(500, b"\0"))
        refused(tmp_path / "movie.tif", "which no camera takes")
