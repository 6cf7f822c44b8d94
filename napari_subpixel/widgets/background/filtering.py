"""Which points pass a filter, and how often their quantities have which value."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.analysis.filters import Filter
from napari_subpixel.analysis.histograms import Histogram, histogram_of
from napari_subpixel.analysis.masks import RowMasks
from napari_subpixel.widgets.background.worker import Work

if TYPE_CHECKING:
    from napari.layers import Points


class FilterRequest(NamedTuple):
    """Which points of a layer pass a filter."""

    layer: Points
    masks: RowMasks
    keep: Filter

    @property
    def by_hand(self) -> bool:
        """A later filter takes the place of an earlier one."""
        return True

    @property
    def words(self) -> str:
        """What is being done, for the progress text."""
        return f"filtering {self.layer.name}"

    def work(self) -> Work:
        """Return the work, on the table of the layer."""
        return Work(_passing, self.masks, self.keep)


class Counted(NamedTuple):
    """The histogram of a quantity of a table."""

    masks: RowMasks
    name: str
    histogram: Histogram


def count(masks: RowMasks, names: Sequence[str]) -> Generator[Counted, None, None]:
    """Yield the histogram of each of these quantities.

    Parameters
    ----------
    masks : RowMasks
        Of the table.
    names : sequence of str
    """
    for name in names:
        yield Counted(masks, name, histogram_of(masks.values(name)))


def _passing(masks: RowMasks, keep: Filter) -> Generator[None, None, NDArray[np.bool_]]:
    yield
    return masks.mask(keep)
