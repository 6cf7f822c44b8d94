"""Points as named arrays, on their way from the network to the table: one array for each thing known of a point."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Points:
    """Points of some frames.

    Attributes
    ----------
    frame : ndarray of int64, shape (N,)
        Number of each point's frame.
    y, x : ndarray of float64, shape (N,)
        Position, in pixels.
    probability : ndarray of float64, shape (N,)

    Examples
    --------
    >>> points = Points(np.array([0, 2]), np.array([1.5, 3.0]), np.array([2.5, 4.0]), np.array([0.9, 0.4]))
    >>> points.take(points.probability > 0.5).y.tolist()
    [1.5]
    """

    frame: NDArray[np.int64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return copies of the points of a mask or of these numbers."""
        return type(self)(**{name: values[which] for name, values in self.arrays.items()})

    @classmethod
    def empty(cls) -> Self:
        """Return no points."""
        arrays: dict[str, Any] = {
            field.name: np.empty(0, np.int64 if field.name in WHOLE_NUMBERS else np.float64) for field in fields(cls)
        }
        return cls(**arrays)

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """Join parts in their order; of none, return no points."""
        parts = (cls.empty(), *parts)
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in parts[0].arrays})


@dataclass(frozen=True)
class ClassifiedPoints(Points):
    """Points of a network that knows classes.

    Attributes
    ----------
    class_index : ndarray of int64, shape (N,)
        The most probable class.
    """

    class_index: NDArray[np.int64]


@dataclass(frozen=True)
class MeasuredPoints(Points):
    """Points of a network that measures them; "counts" are those of `napari_subpixel.models.input_scaling.counts`.

    Attributes
    ----------
    molecule_counts : ndarray of float64, shape (N,)
        Light of the molecule, in counts: its photons over the camera's variance per photon.
    background_counts : ndarray of float64, shape (N,)
        Background at the point, in counts per pixel.
    y_uncertainty, x_uncertainty : ndarray of float64, shape (N,)
        Standard deviation of the position, in pixels.
    """

    molecule_counts: NDArray[np.float64]
    background_counts: NDArray[np.float64]
    y_uncertainty: NDArray[np.float64]
    x_uncertainty: NDArray[np.float64]


#: The arrays of whole numbers.
WHOLE_NUMBERS = {"frame", "class_index"}
