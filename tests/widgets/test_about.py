"""The widget *About*: what a table says of how it was made."""

from __future__ import annotations

import numpy as np
from qtpy.QtWidgets import QApplication

from napari_subpixel.localizations import Localizations
from napari_subpixel.widgets.about import UNKNOWN, AboutResult
from napari_subpixel.widgets.layers.points import points_layer, set_threshold


def test_it_describes_how_a_result_was_made_and_follows_its_threshold(viewer, qtbot):
    provenance = {"model": {"name": "default"}, "threshold": 0.2, "warnings": ["crowded"], "camera": {"em_gain": 3.0}}
    columns = {"frame": [0, 0, 1], "y": [1.0, 2, 3], "x": [1.0, 2, 3], "probability": [0.3, 0.6, 0.9]}
    made = Localizations(columns, pixel_size_nm=100, provenance=provenance)
    layer = viewer.add_layer(points_layer(made, name="made"))
    widget = AboutResult(viewer)
    viewer.window.add_dock_widget(widget, name="About")
    rows = dict(line.split("\t") for line in widget.table.text().splitlines()[1:])
    assert rows["model, name"] == "default"
    assert rows["camera, em_gain"] == "3"
    assert rows["pixel_size_nm"] == "100"
    assert widget.warnings.text() == "crowded"
    set_threshold(layer, 0.5)
    assert widget.summary.text().startswith("2 of 3 rows")
    widget.copy()
    assert "model, name\tdefault" in QApplication.clipboard().text()
    widget.points.value = viewer.add_layer(
        points_layer(Localizations({n: np.zeros(1) for n in ["frame", "y", "x"]}), name="bare")
    )
    assert UNKNOWN in widget.summary.text()
    assert widget.warnings.isHidden()
