"""Layers that are hidden while others show what they hold, and shown again after."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.layers import Layer


class HiddenLayers:
    """The layers that were visible before."""

    def __init__(self) -> None:
        self._layers: list[Layer] = []

    def hide(self, *layers: Layer) -> None:
        """Hide layers."""
        for layer in layers:
            if layer.visible:
                layer.visible = False
                self._layers.append(layer)

    def show(self) -> None:
        """Show the layers that were hidden."""
        for layer in self._layers:
            layer.visible = True
        self._layers.clear()
