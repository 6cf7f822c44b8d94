"""A table in parts: what is too long for the memory is read, changed and written one part at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_subpixel.errors import InputError
from napari_subpixel.localizations.table import Localizations


@dataclass(frozen=True)
class LocalizationParts:
    """A table in parts, of which one at a time has to be in memory.

    Attributes
    ----------
    tables : callable
        Returns the parts in their order, at every call; there is at least one, and all have the same columns.
    about : mapping
        What is known of the whole besides its rows, as keyword arguments of `Localizations`.

    Examples
    --------
    >>> parts = LocalizationParts.of(Localizations({"frame": [0, 3], "y": [1.0, 2.0], "x": [3.0, 4.0]}, n_frames=5))
    >>> [len(part) for part in parts], parts.columns, parts.about["n_frames"]
    ([2], ('frame', 'y', 'x'), 5)
    """

    tables: Callable[[], Iterable[Localizations]]
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Localizations | LocalizationParts) -> LocalizationParts:
        """Return a table as the only part of itself, and parts as they are."""
        return table if isinstance(table, LocalizationParts) else cls(lambda: (table,), table.about)

    def __iter__(self) -> Iterator[Localizations]:
        """Yield the parts, each knowing what is known of the whole.

        Raises
        ------
        InputError
            If there are no parts, or their columns differ.
        """
        columns: tuple[str, ...] | None = None
        for part in self.tables():
            if columns is not None and part.columns != columns:
                raise InputError(f"cannot join tables with columns {columns} and {part.columns}")
            columns = part.columns
            yield part.with_about(**self.about)
        if columns is None:
            raise InputError("nothing to join: no tables were given")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return next(iter(self)).columns
