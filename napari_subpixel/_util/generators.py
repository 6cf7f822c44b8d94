"""Long work that reports its progress: functions that can be run to the end or step by step."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
from typing import Any, ParamSpec, Protocol, TypeVar, cast, get_args

Arguments = ParamSpec("Arguments")
Progress = TypeVar("Progress", covariant=True)
Value = TypeVar("Value", covariant=True)
Result = TypeVar("Result")
Name = TypeVar("Name")


class Stepwise(Protocol[Arguments, Progress, Value]):
    """A function that `stepwise` made: a call runs it to the end, `steps` runs it step by step."""

    __name__: str

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
        """Run to the end and return the value."""

    @property
    def steps(self) -> Callable[Arguments, Generator[Progress, None, Value]]:
        """The generator function: it yields the progress and returns the value, and may be closed at any step."""


def stepwise(
    function: Callable[Arguments, Generator[Progress, None, Value]],
) -> Stepwise[Arguments, Progress, Value]:
    """Let a generator function be called like any other; its generators are had by ``function.steps(...)``.

    Examples
    --------
    >>> @stepwise
    ... def add(numbers: list[int]) -> Generator[int, None, int]:
    ...     '''Add numbers; `add.steps` yields how many were added.'''
    ...     total = 0
    ...     for done, number in enumerate(numbers, 1):
    ...         total += number
    ...         yield done
    ...     return total
    >>> add([3, 4, 5])
    12
    >>> list(add.steps([3, 4, 5]))
    [1, 2, 3]
    """

    @functools.wraps(function)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Value:
        return exhausted(function(*args, **kwargs))

    value = _value_of(inspect.signature(function).return_annotation)
    run.__signature__ = inspect.signature(function).replace(return_annotation=value)  # type: ignore[attr-defined]
    run.steps = function  # type: ignore[attr-defined]
    return cast("Stepwise[Arguments, Progress, Value]", run)


def _value_of(generator: Any) -> Any:
    """Return the annotation of a generator's value from that of the generator; as text where that is text."""
    if isinstance(generator, str):
        return ast.unparse(ast.parse(generator, mode="eval").body.slice.elts[-1])  # type: ignore[attr-defined]
    return get_args(generator)[-1] if get_args(generator) else generator


def exhausted(steps: Generator[Any, None, Result]) -> Result:
    """Run a generator to its end, and return its value.

    Examples
    --------
    >>> def count():
    ...     yield 1
    ...     return "done"
    >>> exhausted(count())
    'done'
    """
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def in_silence(steps: Generator[Any, None, Result]) -> Generator[None, None, Result]:
    """Run a generator step by step, and discard what it yields.

    Examples
    --------
    >>> list(in_silence(letter for letter in "ab"))
    [None, None]
    """
    return (yield from under_name(None, steps))


def under_name(name: Name, steps: Generator[Any, None, Result]) -> Generator[Name, None, Result]:
    """Run a generator step by step, and yield one name in place of whatever it yields.

    Examples
    --------
    >>> list(under_name("letters", (letter for letter in "ab")))
    ['letters', 'letters']
    """
    with closing(steps):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            yield name


def each_step_within(
    context: Callable[[], AbstractContextManager[Any]], steps: Generator[Name, None, Result]
) -> Generator[Name, None, Result]:
    """Run a generator step by step, each step within a new context, and whatever happens between them outside.

    Examples
    --------
    >>> from contextlib import nullcontext
    >>> list(each_step_within(nullcontext, (letter for letter in "ab")))
    ['a', 'b']
    """
    with closing(steps):
        while True:
            with context():
                try:
                    progress = next(steps)
                except StopIteration as end:
                    return end.value
            yield progress
