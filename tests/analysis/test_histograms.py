"""Histograms: bars of whole numbers that are even where the values are."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.analysis.histograms import histogram_of, whole_number_edges


@pytest.mark.parametrize("n_numbers", [7, 100, 102, 150, 250, 1000])
def test_whole_numbers_that_are_equally_frequent_give_bars_of_equal_height(n_numbers: int) -> None:
    histogram = histogram_of(np.repeat(np.arange(1, n_numbers + 1), 5))
    width = (histogram.high - histogram.low) / len(histogram.counts)
    assert width == np.ceil(n_numbers / 100)
    assert histogram.low == 0.5
    n_full = int(n_numbers // width)  # the last bar may reach beyond the greatest
    assert set(histogram.counts[:n_full].tolist()) == {5 * width}
    assert histogram.counts.sum() == 5 * n_numbers


def test_bars_of_whole_numbers_cover_them_all_and_are_no_more_than_allowed() -> None:
    for least, greatest, n_bars in ((0, 0, 80), (3, 82, 80), (-5, 76, 80), (1, 161, 80)):
        edges = whole_number_edges(least, greatest, n_bars)
        assert len(edges) - 1 <= n_bars
        assert edges[0] == least - 0.5
        assert edges[-1] >= greatest + 0.5
        assert set(np.diff(edges).tolist()) == {np.ceil((greatest - least + 1) / n_bars)}
