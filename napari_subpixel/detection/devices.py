"""Names of the devices that a network can run on; loads no torch."""

from __future__ import annotations

#: ``auto`` takes the fastest that there is.
DEVICES = ("auto", "cpu", "cuda", "mps")
