"""What the widgets advise, by the kind of error."""

from __future__ import annotations

import pytest

from napari_subpixel import errors
from napari_subpixel.errors import InputError
from napari_subpixel.widgets.controls.advice import ADVICE, ADVICE_OF_WIDGETS, advised

#: Says itself what to do, or no widget has a control for it.
WITHOUT_ADVICE = {
    errors.AxesError,
    errors.CorrectedTableError,
    errors.FilterError,
    errors.ImplausibleError,
    errors.NoEstimateError,
    errors.LinkDistanceError,
    errors.TooFewMoleculesError,
}
#: What only *Batch* comes upon: it alone writes files that a run could leave unfinished.
OF_BATCHES = {errors.UnfinishedRunError, errors.ChangedRunError, errors.FollowedRunError}
#: No widget follows a movie, has workers of a cluster, or refuses a whole batch.
NEVER = {errors.NotFollowedRunError, errors.LostWorkersError, errors.OutputsExistError}
KINDS = {
    kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, InputError) and kind is not InputError and not name.startswith("_")
}


@pytest.mark.parametrize("kind", sorted(KINDS - WITHOUT_ADVICE - NEVER, key=lambda kind: kind.__name__))
def test_every_kind_of_error_has_advice(kind):
    widget = "batch" if kind in OF_BATCHES else ""
    assert advised(kind("found"), widget).startswith("found; ")


def test_advice_is_of_kinds_that_there_are():
    assert set(ADVICE).union(*ADVICE_OF_WIDGETS.values()) <= KINDS


def test_an_error_without_a_message_is_a_lack_of_memory():
    assert advised(MemoryError()) == "not enough memory"
