"""What the program says when its input is at fault."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Self


class InputError(ValueError):
    """The user's input cannot be used; the message, one line, names it and says what was found.

    What to do about it depends on how the program is used: command line and widgets add their advice by the kind.
    """

    def with_message(self, message: str) -> Self:
        """Return an error of the same kind, about the same thing, with another message."""
        other = type(self)(message)
        other.__dict__.update(self.__dict__)
        return other


class AxesError(InputError):
    """An image has other axes than those of a movie: colours, channels, or depth besides time."""


class SeriesError(InputError):
    """A file holds several images, each a movie of its own, and none was chosen."""


class ChannelsError(AxesError):
    """A movie has several channels, and none was chosen."""


class IncompleteMovieError(InputError):
    """A movie has fewer frames than it announces: its acquisition was stopped, or its file is cut off.

    Attributes
    ----------
    n_frames : int
        Whole frames from the first on.
    """

    def __init__(self, message: str, n_frames: int = 0) -> None:
        super().__init__(message)
        self.n_frames = n_frames


class PixelSizeError(InputError):
    """Pixels and nm must be converted, and the pixel size is not known.

    Attributes
    ----------
    partly_nm : bool
        Whether a table has lengths in both, so that no other pixel size does instead.
    """

    def __init__(self, message: str, *, partly_nm: bool = False) -> None:
        super().__init__(message)
        self.partly_nm = partly_nm


class ImplausibleError(InputError):
    """A number of the microscope is beyond any microscope, as in another unit."""


class CameraMismatchError(InputError):
    """A given camera cannot have taken the movie."""


class NoEstimateError(InputError):
    """A property cannot be estimated from a movie."""


class FrameShapeError(InputError):
    """The height and width of the frames are needed, and not known."""


class InvalidRowsError(InputError):
    """Rows of a table have no finite frame, y or x."""


class TooFewMoleculesError(InputError):
    """A table has too little in it for what is to be estimated from it."""


class CorrectedTableError(InputError):
    """Drift was subtracted from a table already, and would be subtracted or estimated a second time."""


class OriginError(InputError):
    """A table does not fit where positions and frames are counted from in tables of its kind."""


class UnitsError(InputError):
    """The headings of a table name no unit of length, and it is not known or cannot be the usual one."""


class FilterError(InputError):
    """An expression that chooses rows cannot be read, or does not fit the table."""


class LinkDistanceError(InputError):
    """Rows have no uncertainties to link by, and no distance was given."""


class TableWarning(UserWarning):
    """What had to be assumed, or was left out, when a table was read."""


class WarningKind(Enum):
    """Kinds of warnings that something can be done about, by the words that all of a kind have in common.

    As with errors, what to do depends on how the program is used; the words are what a table's provenance keeps.
    """

    NEVER_MOVES = "never move: "
    NO_EM_GAIN = "no EM gain above 1 is given"
    DRIFT_CORRECTED = "corrected for drift"
    COPIES = "of others, with the same frame, y and x"
    NO_UNITS = "the headings name no unit:"

    def __str__(self) -> str:
        return self.value


def with_advice(warning: str, advice: Mapping[WarningKind, str]) -> str:
    """Return a warning, followed by the advice for the kinds whose words it has."""
    return "; ".join([warning, *(what for kind, what in advice.items() if str(kind) in warning)])


class _PathError(InputError):
    """A file or folder is in the way.

    Attributes
    ----------
    path : Path or None
        That file or folder.
    """

    def __init__(self, message: str, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class OutputExistsError(_PathError):
    """An output exists already and may not be replaced."""


class OutputsExistError(_PathError):
    """All outputs of a run over several inputs exist already."""


class UnfinishedRunError(_PathError):
    """An interrupted run left its finished part, which is neither to be resumed nor dropped."""


class ChangedRunError(_PathError):
    """An interrupted run cannot be resumed: it had another movie, other settings or another version of the program."""


class ChangedTableError(OutputExistsError):
    """A finished table was made with other settings than those of the run that would skip it."""


class FollowedRunError(ChangedRunError):
    """An interrupted run followed its movie while it was written, and the run that would resume it does not."""


class NotFollowedRunError(ChangedRunError):
    """A run that follows its movie while it is written would resume one that did not."""


class LostWorkersError(InputError):
    """The workers of a cluster are gone before the run was finished; its finished part is kept."""


def suggest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or an empty string.

    Parameters
    ----------
    name : str
        What was given.
    known : iterable of str
        What might be meant.
    likeness : float
        From where on, between 0 and 1, a name is close.
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f"; did you mean {close[0]!r}?" if close else ""


def shown(value: object) -> str:
    """Return what was found in a form that fits on the line of a message: an array by its shape."""
    shape = getattr(value, "shape", None)
    return f"an array of shape {shape}" if shape else " ".join(repr(value).split())
