"""Functions that can be run to the end or step by step."""

from __future__ import annotations

import inspect
from collections.abc import Generator

import pytest

from napari_subpixel._util.generators import in_silence, stepwise, under_name


@stepwise
def add(numbers: list[int], *, first: int = 0) -> Generator[tuple[int, str], None, int | None]:
    """Add numbers."""
    for number in numbers:
        first += number
        yield first, "so far"
    return first


def test_a_call_runs_to_the_end_and_returns_the_value() -> None:
    assert add([1, 2], first=3) == 6


def test_steps_are_yielded_one_by_one_and_may_be_stopped() -> None:
    steps = add.steps([1, 2])
    assert next(steps) == (1, "so far")
    steps.close()
    assert next(steps, None) is None


def test_an_error_comes_out_of_both() -> None:
    with pytest.raises(TypeError):
        add([None])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        next(add.steps([None]))  # type: ignore[list-item]


def test_it_stays_a_function_with_its_name_and_docstring_and_returns_the_value() -> None:
    assert inspect.isfunction(add)
    assert not inspect.isgeneratorfunction(add)
    assert (add.__name__, add.__doc__, add.__module__) == ("add", "Add numbers.", __name__)
    assert str(inspect.signature(add)) == "(numbers: 'list[int]', *, first: 'int' = 0) -> 'int | None'"


def test_the_return_annotation_need_not_be_text() -> None:
    def count(): ...

    count.__annotations__["return"] = Generator[int, None, str]
    assert inspect.signature(stepwise(count)).return_annotation is str


def test_what_is_yielded_can_be_discarded() -> None:
    assert list(in_silence(add.steps([1, 2]))) == [None, None]
    assert list(under_name("adding", add.steps([1, 2]))) == ["adding", "adding"]
