"""Plots of a report: what their bars are of."""

from __future__ import annotations

import numpy as np
import pytest

from napari_subpixel.analysis.blinking import DurationStatistics
from napari_subpixel.reports.charts import Bars, Line
from napari_subpixel.reports.plots import times_chart


@pytest.mark.parametrize("n_lengths", [20, 120, 160])
def test_times_that_are_equally_frequent_give_bars_of_equal_height(n_lengths: int) -> None:
    frames = np.repeat(np.arange(1, n_lengths + 1), 300)
    uncut = np.zeros(len(frames), np.bool_)
    times = DurationStatistics(frames, uncut, np.full(len(frames), 10_000), 1)
    chart = times_chart("on", times)
    assert chart is not None
    bars = next(part for part in chart.parts if isinstance(part, Bars))
    width = np.diff(bars.edges)
    assert set(width.tolist()) == {1.0 if n_lengths == 20 else 2.0}
    assert set(np.asarray(bars.counts)[:-1].tolist()) == {300 * width[0]}
    line = next(part for part in chart.parts if isinstance(part, Line))
    np.testing.assert_allclose(line.y, times.expected(np.asarray(line.x)) * width[0])
