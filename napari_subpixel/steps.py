"""Work done step by step: generators that yield how far they are, and whose value is what comes of it."""

from __future__ import annotations

from collections.abc import Generator
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
