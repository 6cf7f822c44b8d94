"""The detector: frames in, localizations out, on whichever device there is."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_subpixel.coordinates import Roi, checked_roi, home_pixel
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import Model, checked_threshold, load_model
from napari_subpixel.scaling import SCALINGS, is_constant

DEVICES = ("auto", "cpu", "cuda", "mps")
#: Pixels that pass through the network at once; bounds the memory of its activations.
BATCH_PIXELS = 1 << 17


class Tile(NamedTuple):
    """A part of the frame that is computed at once: where it lies, and the wider part that it needs to see."""

    rows: slice
    columns: slice
    seen_rows: slice
    seen_columns: slice


class Detector:
    """Finds molecules in frames with a trained model.

    Parameters
    ----------
    model : str, Path or Model
        Name of a shipped model, path of one, or a model already loaded.
    threshold : float, optional
        Probability from which a point is reported; the model card's if not given.
    device : str
        ``auto`` (CUDA, then MPS, then CPU), ``cpu``, ``cuda`` or ``mps``.
    tile_px : int
        Longest side of the part of a frame that passes through the network at once; longer frames are tiled.

    Examples
    --------
    >>> import numpy as np
    >>> len(Detector("paper", device="cpu").detect(np.zeros((2, 20, 30))))
    0
    """

    def __init__(
        self,
        model: str | Path | Model = "paper",
        *,
        threshold: float | None = None,
        device: str = "auto",
        tile_px: int = 256,
    ) -> None:
        self.model = model if isinstance(model, Model) else load_model(model)
        self.card = self.model.card
        self.threshold = checked_threshold(self.card.threshold if threshold is None else threshold)
        self.device, self.device_reason = choose_device(device)
        self.tile_px = int(tile_px)
        if self.tile_px < 1:
            raise InputError(f"tile_px must be at least 1, got {tile_px}")
        # A copy, so that two detectors of one model may sit on two devices.
        self.network = copy.deepcopy(self.model.network).to(self.device).eval()

    def detect(self, frames: NDArray, *, first_frame: int = 0, roi: Roi | None = None) -> Localizations:
        """Find the molecules of some frames.

        Parameters
        ----------
        frames : ndarray, shape (T, Y, X)
            Whole frames, in ADU.
        first_frame : int
            Number of the first of them in its movie.
        roi : ((y0, y1), (x0, x1)), optional
            Report only points whose pixel lies in this part of the frame, ends excluded; they are the same points, at
            the same coordinates, as without it.

        Returns
        -------
        Localizations
            Columns ``frame``, ``y``, ``x``, ``probability`` (and ``class_index`` where the model knows several
            classes), sorted by frame, row and column of the pixel.

        Raises
        ------
        InputError
            If frames are not (T, Y, X), or the region does not lie within them.
        """
        frames = np.asarray(frames)
        if frames.ndim != 3:
            raise InputError(f"expected a (T, Y, X) stack, got shape {frames.shape}")
        roi = checked_roi(roi, (frames.shape[1], frames.shape[2]))
        lit = np.flatnonzero(~is_constant(frames)) if frames.size else np.empty(0, np.int64)
        scaled = SCALINGS[self.card.input_scaling](frames[lit]) if lit.size else np.empty((0, 1, 1), np.float32)
        found = [self._detect_batch(part, number) for part, number in self._batches(scaled, lit, roi)]
        return self._table(found, first_frame, (frames.shape[1], frames.shape[2]))

    def _batches(self, scaled: NDArray, lit: NDArray, roi: Roi) -> Iterator[tuple[NDArray, tuple[NDArray, Tile]]]:
        for tile in tiles(roi, scaled.shape[1:], self.tile_px, self.network.reach_px) if lit.size else ():
            seen = scaled[:, tile.seen_rows, tile.seen_columns]
            step = max(1, BATCH_PIXELS // (seen.shape[1] * seen.shape[2]))
            for start in range(0, len(seen), step):
                yield seen[start : start + step], (lit[start : start + step], tile)

    def _detect_batch(self, seen: NDArray, place: tuple[NDArray, Tile]) -> NDArray[np.float64]:
        """Rows (frame, y, x, probability, class) of one batch of one tile, shape (K, 5)."""
        numbers, tile = place
        # TensorFloat-32 would move points on a GPU by more than 0.001 px against the CPU.
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            out = self.network(torch.from_numpy(np.ascontiguousarray(seen))[:, None].to(self.device))
            keep = (
                ...,
                slice(tile.rows.start - tile.seen_rows.start, tile.rows.stop - tile.seen_rows.start),
                slice(tile.columns.start - tile.seen_columns.start, tile.columns.stop - tile.seen_columns.start),
            )
            rows = _points_above(out.offsets[keep], out.logits[keep], self.threshold).cpu().numpy()
        rows[:, 0] = numbers[rows[:, 0].astype(np.int64)]
        rows[:, 1] += tile.rows.start
        rows[:, 2] += tile.columns.start
        return rows

    def _table(self, found: list[NDArray], first_frame: int, frame_shape: tuple[int, int]) -> Localizations:
        rows = np.concatenate(found) if found else np.empty((0, 5))
        # Tiles and batches come in their own order; the table's is by frame and pixel, whatever their size.
        rows = rows[np.lexsort((rows[:, 2], rows[:, 1], home_pixel(rows[:, 2]), home_pixel(rows[:, 1]), rows[:, 0]))]
        columns = {"frame": rows[:, 0] + first_frame, "y": rows[:, 1], "x": rows[:, 2], "probability": rows[:, 3]}
        if self.network.n_classes > 1:
            columns["class_index"] = rows[:, 4]
        return Localizations(columns, frame_shape=frame_shape, provenance=self.provenance)

    @property
    def provenance(self) -> dict[str, object]:
        """Model and threshold, for the tables this detector makes."""
        return {"model": self.card.provenance, "threshold": self.threshold}


def _points_above(offsets: Tensor, logits: Tensor, threshold: float) -> Tensor:
    """Rows (frame, y, x, probability, class) of the points above the threshold, in float64 and tile coordinates."""
    best, which = logits.max(dim=2)  # (B, n, H, W)
    b, n, y, x = torch.nonzero(best >= math.log(threshold / (1 - threshold)), as_tuple=True)
    place = torch.stack([y, x], dim=1) + offsets[b, n, :, y, x].double()
    p = torch.sigmoid(best[b, n, y, x].double())
    return torch.column_stack([b.double(), place, p, which[b, n, y, x].double()])


def tiles(roi: Roi, frame_shape: tuple[int, int], tile_px: int, reach_px: int) -> Iterator[Tile]:
    """Cut a region into tiles of at most `tile_px` a side, each with what the network must see round it.

    What is seen ends at the frame's true borders, where the network's own zero padding takes over, so that every pixel
    is computed from the same numbers as in the whole frame.
    """
    for rows, seen_rows in _spans(roi[0], frame_shape[0], tile_px, reach_px):
        for columns, seen_columns in _spans(roi[1], frame_shape[1], tile_px, reach_px):
            yield Tile(rows, columns, seen_rows, seen_columns)


def _spans(span: tuple[int, int], size: int, tile_px: int, reach_px: int) -> Iterator[tuple[slice, slice]]:
    pieces = max(1, math.ceil((span[1] - span[0]) / tile_px))
    edges = np.linspace(span[0], span[1], pieces + 1).round().astype(int)
    for start, stop in itertools.pairwise(edges):
        yield slice(int(start), int(stop)), slice(max(int(start) - reach_px, 0), min(int(stop) + reach_px, size))


def choose_device(device: str) -> tuple[torch.device, str]:
    """Return the device for a name, and in words why it is used.

    Raises
    ------
    InputError
        If the name is unknown, or the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        chosen = next(name for name in ("cuda", "mps", "cpu") if there[name])
        missing = [name.upper() for name in ("cuda", "mps") if not there[name]]
        why = f"{chosen} chosen automatically" + (f" (no {' or '.join(missing)} found)" if chosen == "cpu" else "")
        return torch.device(chosen), why
    if device not in there:
        raise InputError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
    if not there[device]:
        raise InputError(f"device {device!r} was asked for, but this PyTorch ({torch.__version__}) finds none")
    return torch.device(device), f"{device} as asked"
