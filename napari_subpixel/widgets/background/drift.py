"""Drift in the background: the estimate, and the two images from before and after."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_subpixel._util.records import naming
from napari_subpixel.analysis.drift import estimate_drift
from napari_subpixel.analysis.drift_curve import DriftCurve
from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import SuperResolutionImage, render
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.layers.drifted import without_correction
from napari_subpixel.widgets.layers.results import Ground, snapshot

if TYPE_CHECKING:
    from napari.layers import Points


def estimated(
    table: Callable[[], Localizations], ground: Ground, settings: dict[str, Any]
) -> Generator[str | None, None, DriftCurve]:
    """Estimate the drift of original positions; the work can be stopped at each yield.

    Parameters
    ----------
    table : callable
        Makes the table.
    ground : Ground
    settings : dict
        ``name`` of the layer, ``n_frames`` that the curve covers at least, and ``fiducials`` as `estimate_drift` takes
        them.
    """
    points = ground.table(table())
    yield None
    points = without_correction(points)
    points = points.with_about(n_frames=max(points.n_frames or 0, settings["n_frames"]))
    with naming(settings["name"]):
        return (yield from estimate_drift.steps(points, fiducials=settings["fiducials"]))


class BeforeAndAfter(NamedTuple):
    """Images of the same rows with and without drift."""

    before: SuperResolutionImage
    after: SuperResolutionImage


class CompareRequest(NamedTuple):
    """What to render twice, with and without drift.

    Attributes
    ----------
    points : napari.layers.Points
    ground : Ground
    curve : DriftCurve, optional
        Without it, the correction that the table has.
    settings : dict
        Of `render`.
    """

    points: Points
    ground: Ground
    curve: DriftCurve | None
    settings: dict[str, Any]
    by_hand: bool = True

    @property
    def words(self) -> str:
        """What is being done, for the progress text."""
        return f"rendering {self.points.name} before and after"

    def work(self) -> Work:
        """Return the work, on the points shown now."""
        return Work(_compared, snapshot(self.points), self.ground, self.curve, self.settings)


def _compared(
    table: Callable[[], Localizations], ground: Ground, curve: DriftCurve | None, settings: dict[str, Any]
) -> Generator[Any, None, BeforeAndAfter]:
    """Render the original and the corrected positions; the work can be stopped at each yield."""
    points = ground.table(table())
    yield None
    if points.frame_shape is None:
        height, width = (int(np.floor(along.max())) + 2 for along in (points.y, points.x))
        points = points.with_about(frame_shape=(max(height, 1), max(width, 1)))
    before = without_correction(points)
    after = points if curve is None else curve.correct(before)
    rendered = []
    for which in (before, after):
        rendered.append((yield from render.steps(which, **settings)))
    return BeforeAndAfter(*rendered)
