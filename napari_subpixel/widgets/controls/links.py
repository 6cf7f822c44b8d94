"""Connections of a widget with layers, which outlive it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.utils.events import EventEmitter
    from psygnal import SignalInstance


class Links:
    """Signals, psygnal's or napari's, connected to methods of a widget until they are cleared."""

    def __init__(self) -> None:
        self._made: list[tuple[SignalInstance | EventEmitter, weakref.WeakMethod[Callable[..., Any]]]] = []

    def connect(self, signal: SignalInstance | EventEmitter, slot: Callable[..., Any]) -> None:
        """Connect a signal to a method without keeping its widget alive."""
        signal.connect(slot)
        self._made.append((signal, weakref.WeakMethod(slot)))

    def clear(self) -> None:
        """Disconnect all."""
        for signal, reference in self._made:
            slot = reference()
            if slot is not None:
                with suppress(ValueError, RuntimeError, SystemError):  # it is disconnected already, or gone
                    signal.disconnect(slot)
        self._made.clear()
