"""Functions compiled by Numba, their machine code kept on disk where there is a place, and run on all processors."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function when it is first called, and keep the machine code for later runs.

    The options are passed on to Numba.
    """
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        return numba.njit(nogil=True, **options)(function)


def on_all_processors(function: Callable[[Any], None], items: Iterable[Any]) -> None:
    """Call a function, which spends its time in compiled ones, for each item, on one thread per processor.

    They are Python's threads rather than Numba's, which may not be used from two threads at once. NUMBA_NUM_THREADS in
    the environment sets another number of threads.
    """
    for _ in each_on_all_processors(function, items):
        pass


def each_on_all_processors(function: Callable[[Any], None], items: Iterable[Any]) -> Generator[None, None, None]:
    """Do as `on_all_processors`, and yield after each item, in order; closed before the end, begin no more of them."""
    threads: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    pool = ThreadPoolExecutor(threads, "compiled")
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)
