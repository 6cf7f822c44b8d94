"""Text in panels: legible on both themes, and never wider than the panel; refusals with their cures."""

from __future__ import annotations

import pytest

from napari_subpixel.errors import InputError, PixelSizeError
from napari_subpixel.widgets.controls.refusals import Refusal, reason_first
from napari_subpixel.widgets.controls.run_cost import RunCost
from napari_subpixel.widgets.controls.words import LEAST_CONTRAST, Colour, Words, background_of, contrast

NAME = "2024-11-27_COS7_tubulin-AF647_cell03_roi2_dSTORM_640nm_20ms_EM200.ome.tif"


def test_black_on_white_has_the_contrast_that_wcag_gives():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("colour", Colour)
def test_every_colour_of_text_is_legible_on_both_themes(colour, theme):
    background = background_of(theme)
    assert contrast(colour.on(background), background) >= LEAST_CONTRAST


def test_a_long_name_does_not_widen_its_panel_and_is_broken_not_cut(qtbot):
    words = Words(f"1,600 points of {NAME} in 2,560 x 2,560 pixels")
    qtbot.addWidget(words)
    assert words.minimumSizeHint().width() <= 60
    assert words.text().count(NAME) == 1
    assert words.heightForWidth(200) > 3 * words.fontMetrics().height()


def test_a_refusal_names_the_reason_first_and_offers_its_cure(qtbot, shown):
    cured = []
    refusal = Refusal()
    qtbot.addWidget(refusal)
    with refusal.shown(lambda error: ("Set it", lambda: cured.append(error))):
        raise PixelSizeError(f"{NAME} localizations: the pixel size of the camera is not known")
    assert refusal.words.text().startswith("the pixel size of the camera is not known")
    assert NAME in refusal.words.text()
    assert not refusal.isHidden()
    refusal.button.click()
    assert len(cured) == 1
    with refusal.shown(lambda _: None):
        pass
    assert refusal.isHidden()


def test_a_refusal_without_a_name_is_as_it_is():
    assert reason_first(InputError("tolerances are numbers, got 'a: b'")) == "tolerances are numbers, got 'a: b'"


def test_the_time_of_a_run_follows_from_a_frame_and_names_the_quick_model_for_long_ones():
    cost = RunCost()
    assert cost.words("movie", "default", 2000) == ""
    cost.note("movie", "default", 2.2)
    assert cost.words("movie", "default", 2000) == (
        "About 1 h 13 min at 2.2 s a frame. The model 'fast' takes about 12 min."
    )
    cost.note("movie", "fast", 0.2)
    assert cost.words("movie", "default", 2000).endswith("The model 'fast' takes about 7 min.")
    assert cost.words("movie", "fast", 20) == "About 4 s at 5 frames/s."
    assert cost.words("movie", "default", 20) == "About 44 s at 2.2 s a frame."
    assert cost.words("another movie", "fast", 20) == ""
