"""What to do about an error, in flags of the command line."""

from __future__ import annotations

from collections.abc import Mapping

from napari_subpixel.errors import (
    ChangedRunError,
    ChangedTableError,
    ChannelsError,
    CorrectedTableError,
    FollowedRunError,
    FrameShapeError,
    IncompleteMovieError,
    InputError,
    InvalidRowsError,
    LinkDistanceError,
    LostWorkersError,
    NotFollowedRunError,
    OriginError,
    OutputExistsError,
    OutputsExistError,
    PixelSizeError,
    SeriesError,
    UnfinishedRunError,
    UnitsError,
    WarningKind,
    with_advice,
)

#: By the kind of error; a kind that is not here is advised as the kind that it is derived from.
ADVICE: Mapping[type[InputError], str] = {
    OutputExistsError: "--overwrite replaces it",
    OutputsExistError: "--resume skips what is finished, --overwrite makes all again",
    UnfinishedRunError: "--resume continues it, --overwrite starts again",
    ChangedRunError: "--overwrite starts again",
    ChangedTableError: "--overwrite makes it again",
    FollowedRunError: "resume it with --follow, or --overwrite starts again",
    NotFollowedRunError: "resume it without --follow, or --overwrite starts again",
    LostWorkersError: "--resume continues the run",
    IncompleteMovieError: "--frames 0:{n_frames} takes them",
    SeriesError: "choose one with --series N",
    ChannelsError: "choose one with --channel N or its name",
    PixelSizeError: "give --pixel-size-nm or a camera file",
    FrameShapeError: "give --shape-px HEIGHT,WIDTH",
    InvalidRowsError: "--skip-invalid leaves them out",
    LinkDistanceError: "give --max-distance-nm",
    CorrectedTableError: "--undo restores the original positions",
    OriginError: "--origin says where the table counts from, as --origin picasso: frames from 0, no half pixel",
    UnitsError: "--units px, nm or um says what they are in",
}
#: Of commands that read a table, but have no flags for how.
ADVICE_TO_CONVERT: Mapping[type[InputError], str] = {
    InvalidRowsError: "convert --skip-invalid writes a table without them",
    OriginError: "convert --origin says where the table counts from, as --origin picasso: frames from 0, no half pixel",
    UnitsError: "convert --units px, nm or um says what they are in",
}
#: Where a command has another flag for it.
ADVICE_OF_COMMANDS: Mapping[str, Mapping[type[InputError], str]] = {
    "render": {PixelSizeError: "give --camera-pixel-size-nm"},
    "detect": {IncompleteMovieError: "--frames 0:{n_frames} takes them, --follow also those to come"},
    "info": {IncompleteMovieError: "detect --frames 0:{n_frames} takes them", **ADVICE_TO_CONVERT},
    "train": {
        ChangedRunError: "give the model another name, or --overwrite starts again",
        **ADVICE_TO_CONVERT,
    },
    "convert": {PixelSizeError: "give --pixel-size-nm"},
    "drift": {PixelSizeError: "give --pixel-size-nm"},
    "evaluate": {
        PixelSizeError: "give --pixel-size-nm",
        OriginError: "--origin, or --truth-origin for the truth, says where the table counts from",
        UnitsError: "--units, or --truth-units for the truth, says what they are in: px, nm or um",
    },
    "filter": {PixelSizeError: "give --pixel-size-nm"},
    "link": {PixelSizeError: "give --pixel-size-nm"},
    "report": {PixelSizeError: "give --pixel-size-nm"},
    "resolution": {PixelSizeError: "give --pixel-size-nm"},
}
#: By the kind of warning.
ADVICE_ON_WARNINGS: Mapping[WarningKind, str] = {
    WarningKind.NEVER_MOVES: "--drop-static leaves them out",
    WarningKind.NO_EM_GAIN: "give --em-gain",
    WarningKind.NO_UNITS: "--units px, nm or um (--truth-units for a truth) says what they are in",
    WarningKind.DRIFT_CORRECTED: "drift --undo restores the original positions",
    WarningKind.COPIES: "convert --drop-copies writes a table without them",
}


def hinted(warning: str) -> str:
    """Return a warning with what to do about it, where its kind is known.

    Examples
    --------
    >>> hinted("a.tif: 30 of 90 points (33.3%) never move: most frames have one at y 4, x 7")
    'a.tif: 30 of 90 points (33.3%) never move: most frames have one at y 4, x 7; --drop-static leaves them out'
    """
    return with_advice(warning, ADVICE_ON_WARNINGS)


def advised(error: InputError, command: str = "", *, first: str = "") -> str:
    """Return the message of an error on one line, with what to do about it.

    Parameters
    ----------
    error : InputError
    command : str
        The command that was given.
    first : str
        What else can be done, before the advice.

    Examples
    --------
    >>> advised(OutputExistsError("found.csv: exists already"))
    'found.csv: exists already; --overwrite replaces it'
    """
    message = " ".join(str(error).split())
    advice = {**ADVICE, **ADVICE_OF_COMMANDS.get(command, {})}
    known = next((advice[kind] for kind in type(error).__mro__ if kind in advice), None)
    if isinstance(error, IncompleteMovieError) and not error.n_frames:
        return message
    return message if known is None else f"{message}; {first}{known.format(**vars(error))}"
