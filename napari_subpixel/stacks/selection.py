"""Which of the images and channels of a file is the movie."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from napari_subpixel.errors import InputError, SeriesError


@dataclass(frozen=True)
class Selection:
    """Which of the images and channels of a file is the movie.

    Attributes
    ----------
    series : int, optional
        Number of the image, counted from 0; if not given there must be one only.
    channel : int or str, optional
        Number of the channel, counted from 0, or its name; if not given there must be one only.
    """

    series: int | None = None
    channel: int | str | None = None

    def series_of(self, path: Path, n: int, summaries: Callable[[], Iterable[str]]) -> int:
        """Return the number of the image.

        Parameters
        ----------
        path : Path
            The file, for messages.
        n : int
            How many images it has.
        summaries : callable
            Returns a few words on each.

        Raises
        ------
        SeriesError
            If there are several and none was chosen.
        InputError
            If there is no such image.
        """
        if self.series is None and n > 1:
            listed = "; ".join(f"{number}: {summary}" for number, summary in enumerate(summaries()))
            raise SeriesError(f"{path}: holds {n} images, of which one is to be chosen: {listed}")
        series = self.series or 0
        if not 0 <= series < n:
            raise InputError(f"{path}: series {series} asked for, the file has {n}, counted from 0")
        return series

    def check_no_channel(self, path: Path) -> None:
        """Raise `InputError` where a channel of a movie without channels was chosen."""
        if self.channel not in (None, 0, "0"):
            raise InputError(f"{path}: channel {self.channel!r} asked for, the movie has 1, counted from 0")

    def __str__(self) -> str:
        chosen = [f"series {self.series}"] if self.series is not None else []
        chosen += [f"channel {self.channel}"] if self.channel is not None else []
        return ", ".join(chosen)
