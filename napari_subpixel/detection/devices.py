"""The devices that a network can run on; torch is loaded only when one is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_subpixel.errors import InputError

if TYPE_CHECKING:
    import torch

#: Names of the devices; ``auto`` takes the fastest available one.
DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(device: str) -> tuple[torch.device, str]:
    """Return the device for a name, and why it is used, as text.

    Raises
    ------
    InputError
        If the name is unknown or the device unavailable.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        chosen = next(name for name in ("cuda", "mps", "cpu") if available[name])
        missing = [name.upper() for name in ("cuda", "mps") if not available[name]]
        why = f"{chosen} chosen automatically" + (f" (no {' or '.join(missing)} found)" if chosen == "cpu" else "")
        return torch.device(chosen), why
    if device not in available:
        raise InputError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    if not available[device]:
        raise InputError(f"device {device!r} was asked for, but this PyTorch ({torch.__version__}) finds none")
    return torch.device(device), f"{device} as asked"
