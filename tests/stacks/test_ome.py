"""OME-TIFF: frames are found where the XML says, in one file or several."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_subpixel.errors import ChannelsError, IncompleteMovieError, InputError, SeriesError
from napari_subpixel.stacks import open_stack

from .movie_files import SHAPE, opens_as, refused

OME = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"{uuid}>{body}</OME>'


def ome_xml(n_frames, data, *, uuid="", order="XYCZT", extra="", **sizes) -> str:
    sizes = {"SizeT": n_frames, "SizeC": 1, "SizeZ": 1, "SizeY": SHAPE[1], "SizeX": SHAPE[2], **sizes}
    numbers = " ".join(f'{k}="{v}"' for k, v in sizes.items())
    pixels = f'<Pixels ID="P:0" DimensionOrder="{order}" Type="uint16" {numbers} {extra}>{data}</Pixels>'
    uuid = f' UUID="{uuid}"' if uuid else ""
    return OME.format(uuid=uuid, body=f'<Image ID="I:0">{pixels}</Image>')


def block(first, ifd, count, uuid=None, file=None) -> str:
    inner = f'<UUID FileName="{file}">{uuid}</UUID>' if uuid else ""
    return f'<TiffData FirstT="{first}" IFD="{ifd}" PlaneCount="{count}">{inner}</TiffData>'


def write_ome(path, frames, xml) -> None:
    tifffile.imwrite(path, frames, description=xml, metadata=None, photometric="minisblack")


def two_ome_files(folder, frames) -> Path:
    data = block(0, 0, 4, "urn:uuid:a", "a.ome.tif") + block(4, 0, 5, "urn:uuid:b", "b.ome.tif")
    write_ome(folder / "a.ome.tif", frames[:4], ome_xml(9, data, uuid="urn:uuid:a"))
    write_ome(folder / "b.ome.tif", frames[4:], ome_xml(9, data, uuid="urn:uuid:b"))
    return folder / "a.ome.tif"


def test_an_ome_movie_in_two_files_opens_from_either(tmp_path, frames):
    first = two_ome_files(tmp_path, frames)
    opens_as(first, frames, name="a.ome.tif")
    opens_as(tmp_path / "b.ome.tif", frames)


def test_of_several_positions_in_two_files_each_the_one_that_the_file_belongs_to_opens(tmp_path, frames):
    """As microscopes write them: every file carries the XML of all positions."""
    images = ""
    for position in "01":
        names = [f"Pos{position}.ome.tif", f"Pos{position}_1.ome.tif"]
        data = "".join(block(4 * n, 0, 4 + n, f"urn:uuid:{name}", name) for n, name in enumerate(names))
        body = ome_xml(9, data)
        images += body[body.index("<Image") : body.index("</Image>") + len("</Image>")]
    movies = {"0": frames, "1": frames[::-1]}
    for position, movie in movies.items():
        for name, part in ((f"Pos{position}.ome.tif", movie[:4]), (f"Pos{position}_1.ome.tif", movie[4:])):
            write_ome(tmp_path / name, part, OME.format(uuid=f' UUID="urn:uuid:{name}"', body=images))
    for position, movie in movies.items():
        opens_as(tmp_path / f"Pos{position}.ome.tif", movie)
        opens_as(tmp_path / f"Pos{position}_1.ome.tif", movie, n_series=1)


def test_a_missing_companion_file_is_named(tmp_path, frames):
    first = two_ome_files(tmp_path, frames)
    (tmp_path / "b.ome.tif").unlink()
    refused(first, "b.ome.tif", "missing")


def test_a_companion_file_that_was_cut_off_is_named(tmp_path, frames):
    first = two_ome_files(tmp_path, frames)
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as tiff:
        third = tiff.pages[3].offset
    os.truncate(tmp_path / "b.ome.tif", third)
    with pytest.raises(InputError, match=r"b\.ome\.tif: the file is cut off"):
        open_stack(first)
    tifffile.imwrite(tmp_path / "b.ome.tif", frames[4:7], metadata=None, photometric="minisblack")
    with pytest.raises(InputError, match=r"b\.ome\.tif: the file is cut off.*page 3.*has 3 pages"):
        open_stack(first)


def test_a_renamed_ome_file_is_still_itself(tmp_path, frames):
    write_ome(tmp_path / "new.tif", frames, ome_xml(9, block(0, 0, 9, "urn:uuid:a", "old.ome.tif")))
    opens_as(tmp_path / "new.tif", frames)


def test_ome_frames_are_taken_from_the_pages_that_the_xml_says(tmp_path, frames):
    data = "".join(block(t, 8 - t, 1) for t in range(9))
    write_ome(tmp_path / "movie.ome.tif", frames[::-1], ome_xml(9, data))
    opens_as(tmp_path / "movie.ome.tif", frames)


@pytest.mark.parametrize("data", ["", "<TiffData/>", '<TiffData FirstT="0" PlaneCount="9"/>'])
def test_ome_xml_may_leave_the_pages_unsaid(tmp_path, frames, data):
    write_ome(tmp_path / "movie.ome.tif", frames, ome_xml(9, data))
    opens_as(tmp_path / "movie.ome.tif", frames)


def test_ome_xml_may_be_in_a_file_of_its_own_or_in_another_tiff(tmp_path, frames):
    data = block(0, 0, 9, "urn:uuid:a", "movie.ome.tif")
    only = '<BinaryOnly MetadataFile="{}" UUID="urn:uuid:m"/>'
    write_ome(tmp_path / "movie.ome.tif", frames, OME.format(uuid="", body=only.format("all.companion.ome")))
    refused(tmp_path / "movie.ome.tif", "all.companion.ome", "missing")
    (tmp_path / "all.companion.ome").write_text(ome_xml(9, data, uuid="urn:uuid:m"), encoding="utf-8")
    opens_as(tmp_path / "movie.ome.tif", frames)
    write_ome(tmp_path / "movie.ome.tif", frames, OME.format(uuid="", body=only.format("master.ome.tif")))
    write_ome(tmp_path / "master.ome.tif", frames[0], ome_xml(9, data, uuid="urn:uuid:m"))
    opens_as(tmp_path / "movie.ome.tif", frames)


def test_images_of_an_ome_file_are_series(tmp_path, frames):
    with tifffile.TiffWriter(tmp_path / "movie.ome.tif", ome=True) as writer:
        writer.write(frames[:4, :5], metadata={"axes": "TYX"})
        writer.write(frames[4:], metadata={"axes": "TYX"})
    message = refused(tmp_path / "movie.ome.tif", "holds 2 images", error=SeriesError)
    assert "0: 'Image0' 4x5x17; 1: 'Image1' 5x13x17" in message
    with open_stack(tmp_path / "movie.ome.tif", series=1) as second:
        assert (second.n_series, second.series, second.name) == (2, 1, "movie.ome.tif (series 1)")
        np.testing.assert_array_equal(second[:], frames[4:])
    refused(tmp_path / "movie.ome.tif", "series 2 asked for", series=2)


@pytest.mark.parametrize(
    ("xml", "seen"),
    [
        (ome_xml(12, "<TiffData/>"), "announces 12 frames and places only 9"),
        (
            ome_xml(12, block(0, 0, 12)),
            "its OME-XML announces 12 frames and places one on page 9, the file has 9 pages; 9 whole frames are there",
        ),
        (ome_xml(9, block(0, 0, 4)), "announces 9 frames and places only 4"),
        (ome_xml(3, block(0, 0, 9)), "announces 3 frames and places 9"),
        (ome_xml(0, block(0, 0, 9)), "no frames"),
        (ome_xml(9, block(11, 0, 1)), "its OME-XML is damaged"),
        (ome_xml(9, "", SizeT="nine"), "its OME-XML is damaged"),
        (ome_xml(9, "", SizeX=16), "OME-XML says frames of (13, 16), the pages are (13, 17)"),
        (ome_xml(3, "<TiffData/>", SizeZ=3), "axes TZCYX of shape (3, 3, 1, 13, 17)"),
        (ome_xml(9, "").replace("</Pixels>", "</Pixel>"), "its OME-XML is damaged"),
        (OME.format(uuid="", body='<Image ID="I:0"/>'), "does not describe the pixels"),
        (OME.format(uuid="", body=""), "the file has 0"),
    ],
)
def test_ome_xml_that_does_not_fit_the_pages_is_refused(tmp_path, frames, xml, seen):
    write_ome(tmp_path / "movie.ome.tif", frames, xml)
    refused(tmp_path / "movie.ome.tif", seen)


def test_an_ome_uuid_without_a_file_name_means_the_file_itself(tmp_path, frames):
    data = '<TiffData IFD="0" PlaneCount="9"><UUID>urn:uuid:a</UUID></TiffData>'
    write_ome(tmp_path / "movie.ome.tif", frames, ome_xml(9, data))
    opens_as(tmp_path / "movie.ome.tif", frames)


def three_files_of_micro_manager(folder, frames) -> list[Path]:
    """Write a movie as Micro-Manager does: the first file alone has the XML, the others name it."""
    names = ["x_MMStack_Pos0.ome.tif", "x_MMStack_Pos0_1.ome.tif", "x_MMStack_Pos0_2.ome.tif"]
    starts = [0, 4, 8, 9]
    data = "".join(
        block(t, t - start, 1, f"urn:uuid:{n}", names[n])
        for n, start in enumerate(starts[:-1])
        for t in range(start, starts[n + 1])
    )
    only = f'<BinaryOnly MetadataFile="{names[0]}" UUID="urn:uuid:0"/>'
    for n, name in enumerate(names):
        xml = OME.format(uuid=f' UUID="urn:uuid:{n}"', body=only) if n else ome_xml(9, data, uuid="urn:uuid:0")
        write_ome(folder / name, frames[starts[n] : starts[n + 1]], xml)
    return [folder / name for name in names]


def test_a_further_file_of_micro_manager_opens_the_whole_movie(tmp_path, frames):
    files = three_files_of_micro_manager(tmp_path, frames)
    for file in files:
        opens_as(file, frames, name=files[0].name, path=files[0])
    with open_stack(files[0]) as first, open_stack(files[2]) as last:
        assert first.fingerprint() == last.fingerprint()


def test_a_further_file_that_was_renamed_is_known_by_its_uuid_or_refused(tmp_path, frames):
    files = three_files_of_micro_manager(tmp_path, frames)
    (tmp_path / "copy.ome.tif").write_bytes(files[1].read_bytes())
    opens_as(tmp_path / "copy.ome.tif", frames)
    text = files[1].read_bytes().replace(b'UUID="urn:uuid:1"', b'NOID="urn:uuid:1"')
    (tmp_path / "copy.ome.tif").write_bytes(text)
    refused(tmp_path / "copy.ome.tif", files[0].name, "does not list it")


def test_the_files_of_micro_manager_that_were_found_give_the_right_movie(cases):
    folder = cases("mm-second-file")
    with open_stack(folder / "x_MMStack_Default.ome.tif") as first:
        for further in "12":
            opens_as(folder / f"x_MMStack_Default_{further}.ome.tif", first[:], path=first.path)


def test_a_folder_of_one_movie_in_several_files_is_that_movie(tmp_path, frames):
    files = three_files_of_micro_manager(tmp_path, frames)
    opens_as(tmp_path, frames, path=files[0])


@pytest.mark.parametrize("data", ["", block(0, 0, 30), "".join(block(t, t, 1) for t in range(30))])
def test_of_a_stopped_acquisition_the_whole_frames_are_counted_and_can_be_asked_for(tmp_path, frames, data):
    write_ome(tmp_path / "movie.ome.tif", frames, ome_xml(30, data))
    refused(tmp_path / "movie.ome.tif", "announces 30 frames", "9 whole frames are there", error=IncompleteMovieError)
    refused(tmp_path / "movie.ome.tif", "9 whole frames", stop=10)
    with open_stack(tmp_path / "movie.ome.tif", stop=9) as stack:
        np.testing.assert_array_equal(stack[:], frames)
        assert "9 whole frames are there" in stack.warnings[0]
    with pytest.raises(IncompleteMovieError) as caught:
        open_stack(tmp_path / "movie.ome.tif")
    assert caught.value.n_frames == 9


def test_the_channels_of_a_stopped_acquisition_are_whole_as_far_as_they_go(tmp_path, frames):
    xml = ome_xml(30, "".join(f'<TiffData FirstT="{n // 2}" FirstC="{n % 2}" IFD="{n}"/>' for n in range(60)), SizeC=2)
    write_ome(tmp_path / "movie.ome.tif", frames, xml)
    refused(tmp_path / "movie.ome.tif", "2 channels", error=ChannelsError)
    for channel, n in ((0, 5), (1, 4)):
        refused(tmp_path / "movie.ome.tif", f"{n} whole frames", channel=channel, error=IncompleteMovieError)
        with open_stack(tmp_path / "movie.ome.tif", channel=channel, stop=n) as stack:
            np.testing.assert_array_equal(stack[:], frames[channel::2])


def test_the_stopped_acquisitions_that_were_found_can_be_read(cases):
    folder = cases("stopped-acquisition")
    with open_stack(folder / "stopped_listed.ome.tif", stop=40) as stack:
        assert stack.n_frames == 40
    with open_stack(folder / "ij_more.tif") as stack:
        assert stack.n_frames == 40
        assert "announces 80 frames" in stack.warnings[0]


def test_the_two_positions_that_were_found_are_listed_and_chosen(cases):
    path = cases("multi-series") / "twopos.ome.tif"
    refused(path, "0: 'Image0' 40x48x64; 1: 'Image1' 40x48x64", error=SeriesError)
    with open_stack(path, series=0) as first, open_stack(path, series=1) as second:
        assert first.fingerprint()["frames_sha256"] != second.fingerprint()["frames_sha256"]
