"""Threads side by side, each of which runs PyTorch's layers alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

#: How many threads PyTorch takes if nothing is set.
_ALL = torch.get_num_threads()
#: Held while a pool is opened, when PyTorch's setting for new threads is 1.
_OPENING = threading.Lock()


@contextmanager
def one_thread_each(n_threads: int) -> Iterator[ThreadPoolExecutor]:
    """Open a pool of threads, none of which uses others within a layer; the settings of all other threads stay.

    Results do not depend on the number of threads, and none waits for others within a layer or after it.

    Parameters
    ----------
    n_threads : int
        Threads of the pool.

    Yields
    ------
    ThreadPoolExecutor
    """
    all_there = threading.Barrier(n_threads)
    with ThreadPoolExecutor(n_threads, "detect", initializer=_work_alone) as pool:
        with _OPENING:
            before = torch.get_num_threads()
            try:
                for future in [pool.submit(all_there.wait) for _ in range(n_threads)]:
                    future.result()
            finally:
                all_there.abort()  # where one did not start, none waits for it
                # The number that one thread sets is the initial one of new threads.
                torch.set_num_threads(before)
        yield pool


def n_threads() -> int:
    """Return how many threads PyTorch uses in this thread, even while another opens a pool."""
    with _OPENING:
        return torch.get_num_threads()


def use_threads(number: int) -> None:
    """Let PyTorch use so many threads in this thread, and in those that are started from now on.

    Parameters
    ----------
    number : int
        0 for as many as it takes by itself.
    """
    with _OPENING:
        torch.set_num_threads(number or _ALL)


def _work_alone() -> None:
    torch.get_num_threads()  # else PyTorch gives this thread the number of all others when it first works
    torch.set_num_threads(1)
