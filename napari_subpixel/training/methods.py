"""Every method of the papers by name: a network, an encoder and a decoder where it has them, and a loss.

All are trained by `napari_subpixel.training.trainer.train` on the same samples and detect through the same detector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from napari_subpixel.errors import InputError, suggest
from napari_subpixel.models.heatmap_networks import DeepStorm, HeatmapNetwork
from napari_subpixel.models.pixel_network import PointNetwork


@dataclass(frozen=True)
class Method:
    """A method that a user can train and a reader can compare.

    Attributes
    ----------
    title : str
        What it is, for a list.
    source : str
        Where it comes from.
    network : callable
        Returns a new network.
    objective : str
        What it minimises: one of `napari_subpixel.training.settings.OBJECTIVES`.
    settings : mapping
        What it wants of `napari_subpixel.training.settings.TrainingSettings`, where that differs from the paper's.
    """

    title: str
    source: str
    network: Callable[[], PointNetwork | HeatmapNetwork | DeepStorm]
    objective: str = "heatmap"
    settings: Mapping[str, Any] = field(default_factory=dict)


def _heatmap(encoder: str, decoder: str, **arguments: Any) -> Callable[[], HeatmapNetwork]:
    return partial(HeatmapNetwork, encoder, decoder, **arguments)


#: The paper.
PAPER = "Schroeter et al. 2020"
#: The source of the methods of one heatmap and several decoders.
DARK = "Zhang et al. 2020 (DARK)"
#: In crowds more than the next pixels of a maximum is its neighbours' light: wider windows halve the score there.
NARROW_PX = 1
#: Standard deviation of DSNT's target, which has to fit into that window. The brightest pixel of a wider one, shifted
#: until its expectation is the point, is often a neighbour of the point's, and the decoder looks round that: at 1 px,
#: up to 0.3 px away from the point; at 0.4 px, 0.002 px.
DSNT_WIDTH_PX = 0.4
#: The methods.
METHODS: dict[str, Method] = {
    "points": Method("points with offsets, heatmaps matched in closed form, counted", PAPER, PointNetwork, "paper"),
    "argmax": Method("heatmap, brightest pixel", DARK, _heatmap("quantised", "argmax")),
    "quarter": Method("heatmap, a quarter pixel towards the second brightest", DARK, _heatmap("quantised", "standard")),
    "refinement": Method(
        "heatmap, a Gaussian fitted to each maximum", PAPER, _heatmap("quantised", "Gaussian fit", reach_px=NARROW_PX)
    ),
    "dark": Method(
        "heatmap drawn at the true place, low-pass filter, Taylor expansion", DARK, _heatmap("unbiased", "dark")
    ),
    "taylor": Method("heatmap drawn at the true place, Taylor expansion", DARK, _heatmap("unbiased", "taylor")),
    "mass": Method(
        "heatmap drawn at the true place, centre of mass", DARK,
        _heatmap("unbiased", "centre of mass", reach_px=NARROW_PX),
    ),
    "h3r": Method(
        "heatmap of randomly rounded places, mean of the activation points",
        "Yu and Tao 2021 (H3R)",
        _heatmap("randomised", "activation points", width_px=0.0, reach_px=1),
    ),
    "dsnt": Method(
        "heatmap's expectation in a window round each maximum, regularised",
        "Nibali et al. 2018 (DSNT)",
        _heatmap("unbiased", "expectation", width_px=DSNT_WIDTH_PX, reach_px=NARROW_PX),
        "dsnt",
    ),
    "upsampling": Method(
        "frame upsampled 8-fold, heatmap there", PAPER, partial(DeepStorm, full_value=1.0), settings={"batch_size": 4}
    ),
    "deep-storm": Method(
        "frame upsampled 8-fold, image of spikes", "Nehme et al. 2018 (Deep-STORM)", DeepStorm, "spikes",
        {"batch_size": 4, "sparsity_weight": 1.0},
    ),
}  # fmt: skip


def method(name: str) -> Method:
    """Return the method of this name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in METHODS:
        raise InputError(f"no method {name!r}{suggest(name, METHODS)}; there are {', '.join(METHODS)}")
    return METHODS[name]
