"""What to do about an error, in controls of the widgets."""

from __future__ import annotations

from collections.abc import Mapping

from napari_subpixel.errors import (
    CameraMismatchError,
    ChangedRunError,
    ChangedTableError,
    ChannelsError,
    FrameShapeError,
    IncompleteMovieError,
    InputError,
    InvalidRowsError,
    LinkDistanceError,
    OriginError,
    OutputExistsError,
    PixelSizeError,
    SeriesError,
    UnfinishedRunError,
    UnitsError,
    WarningKind,
    with_advice,
)

#: What *Batch* does where tables are there already, as its form puts it.
REFUSE = "refuse to run"
SKIP = "skip finished movies"
REPLACE = "replace them"

#: The choice that leaves out points that never move, as *Detect* puts it.
NO_STATIC = "Leave out points that never move"

#: By the kind of error; a kind that is not here is advised as the kind that it is derived from.
ADVICE: Mapping[type[InputError], str] = {
    OutputExistsError: "choose this name to replace it",
    IncompleteMovieError: "on the command line, detect can take the frames that are there",
    ChannelsError: "on the command line, detect can choose one",
    SeriesError: "drop the file on the viewer, where each becomes a layer",
    PixelSizeError: "set it with Load",
    CameraMismatchError: "choose its camera with Load",
    FrameShapeError: "open their movie and choose it at 'On the frames of'",
    InvalidRowsError: "on the command line, convert can write a table without them",
    LinkDistanceError: "give one as 'Largest distance [nm]'",
    OriginError: "on the command line, convert can be given where the table counts from",
    UnitsError: "on the command line, convert can be given what they are in",
}
#: Where a widget has another control for it.
ADVICE_OF_WIDGETS: Mapping[str, Mapping[type[InputError], str]] = {
    "batch": {
        OutputExistsError: f"choose {REPLACE!r}",
        UnfinishedRunError: f"choose {SKIP!r} to continue it, or {REPLACE!r} to start again",
        ChangedRunError: f"delete it, or choose {REPLACE!r}, to start again",
        PixelSizeError: "give it as 'Pixel size [nm]'",
        CameraMismatchError: "choose the camera of these movies",
    },
    "train": {
        OutputExistsError: "choose another name, or replace it",
        UnfinishedRunError: "continue it, or choose another name",
        ChangedRunError: "start again, or choose another name",
    },
    "figure": {
        OutputExistsError: "choose another folder, or replace it",
        UnfinishedRunError: "continue it, or choose another folder",
        ChangedRunError: "start again, or choose another folder",
        ChangedTableError: "start again, or choose another folder",
    },
}


#: By the kind of warning.
ADVICE_ON_WARNINGS: Mapping[WarningKind, str] = {
    WarningKind.NEVER_MOVES: f"tick '{NO_STATIC}' in 'Part of the movie'",
}


def hinted(warning: str) -> str:
    """Return a warning with what to do about it, where its kind is known.

    Examples
    --------
    >>> hinted("30 of 90 points (33.3%) never move: most frames have one at y 4, x 7")
    "30 of 90 points (33.3%) never move: most frames have one at y 4, x 7; tick 'Leave out points that never move' in \
'Part of the movie'"
    """
    return with_advice(warning, ADVICE_ON_WARNINGS)


def advised(error: BaseException, widget: str = "") -> str:
    """Return the message of an error on one line, with what to do about it.

    Examples
    --------
    >>> advised(OutputExistsError("found.csv: exists already"), "batch")
    "found.csv: exists already; choose 'replace them'"
    """
    message = " ".join(str(error).split()) or "not enough memory"
    advice = {**ADVICE, **ADVICE_OF_WIDGETS.get(widget, {})}
    known = next((advice[kind] for kind in type(error).__mro__ if kind in advice), None)
    return message if known is None else f"{message}; {known}"
