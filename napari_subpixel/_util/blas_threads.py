"""One thread for NumPy's and SciPy's linear algebra: of small matrices, more only wait for each other."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import scipy

#: Folders, next to or in a package, in which its wheel keeps OpenBLAS.
FOLDERS = ("../{}.libs", ".dylibs")
#: What OpenBLAS calls its functions, depending on how it was built.
NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads")


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let OpenBLAS use one thread for a while, where it is the one of the wheels; another BLAS is left as it is."""
    before = [(set_threads, get_threads()) for get_threads, set_threads in _libraries()]
    for set_threads, _ in before:
        set_threads(1)
    try:
        yield
    finally:
        for set_threads, n in before:
            set_threads(n)


@cache
def _libraries() -> list[tuple[Callable[[], int], Callable[[int], None]]]:
    """Return, of every OpenBLAS that is loaded, how its number of threads is read and set."""
    found = []
    for package in (np, scipy):
        home = Path(str(package.__file__)).parent
        for folder in FOLDERS:
            for file in sorted((home / folder.format(package.__name__)).glob("*openblas*")):
                with contextlib.suppress(OSError):
                    found += _functions(ctypes.CDLL(str(file)))
    return found


def _functions(library: ctypes.CDLL) -> list[tuple[Callable[[], int], Callable[[int], None]]]:
    for name in NAMES:
        with contextlib.suppress(AttributeError):
            return [(getattr(library, name.format("get")), getattr(library, name.format("set")))]
    return []
