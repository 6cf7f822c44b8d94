"""The curves of a training while it goes on: its losses, and the Jaccard index on what is held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_subpixel.reports.charts import BLUE, GREEN, GREY, VERMILION, Chart, Line
from napari_subpixel.widgets.controls.chart_view import ChartView

#: Height of a plot, in screen pixels.
HEIGHT_PX = 160
#: What is drawn of each report, by the names of the log's columns.
COLUMNS = ("iteration", "localization_loss", "count_loss", "jaccard")


class TrainingCurves(QWidget):
    """Two plots that grow with the reports of a training; hidden until there is one.

    Attributes
    ----------
    losses, scores : ChartView
    """

    def __init__(self) -> None:
        super().__init__()
        self.losses, self.scores = ChartView(HEIGHT_PX), ChartView(HEIGHT_PX)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(self.scores)
        rows.addWidget(self.losses)
        self.clear()

    def clear(self) -> None:
        """Forget all reports."""
        self._rows: list[list[float]] = []
        self._base: tuple[str, float] | None = None
        self._n_iterations = 0
        self.hide()

    def begin(self, n_iterations: int, log: Mapping[str, NDArray[np.float64]] | None) -> None:
        """Show a training of `n_iterations` steps, and what its log has of it already."""
        self.clear()
        self._n_iterations = n_iterations
        if log is not None:
            self._rows = np.column_stack([log[name] for name in COLUMNS]).tolist()
        self._draw()

    def show_base(self, name: str, jaccard: float) -> None:
        """Show what the model it starts from reaches."""
        self._base = name, jaccard
        self._draw()

    def add(self, report: Mapping[str, Any]) -> None:
        """Add a report of the training, by the names of `COLUMNS`."""
        self._rows.append([np.nan if report[name] is None else float(report[name]) for name in COLUMNS])
        self._draw()

    @property
    def last_jaccard(self) -> float | None:
        """The last measurement."""
        return next((row[-1] for row in reversed(self._rows) if np.isfinite(row[-1])), None)

    def _draw(self) -> None:
        self.losses.show_chart(self._losses_chart() if self._rows else None)
        self.scores.show_chart(
            self._scores_chart() if self._base is not None or self.last_jaccard is not None else None
        )
        self.setVisible(self.losses.chart is not None or self.scores.chart is not None)

    def _losses_chart(self) -> Chart:
        done, places, count, _ = np.array(self._rows).T
        lines = [Line(done, places, BLUE, "places and light"), Line(done, count, GREEN, "count", dash="4 3")]
        return Chart("Loss", "step", "", lines, x_range=(0, self._n_iterations))

    def _scores_chart(self) -> Chart:
        measured = [(row[0], row[-1]) for row in self._rows if np.isfinite(row[-1])]
        if self._base is not None:
            measured = [(0.0, self._base[1]), *measured]
        lines = []
        if self._base is not None:
            level = [self._base[1]] * 2
            lines.append(Line([0, self._n_iterations], level, GREY, f"{self._base[0]} as it is", dash="4 3"))
        lines.append(Line(*_columns(measured), VERMILION, "trained", width=2.0))
        return Chart("Jaccard index on held-out frames", "step", "", lines, x_range=(0, self._n_iterations))


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
