"""Work done step by step: generators that yield how far they are, and whose value is what comes of it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Any, TypeVar

Result = TypeVar("Result")


def exhausted(steps: Generator[Any, None, Result]) -> Result:
    """Run a generator to its end, and return its value.

    Examples
    --------
    >>> def counting():
    ...     yield 1
    ...     return "done"
    >>> exhausted(counting())
    'done'
    """
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def in_silence(steps: Generator[Any, None, Result]) -> Generator[None, None, Result]:
    """Run a generator step by step, and keep to oneself what it yields.

    Examples
    --------
    >>> list(in_silence(letter for letter in "ab"))
    [None, None]
    """
    with closing(steps):
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            yield
