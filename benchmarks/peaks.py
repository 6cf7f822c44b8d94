"""How much memory something takes while it runs, beyond what was in use before."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def with_peak(work: Callable[[], Result]) -> tuple[Result, float | None]:
    """Run something, and return its result and the GiB that it took at most; None where the system does not say."""
    if not (STATUS.exists() and RESET.exists()):
        return work(), None
    # Memory that was used before and is kept for later would hide what is taken from it.
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    RESET.write_text("5")  # forgets the peak up to now (proc(5))
    before = _gib("VmRSS")
    result = work()
    return result, _gib("VmHWM") - before


def shown(gib: float | None) -> str:
    """Return a number of GiB as a table shows it."""
    return "-" if gib is None else f"{gib:.2f}"


def _gib(name: str) -> float:
    found = re.search(rf"{name}:\s*(\d+) kB", STATUS.read_text())
    assert found, name
    return int(found[1]) / 2**20
