"""Functions compiled by Numba, their machine code kept on disk where there is a place, and run on all processors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function when it is first called; what it compiles to is kept for the next program that calls it.

    The options are further ones of Numba's.
    """
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        return numba.njit(nogil=True, **options)(function)


def on_all_processors(function: Callable[[Any], None], items: Iterable[Any]) -> None:
    """Call a function, which spends its time in compiled ones, for each of some items, on as many threads as there are.

    They are Python's threads rather than Numba's, whose own may not be used from two threads at once. NUMBA_NUM_THREADS
    in the environment says how many, where it should not be one for each processor.
    """
    threads: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    with ThreadPoolExecutor(threads, "compiled") as pool:
        for _ in pool.map(function, items):
            pass
