"""Models: networks, the cards that describe them, and the shipped weights."""

from __future__ import annotations

from napari_subpixel.models.cards import (
    CARD_SUFFIX,
    DEFAULT,
    SHIPPED,
    Model,
    ModelCard,
    check_can_write_model,
    checked_threshold,
    find,
    installed,
    load_model,
    path_for,
    read_card,
    save_model,
    shipped,
    write_card,
)

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
