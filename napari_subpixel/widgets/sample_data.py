"""Sample data for napari, simulated on demand: a crowded movie of microtubules with its truth."""

from __future__ import annotations

import numpy as np

from napari_subpixel.simulation.settings import crowded_microtubules
from napari_subpixel.simulation.simulate import simulate
from napari_subpixel.stacks import open_stack
from napari_subpixel.widgets.layers.movies import KEY, LayerData, MovieLayer, movie_layer_data
from napari_subpixel.widgets.layers.points import points_layer

#: Frames of the movie.
N_FRAMES = 200
#: Seed of the simulation.
SEED = 7


def microtubules() -> list[LayerData]:
    """Simulate a movie that suits the model ``paper``; return it and its true molecules as layers in nm."""
    from napari.layers import Layer

    settings = crowded_microtubules(n_frames=N_FRAMES)
    frames, truth = simulate(settings, np.random.default_rng(SEED))
    movie = movie_layer_data(open_stack(frames, name="microtubules (simulated)"), settings.camera)
    points = points_layer(truth, MovieLayer(Layer.create(*movie)), name="truth", colour="cyan", symbol="cross")
    movie[1]["metadata"][KEY].layer = None  # the notes belong to the layer that napari will make
    return [movie, points.as_layer_data_tuple()]
