"""Models: networks, the cards that describe them, and the shipped weights.

cards               what a model is, was trained on and where it holds, as a YAML file
files               weights and card, loaded and saved
catalogue           the models that come with the program or are the user's own, by name
domain              the ranges of microscopes and samples that a model is made for
input_scaling       what frames are turned into before they enter a network
pixel_network       the paper's network, and what all networks share
unet                the network for many microscopes, which measures light, background and uncertainties too
heatmap_networks    networks of other publications, which predict heatmaps
heatmap_codecs      points drawn into heatmaps, and read off them again
"""

from __future__ import annotations

from napari_subpixel.models.cards import CARD_SUFFIX, ModelCard, checked_threshold, read_card, write_card
from napari_subpixel.models.catalogue import DEFAULT, SHIPPED, find, installed, path_for, shipped
from napari_subpixel.models.files import Model, check_can_write_model, load_model, save_model

__all__ = [
    "CARD_SUFFIX",
    "DEFAULT",
    "SHIPPED",
    "Model",
    "ModelCard",
    "check_can_write_model",
    "checked_threshold",
    "find",
    "installed",
    "load_model",
    "path_for",
    "read_card",
    "save_model",
    "shipped",
    "write_card",
]
