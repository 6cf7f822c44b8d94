"""Scale bars and colour bars on pictures."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.colours import COLORMAPS, colour_table, render_coloured
from napari_subpixel.rendering.image_files import save_preview
from napari_subpixel.rendering.marks import FONT, draw_colour_bar, draw_scale_bar, text_dots


def shows(picture: np.ndarray, text: str) -> bool:
    """Say whether a text is on a picture, in white dots of any size."""
    white = (picture == 255).all(axis=-1)
    for dot in (1, 2, 3):
        dots = np.kron(text_dots(text), np.ones((dot, dot), bool))
        windows = np.lib.stride_tricks.sliding_window_view(white, dots.shape)
        if (windows == dots).all(axis=(2, 3)).any():
            return True
    return False


def test_every_sign_is_seven_rows_of_five_dots_and_no_two_are_the_same():
    assert all(len(rows) == 14 and max(bytes.fromhex(rows)) < 32 for rows in FONT.values())
    assert len(set(FONT.values())) == len(FONT)


def test_a_scale_bar_of_a_large_picture_has_its_length_in_words():
    for side, length_nm, words in ((240, 500, "500 nm"), (700, 2000, "2 \xb5m")):
        picture = np.full((side, side + 40, 3), 120, np.uint8)
        draw_scale_bar(picture, length_nm, 10)
        assert shows(picture, words)
        assert (picture[-side // 10 :] == 255).all(axis=-1).sum(axis=1).max() == length_nm // 10


def test_a_coloured_picture_has_a_bar_of_its_colours(tmp_path):
    table = Localizations(
        {"frame": [0, 99], "y": [4.0, 9.0], "x": [4.0, 25.0]}, pixel_size_nm=100, frame_shape=(30, 40)
    )
    image = render_coloured(table, table.frame, pixel_size_nm=10, value_range=(0, 99.5), colormap="viridis")
    save_preview(tmp_path / "a.png", image)
    picture = imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    assert shows(picture, "0")
    assert shows(picture, "99.5")
    first, last = (np.rint(255 * colour_table(COLORMAPS["viridis"])[k]) for k in (0, -1))
    bar = picture[-9]
    assert (bar == first).all(axis=-1).any()
    assert np.argmax((bar == last).all(axis=-1)) - np.argmax((bar == first).all(axis=-1)) > 60


def test_a_small_picture_has_no_colour_bar():
    picture = np.zeros((60, 300, 3), np.uint8)
    draw_colour_bar(picture, colour_table(COLORMAPS["rainbow"]), (0, 1))
    assert not picture.any()


@pytest.mark.parametrize(("height", "width"), [(3200, 220), (2000, 210), (220, 3200)])
def test_a_narrow_picture_has_marks_as_small_as_a_square_one_of_its_shorter_side(height, width):
    picture = np.full((height, width, 3), 120, np.uint8)
    draw_colour_bar(picture, colour_table(COLORMAPS["hot"]), (0, 99.5))
    draw_scale_bar(picture, 500, 10)
    corner = picture[-40:]
    assert shows(corner, "500 nm")
    assert shows(corner, "99.5")
    assert (picture[:-40] == 120).all()
