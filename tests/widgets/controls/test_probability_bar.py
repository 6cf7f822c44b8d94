"""The histogram of probabilities: each molecule in its bar, in the colours of the markers, pale below the threshold."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.controls.probability_bar import BARS_PX, N_BARS, ProbabilityBar, bar_colours
from napari_subpixel.widgets.layers.points import points_layer


@pytest.fixture
def bar(qtbot):
    bar = ProbabilityBar()
    qtbot.addWidget(bar)
    bar.resize(10 * N_BARS, bar.sizeHint().height())
    return bar


def test_every_molecule_is_in_its_bar(bar):
    bar.show_probabilities(np.array([0.0, 0.011, 0.5, 0.509, 0.999, 1.0], np.float32))
    assert {number: n for number, n in enumerate(bar.counts) if n} == {0: 2, 25: 2, 49: 2}
    assert not bar.isHidden()
    bar.show_probabilities(None)
    assert bar.isHidden()


def test_colours_are_those_of_the_markers():
    middles = (np.arange(N_BARS) + 0.5) / N_BARS
    table = Localizations({"frame": np.zeros(N_BARS), "y": middles, "x": middles, "probability": middles})
    markers = points_layer(table, name="found").border_color[:, :3]
    np.testing.assert_allclose([colour.getRgbF()[:3] for colour in bar_colours()], markers, atol=1e-4)


def test_bars_below_the_threshold_are_pale_and_the_colours_stay(bar):
    bar.show_probabilities(np.linspace(0, 1, 5001, dtype=np.float32))
    bar.show_threshold(0.5)
    picture = bar.grab().toImage()
    for number, pale in ((10, True), (40, False)):
        above, below = (picture.pixelColor(10 * number + 4, y) for y in (BARS_PX - 3, BARS_PX + 5))
        assert (above == below) is not pale
