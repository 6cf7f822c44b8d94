"""napari itself: a real window opens, draws an image and points, and closes without leaving anything behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np


def test_a_viewer_draws_an_image_and_points_over_it(
    make_napari_viewer: Callable[..., Any], rng: np.random.Generator
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(rng.uniform(size=(3, 48, 64)), scale=(1, 100, 100), name="movie")
    bare = viewer.screenshot(canvas_only=True, flash=False)
    viewer.add_points([[10, 20], [30, 5]], scale=(100, 100), size=8, face_color="red", border_width=0)
    picture = viewer.screenshot(canvas_only=True, flash=False)

    def red_pixels(rgba: np.ndarray) -> int:
        return int(np.sum((rgba[..., 0] > 200) & (rgba[..., 1:3].max(axis=-1) < 50)))

    assert len(np.unique(bare[..., 0])) > 20
    assert red_pixels(bare) == 0
    assert red_pixels(picture) > 20


def test_the_plugin_is_found_by_napari(make_napari_viewer: Callable[..., Any]) -> None:
    from npe2 import PluginManager

    make_napari_viewer()
    manager = PluginManager()
    manager.discover()
    assert manager.get_manifest("napari-subpixel").display_name == "Subpixel"


def test_a_closed_viewer_leaves_no_thread(make_napari_viewer: Callable[..., Any]) -> None:
    before = set(threading.enumerate())
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((2, 6, 5)))
    viewer.close()
    assert not [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
