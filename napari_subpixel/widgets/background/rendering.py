"""One rendering in the background: the request, the work, and the settings with which an image was rendered."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_subpixel.localizations import Localizations
from napari_subpixel.rendering.render import SuperResolutionImage, render
from napari_subpixel.widgets.background.worker import Work
from napari_subpixel.widgets.layers.movies import KEY
from napari_subpixel.widgets.layers.results import Ground, snapshot

if TYPE_CHECKING:
    from napari.layers import Image, Points


class RenderRequest(NamedTuple):
    """What to render: the points that are shown when the work begins, what they lie on, and how."""

    points: Points
    ground: Ground
    settings: dict[str, Any]
    by_hand: bool

    @property
    def words(self) -> str:
        """What is being done, for the progress text."""
        return f"rendering {self.points.name}"

    def work(self) -> Work:
        """Return the work, on the points shown now."""
        return Work(_rendered, snapshot(self.points), self.ground, self.settings)


def settings_of(image: Image) -> dict[str, Any] | None:
    """Return the settings with which an image of the whole frames was rendered; None if it is none."""
    about = image.metadata[KEY].provenance.get("render")
    if about is None:
        return None
    sigma = about.get("sigma_nm")
    return {
        "pixel_size_nm": about["pixel_size_nm"],
        "method": about["method"],
        "sigma_nm": sigma if isinstance(sigma, float) else None,
    }


def _rendered(
    table: Callable[[], Localizations], ground: Ground, settings: dict[str, Any]
) -> Generator[int | None, None, SuperResolutionImage]:
    """Render; the work can be stopped at each yield."""
    points = ground.table(table())
    yield None
    return (yield from render.steps(points, **settings))
