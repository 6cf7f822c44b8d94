"""Files of rendered images: OME-TIFF with pixel size and provenance, and PNG with a scale bar."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering import image_files as module
from napari_subpixel.rendering.image_files import check_image_output, save_image, save_preview
from napari_subpixel.rendering.render import SuperResolutionImage, render

SHAPE = (12, 19)


def points(y, x, *, pixel_size_nm=100.0):
    columns = {"frame": np.zeros(len(y), int), "y": y, "x": x}
    return Localizations(columns, pixel_size_nm=pixel_size_nm, frame_shape=SHAPE, provenance={"movie": "a.tif"})


@pytest.fixture
def rendered(rng) -> SuperResolutionImage:
    y, x = (rng.uniform(-0.5, side - 0.5, 80) for side in SHAPE)
    return render(points(y, x, pixel_size_nm=97.0), pixel_size_nm=12.5)


@pytest.mark.parametrize("name", ["image.tif", "image.TIFF", "image.ome.tif"])
def test_a_saved_image_comes_back_with_its_pixel_size(tmp_path, rendered, name):
    save_image(tmp_path / name, rendered)
    with tifffile.TiffFile(tmp_path / name) as tiff:
        assert tiff.is_ome
        assert tiff.series[0].axes == "YX"
        assert np.array_equal(tiff.asarray(), rendered.image)
        assert tiff.asarray().dtype == np.float32
        pixels = ElementTree.fromstring(tiff.ome_metadata).find(".//{*}Pixels").attrib
        assert tiff.pages[0].resolution == pytest.approx((8e5, 8e5))  # pixels per centimetre
    assert rendered.image.shape == (94, 148)
    assert (pixels["SizeY"], pixels["SizeX"]) == ("94", "148")
    assert (float(pixels["PhysicalSizeY"]), float(pixels["PhysicalSizeX"])) == (12.5, 12.5)
    assert (pixels["PhysicalSizeYUnit"], pixels["PhysicalSizeXUnit"]) == ("nm", "nm")


def test_a_saved_image_tells_where_it_comes_from(tmp_path, rendered):
    rendered.provenance["movie"] = 'Zellkern <µ> "1".tif'
    save_image(tmp_path / "image.tif", rendered)
    with tifffile.TiffFile(tmp_path / "image.tif") as tiff:
        values = ElementTree.fromstring(tiff.ome_metadata).findall(".//{*}MapAnnotation//{*}M")
    assert {value.get("K"): json.loads(value.text) for value in values} == rendered.provenance


def test_the_same_image_gives_the_same_bytes(tmp_path, rendered):
    for name in ("a.tif", "b.tif"):
        save_image(tmp_path / name, rendered)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_an_image_that_is_there_is_kept_unless_told_otherwise(tmp_path, rendered):
    for save, name in ((save_image, "image.tif"), (save_preview, "image.png")):
        (tmp_path / name).write_text("precious")
        with pytest.raises(InputError, match=f"{name}: exists already"):
            save(tmp_path / name, rendered)
        assert (tmp_path / name).read_text() == "precious"
        save(tmp_path / name, rendered, overwrite=True)
        assert (tmp_path / name).stat().st_size > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.png", "image.tif"]


def test_an_image_of_another_suffix_or_into_nowhere_is_refused(tmp_path, rendered):
    with pytest.raises(InputError, match=r"image.jpg: the image's name must end in .tif or .tiff"):
        check_image_output(tmp_path / "image.jpg", overwrite=False)
    with pytest.raises(InputError, match=r"image.jpg: the image's name must end in .tif or .tiff"):
        save_image(tmp_path / "image.jpg", rendered)
    with pytest.raises(InputError, match=r"image.tif: the image's name must end in .png"):
        save_preview(tmp_path / "image.tif", rendered)
    for save, name in ((save_image, "image.tif"), (save_preview, "image.png")):
        with pytest.raises(InputError, match=r"the folder .*nowhere does not exist"):
            save(tmp_path / "nowhere" / name, rendered)
    assert not list(tmp_path.iterdir())


def decoded(path):
    return imagecodecs.png_decode(path.read_bytes())


def test_a_preview_is_dark_where_the_image_is_and_bright_where_points_are(tmp_path, rendered):
    save_preview(tmp_path / "image.png", rendered)
    picture = decoded(tmp_path / "image.png")
    assert picture.shape == (94, 148, 3)
    assert picture.dtype == np.uint8
    assert not picture[rendered.image == 0].any()
    assert picture[np.unravel_index(rendered.image.argmax(), rendered.image.shape)].tolist() == [255, 255, 255]
    save_preview(tmp_path / "gray.png", rendered, colormap="gray")
    gray = decoded(tmp_path / "gray.png")
    assert (gray == gray[..., :1]).all()
    order = np.argsort(rendered.image, axis=None)
    assert (np.diff(gray[..., 0].ravel()[order].astype(int)) >= 0).all()


def test_a_preview_of_nothing_is_black(tmp_path):
    save_preview(tmp_path / "image.png", render(points([], [])))
    assert not decoded(tmp_path / "image.png").any()


def test_a_preview_of_a_large_image_is_smaller(tmp_path, rendered, monkeypatch):
    monkeypatch.setattr(module, "PREVIEW_SIDE_PX", 60)
    save_preview(tmp_path / "image.png", rendered, scale_bar_nm=12.5 * 3 * 10)
    picture = decoded(tmp_path / "image.png")
    assert picture.shape == (32, 50, 3)  # 94 x 148 in blocks of 3 x 3, the last ones cut
    assert bar_length(picture) == 10


def bar_length(picture):
    return int(max((row == 255).all(axis=1).sum() for row in picture[-len(picture) // 10 :]))


def test_a_scale_bar_has_its_length(tmp_path):
    save_preview(tmp_path / "image.png", render(points([], []), pixel_size_nm=10), scale_bar_nm=500)
    picture = decoded(tmp_path / "image.png")
    assert bar_length(picture) == 50
    assert not picture[:, -1].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"colormap": "hott"},
            "colormap must be one of hot, gray, magma, viridis, rainbow, got 'hott'; did you mean 'hot'",
        ),
        ({"scale_bar_nm": 1e6}, r"a scale bar of 1e\+06 nm does not fit a picture of 94 x 148 pixels"),
        ({"scale_bar_nm": 1}, "a scale bar of 1 nm does not fit"),
        ({"scale_bar_nm": -500}, "a scale bar of -500 nm does not fit"),
        ({"scale_bar_nm": np.nan}, "preview: scale_bar_nm must be finite, got nan"),
    ],
)
def test_a_preview_that_cannot_be_is_refused(tmp_path, rendered, changes, message):
    with pytest.raises(InputError, match=message):
        save_preview(tmp_path / "image.png", rendered, **changes)
    assert not list(tmp_path.iterdir())


def test_a_preview_of_few_points_is_not_black(tmp_path):
    """On a screen of a thousand pixels; bright molecules are drawn sharper, and do not outshine the others."""
    rng = np.random.default_rng(3)
    y, x = rng.uniform(0, 255, (2, 900))
    spread = np.exp(rng.normal(np.log(0.1), 0.8, 900)).astype(np.float32)
    table = Localizations(
        {"frame": np.zeros(900), "y": y, "x": x, "y_uncertainty": spread, "x_uncertainty": spread},
        pixel_size_nm=100, frame_shape=(256, 256),
    )  # fmt: skip
    save_preview(tmp_path / "few.png", render(table))
    picture = imagecodecs.png_decode((tmp_path / "few.png").read_bytes()).max(axis=2).astype(float)
    screen = picture.reshape(640, 4, 640, 4).mean(axis=(1, 3))
    at = np.clip((np.column_stack([y, x]) + 0.5) * 2.5, 0, 639).astype(int)
    assert np.mean(screen[at[:, 0], at[:, 1]] > 60) > 0.8
