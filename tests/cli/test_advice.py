"""What the command line advises, by the kind of error."""

from __future__ import annotations

import pytest

from napari_subpixel import errors
from napari_subpixel.cli.advice import ADVICE, ADVICE_OF_COMMANDS, advised
from napari_subpixel.cli.main import COMMANDS
from napari_subpixel.errors import InputError

#: Says itself what to do: there is no flag for it.
WITHOUT_ADVICE = {
    errors.AxesError,
    errors.CameraMismatchError,
    errors.FilterError,
    errors.ImplausibleError,
    errors.NoEstimateError,
    errors.TooFewMoleculesError,
}
KINDS = {
    kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, InputError) and kind is not InputError and not name.startswith("_")
}


def test_every_kind_of_error_has_advice():
    assert set(ADVICE) == KINDS - WITHOUT_ADVICE


def test_advice_of_a_command_is_for_a_command_that_there_is():
    assert set(ADVICE_OF_COMMANDS) <= set(COMMANDS)


def test_an_error_of_no_kind_is_said_as_it_is():
    assert advised(InputError("cut.tif: is cut off")) == "cut.tif: is cut off"


def test_an_unfinished_run_is_refused_with_the_flags_that_decide_on_it(run, refuse, movie, tmp_path):
    (tmp_path / "found.csv.partial").mkdir()
    message = refuse("detect", movie, "-o", tmp_path / "found.csv")
    assert message.endswith(": an interrupted run left this; --resume continues it, --overwrite starts again")


def test_in_a_batch_advice_goes_with_every_movie_that_fails(run, movie, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "movie.csv").touch()
    other = movie.with_name("gone.tif")
    status, _, err = run("detect", movie, other, "-o", tmp_path / "out")
    assert status == 1
    assert f"{tmp_path / 'out' / 'movie.csv'}: exists already; --resume keeps it, --overwrite replaces it" in err


@pytest.mark.parametrize(
    ("command", "flag"), [("render", "--camera-pixel-size-nm"), ("detect", "--pixel-size-nm or a camera file")]
)
def test_the_pixel_size_is_asked_for_by_the_commands_own_flag(command, flag):
    error = errors.PixelSizeError("positions are in nm and the pixel size is not known")
    assert advised(error, command).endswith(f"; give {flag}")


@pytest.mark.parametrize("command", ["convert", "drift", "evaluate", "filter", "link", "report", "resolution"])
def test_no_camera_file_is_asked_for_by_commands_without_camera(command):
    error = errors.PixelSizeError("positions are in nm and the pixel size is not known")
    assert advised(error, command).endswith("; give --pixel-size-nm")
