"""Movies in the files that microscopes leave behind: parts, positions, channels, stopped acquisitions."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_subpixel import formats
from napari_subpixel.stacks import open_stack

CAMERA = ("--model", "paper", "--device", "cpu")


@pytest.fixture
def frames(movie) -> np.ndarray:
    with open_stack(movie) as stack:
        return stack[:]


def write(path, frames, **options):
    tifffile.imwrite(path, frames, **{"photometric": "minisblack", "metadata": None, **options})
    return path


def announcing(n_frames: int, frames: np.ndarray) -> str:
    height, width = frames.shape[1:]
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        f'<Pixels ID="P:0" DimensionOrder="XYCZT" Type="uint16" SizeT="{n_frames}" SizeC="1" SizeZ="1" '
        f'SizeY="{height}" SizeX="{width}" PhysicalSizeX="0,1" PhysicalSizeY="0,1"><TiffData/></Pixels></Image></OME>'
    )


def test_a_stopped_acquisition_is_refused_with_the_way_on_which_works(run, refuse, frames, tmp_path):
    movie, out = tmp_path / "stopped.ome.tif", tmp_path / "found.csv"
    write(movie, frames, description=announcing(100, frames))
    message = refuse("detect", movie, "-o", out, *CAMERA)
    assert "announces 100 frames" in message
    assert message.endswith("12 whole frames are there; --frames 0:12 takes them, --follow also those to come")
    refuse("detect", movie, "-o", out, *CAMERA, "--frames", "0:13")
    status, _, err = run("detect", movie, "-o", out, *CAMERA, "--frames", "0:12")
    assert status == 0
    assert "warning: stopped.ome.tif: its OME-XML announces 100 frames" in err
    assert formats.read(out).n_frames == 12


def test_parts_are_joined_into_one_table(run, refuse, frames, movie, tmp_path):
    parts = [write(tmp_path / name, part) for name, part in (("a.tif", frames[:5]), ("a_1.tif", frames[5:]))]
    size = ("--pixel-size-nm", 100)
    status, _, _ = run("detect", *parts[::-1], "--join", "-o", tmp_path / "joined.csv", *CAMERA, *size)
    assert status == 0
    assert run("detect", movie, "-o", tmp_path / "whole.csv", *CAMERA).status == 0
    assert (tmp_path / "joined.csv").read_text() == (tmp_path / "whole.csv").read_text()
    apart = run("detect", *parts, "-o", f"{tmp_path / 'apart'}/", *CAMERA, *size)
    assert "a_1.tif: are they parts of one movie? --join makes one table of them" in apart.err
    pattern = str(tmp_path / "a*.tif")
    assert run("detect", pattern, "--join", "-o", f"{tmp_path / 'tables'}/", *CAMERA, *size).status == 0
    assert (tmp_path / "tables" / "a.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert "--join takes finished files" in refuse(
        "detect", *parts, "--join", "--follow", "1", "-o", tmp_path / "b.csv", *CAMERA
    )


def test_positions_and_channels_are_listed_and_chosen(run, refuse, frames, tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.ome.tif", ome=True) as writer:
        for part in (frames[:5], frames[5:]):
            writer.write(part, metadata={"axes": "TYX"})
    out, size = tmp_path / "found.csv", ("--pixel-size-nm", 100)
    message = refuse("detect", tmp_path / "two.ome.tif", "-o", out, *CAMERA, *size)
    assert "0: 'Image0' 5x40x52; 1: 'Image1' 7x40x52" in message
    assert message.endswith("choose one with --series N")
    assert run("detect", tmp_path / "two.ome.tif", "--series", 1, "-o", out, *CAMERA, *size).status == 0
    assert formats.read(out).n_frames == 7
    both = frames.reshape(6, 2, *frames.shape[1:])
    names = {"axes": "TCYX", "Channel": {"Name": ["Cy3", "Cy5"]}}
    write(tmp_path / "both.ome.tif", both, ome=True, metadata=names)
    message = refuse("detect", tmp_path / "both.ome.tif", "-o", tmp_path / "b.csv", *CAMERA, *size)
    assert "0 'Cy3', 1 'Cy5'" in message
    assert message.endswith("choose one with --channel N or its name")
    done = run("detect", tmp_path / "both.ome.tif", "--channel", "Cy5", "-o", tmp_path / "b.csv", *CAMERA, *size)
    assert done.status == 0
    assert formats.read(tmp_path / "b.csv").provenance["movie"] == "both.ome.tif (channel Cy5)"
    again = ("-o", tmp_path / "b.csv", *CAMERA, *size, "--resume")
    assert run("detect", tmp_path / "both.ome.tif", "--channel", "Cy5", *again).status == 0
    assert "another channel (Cy5, now Cy3)" in refuse("detect", tmp_path / "both.ome.tif", "--channel", "Cy3", *again)
    like = ("--like", tmp_path / "b.csv", "-o", tmp_path / "c.csv", "--device", "cpu")
    assert run("detect", tmp_path / "both.ome.tif", *like).status == 0
    assert (tmp_path / "c.csv").read_text() == (tmp_path / "b.csv").read_text()


def test_pixels_that_are_not_square_are_said_and_used(run, frames, tmp_path):
    movie = write(tmp_path / "odd.tif", frames, imagej=True, resolution=(10, 8), metadata={"axes": "TYX", "unit": "um"})
    status, _, err = run("detect", movie, "-o", tmp_path / "found.csv", *CAMERA)
    assert status == 0
    assert "warning: odd.tif: its pixels are 125 nm high and 100 nm wide, not square" in err
    assert formats.read(tmp_path / "found.csv").pixel_size_nm == (125, 100)
    given = ("--pixel-size-nm", "120,100", "-o", tmp_path / "given.csv")
    assert run("detect", movie, *CAMERA, *given).status == 0
    assert formats.read(tmp_path / "given.csv").pixel_size_nm == (120, 100)
