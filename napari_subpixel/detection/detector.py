"""The detector: frames in, localizations out, on whichever device there is."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import Roi, checked_roi, home_pixel
from napari_subpixel.detection import merging
from napari_subpixel.detection.devices import DEVICES
from napari_subpixel.detection.refinement import refine
from napari_subpixel.detection.tiling import (
    GLANCED_PX,
    SEEN_PX,
    Batch,
    Squares,
    batches_of_squares,
    batches_of_tiles,
    squares,
)
from napari_subpixel.detection.torch_threads import n_threads, one_thread_each
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import DEFAULT, Model, checked_threshold, load_model
from napari_subpixel.models.input_scaling import Optics, counts, is_constant, minmax
from napari_subpixel.models.pixel_network import Predictions, lay_out

#: Parts of the frames that each thread takes: frames with more molecules take longer.
PARTS_PER_THREAD = 2
#: Threads that scale frames and join points while a GPU computes.
GPU_WORKERS = 3
#: One thread at a time uses a GPU: the flags of cuDNN are those of the whole program, and MPS bears no more.
_GPU = threading.Lock()
#: What a network that measures nothing more tells of a point; one that does tells `merging.COLUMNS`.
COLUMNS = ("frame", "y", "x", "probability", "class_index")
#: Squares of sparse frames in which no point has this probability at a first glance hold none.
PROMISING = 0.1
#: How far beside a region molecules are looked for whose light reaches those in it, in standard deviations of the PSF.
MARGIN_SIGMA = 8.0


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
        Longest side of the part of a frame that passes through the network at once; longer frames are tiled. At most
        512, and less for a network that upsamples frames.

    Examples
    --------
    >>> import numpy as np
    >>> len(Detector("paper", device="cpu").detect(np.zeros((2, 20, 30))))
    0
    """

    def __init__(
        self,
        model: str | Path | Model = DEFAULT,
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
        lay_out(self.network)

    def detect(
        self,
        frames: NDArray,
        *,
        first_frame: int = 0,
        roi: Roi | None = None,
        camera: Camera | None = None,
        sigma_px: float | None = None,
        molecule_photons: float = 0.0,
    ) -> Localizations:
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
        camera : Camera, optional
            What turns ADU into photons, for a model that takes photons; without it the frames are in photons, and have
            no noise but that of the light.
        sigma_px : float, optional
            Standard deviation of the point spread function, in pixels; a model that takes photons needs it.
        molecule_photons : float
            What a usual molecule gives in a frame, which helps such a model in crowds; 0 where it is not known.

        Returns
        -------
        Localizations
            Columns ``frame``, ``y``, ``x``, ``probability``; ``photons``, ``background``, ``y_uncertainty`` and
            ``x_uncertainty`` where the model measures them, ``class_index`` where it knows several classes. Sorted by
            frame, row and column of the pixel.

        Raises
        ------
        InputError
            If frames are not (T, Y, X), the region does not lie within them, the camera's maps do not fit them, or
            the model needs to know sigma.
        """
        frames = np.asarray(frames)
        if frames.ndim != 3:
            raise InputError(f"expected a (T, Y, X) stack, got shape {frames.shape}")
        roi = checked_roi(roi, (frames.shape[1], frames.shape[2]))
        lit = np.flatnonzero(~is_constant(frames)) if frames.size else np.empty(0, np.int64)
        camera = camera or Camera()
        optics = None if sigma_px is None else Optics.of(camera, sigma_px, molecule_photons)
        self._check_told(optics)

        def find(some: NDArray[np.int64]) -> NDArray[np.float64]:
            rows = self._found(self._scaled(frames[some], camera, optics), roi, sigma_px)
            rows[:, 0] = some[rows[:, 0].astype(np.int64)] + first_frame
            return rows

        found = list(self._side_by_side(find, lit)) if lit.size else []
        rows = np.concatenate(found) if found else np.empty((0, len(self.columns)))
        if self.measures:
            rows[:, 4:6] *= camera.variance_per_photon
        return self._table(rows, (frames.shape[1], frames.shape[2]))

    @property
    def n_workers(self) -> int:
        """How many calls of `detect` at a time keep the device busy."""
        return n_threads() if self.device.type == "cpu" else GPU_WORKERS

    @property
    def measures(self) -> bool:
        """Whether the model tells photons, background and uncertainties."""
        return self.card.input_scaling == "counts"

    @property
    def columns(self) -> tuple[str, ...]:
        """What the network tells of a point."""
        return merging.COLUMNS if self.measures else COLUMNS

    def _side_by_side(
        self, find: Callable[[NDArray[np.int64]], NDArray[np.float64]], frames: NDArray[np.int64]
    ) -> Iterator[NDArray[np.float64]]:
        """Yield what `find` finds in parts of the frames; on a CPU, every thread of PyTorch's takes parts of its own.

        That leaves no thread waiting for the others within a layer, nor for what is done after the layers.
        """
        threads = n_threads()
        if self.device.type != "cpu" or threads == 1 or len(frames) < 2 * threads:
            yield find(frames)
            return
        parts = np.array_split(frames, min(threads * PARTS_PER_THREAD, len(frames)))
        with one_thread_each(threads) as pool:
            yield from pool.map(find, parts)

    def _found(self, scaled: NDArray[np.float32], roi: Roi, sigma_px: float | None) -> NDArray[np.float64]:
        """Return rows of `columns`, light in counts, of scaled frames, numbered as these."""
        if not (self.measures and sigma_px):
            return np.concatenate([self._detect_batch(batch) for batch in self._tiled(scaled, roi)])
        wider = _grown(roi, scaled.shape[2:], MARGIN_SIGMA * sigma_px)
        found, crowded = squares(scaled, wider, sigma_px, grid_px=self.network.grid_px)
        rows = [np.empty((0, len(self.columns)))]
        rows += [self._detect_batch(batch) for _, batch in self._squared(scaled, self._promising(scaled, found))]
        rows += [self._detect_batch(batch) for batch in self._tiled(scaled, wider, crowded)]
        return self._molecules(np.concatenate(rows), scaled, roi, sigma_px)

    def _promising(self, scaled: NDArray[np.float32], found: Squares) -> Squares:
        """Return the squares in which there is something at a first glance."""
        promising, least = np.zeros(len(found.origin), np.bool_), min(PROMISING, self.threshold)
        for some, batch in self._squared(scaled, found, GLANCED_PX):
            rows = self._detect_batch(batch._replace(origin=np.column_stack([some, some, some])), least)
            promising[np.unique(rows[:, 0]).astype(np.int64)] = True
        return found.select(promising)

    def _squared(
        self, scaled: NDArray[np.float32], found: Squares, seen_px: int = SEEN_PX
    ) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        seen_px = min(seen_px, self.network.reach_px)
        return batches_of_squares(scaled, found, seen_px=seen_px, grid_px=self.network.grid_px)

    def _tiled(self, scaled: NDArray[np.float32], roi: Roi, frames: NDArray[np.int64] | None = None) -> Iterator[Batch]:
        frames = np.arange(len(scaled)) if frames is None else frames
        network = self.network
        return batches_of_tiles(
            scaled,
            frames,
            roi,
            tile_px=self.tile_px,
            reach_px=network.reach_px,
            grid_px=network.grid_px,
            upsampling=network.upsampling,
        )

    def _molecules(self, rows: NDArray, scaled: NDArray, roi: Roi, sigma_px: float) -> NDArray[np.float64]:
        """Join alternatives, keep what is probable enough, refine what stands clear, and keep what is in the region."""
        rows = merging.merge_alternatives(rows)
        rows = refine(scaled[:, 0], scaled[:, 2], sigma_px, rows, threshold=self.threshold)
        y, x = home_pixel(rows[:, 1]), home_pixel(rows[:, 2])
        (y0, y1), (x0, x1) = roi
        return rows[(y >= y0) & (y < y1) & (x >= x0) & (x < x1)]

    def _check_told(self, optics: Optics | None) -> None:
        if self.measures and (optics is None or not optics.sigma_px > 0):
            raise InputError(
                f"model {self.card.name}: needs the standard deviation of the point spread function, in pixels; got "
                f"{optics and optics.sigma_px}"
            )

    def _scaled(self, frames: NDArray, camera: Camera, optics: Optics | None) -> NDArray[np.float32]:
        """Return whole frames as the network wants them, shape (T, planes, Y, X)."""
        if optics is None or not self.measures:
            return minmax(frames)[:, None]
        return counts(camera.to_photons(frames), optics)

    def _detect_batch(self, batch: Batch, least: float | None = None) -> NDArray[np.float64]:
        """Rows of `columns`, light in counts, of the points of a batch that are probable enough, shape (K, 5 or 8)."""
        least = least or (min(self.threshold, merging.FAINTEST) if self.measures else self.threshold)
        with torch.inference_mode(), self._exactly():
            logit = math.log(least / (1 - least))
            given = torch.from_numpy(np.ascontiguousarray(batch.seen)).to(self.device)
            own = None if batch.own is None else torch.from_numpy(batch.own).to(self.device)
            try:
                found = self.network.predictions_above(given, batch.rows, batch.columns, logit, own)
                rows = _rows(*found, logit).numpy()
            except torch.OutOfMemoryError:
                raise MemoryError from None
        origin = batch.origin[rows[:, 0].astype(np.int64)]
        rows[:, 0] = origin[:, 0]
        rows[:, 1:3] += origin[:, 1:]
        return rows

    @contextmanager
    def _exactly(self) -> Iterator[None]:
        """Keep a GPU from TensorFloat-32, which would move points by more than 0.001 px against the CPU."""
        if self.device.type == "cpu":
            yield
            return
        with _GPU:
            if self.device.type != "cuda":
                yield
                return
            with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
                yield

    def _table(self, rows: NDArray, frame_shape: tuple[int, int]) -> Localizations:
        # Tiles and batches come in their own order; the table's is by frame and pixel, whatever their size.
        rows = rows[np.lexsort((rows[:, 2], rows[:, 1], home_pixel(rows[:, 2]), home_pixel(rows[:, 1]), rows[:, 0]))]
        columns = dict(zip(self.columns, rows.T, strict=True))
        if self.network.n_classes == 1:
            columns.pop("class_index", None)
        return Localizations(columns, frame_shape=frame_shape, provenance=self.provenance)

    @property
    def provenance(self) -> dict[str, object]:
        """Model and threshold, for the tables this detector makes."""
        return {"model": self.card.provenance, "threshold": self.threshold}


def _rows(pixels: Tensor, out: Predictions, least_logit: float) -> Tensor:
    """Rows of the points above a logit, in tile coordinates: `merging.COLUMNS` where measured, else `COLUMNS`.

    The pixels are (K, 3), and `out` is what they predict, (1, n, ..., K, 1).
    """
    best, which = out.logits[0, ..., 0].max(dim=1)  # (n, K)
    n, k = torch.nonzero(best >= least_logit, as_tuple=True)

    def exact(numbers: Tensor) -> Tensor:
        return numbers.cpu().double()  # some GPUs know no double precision

    pixel = exact(pixels[k])
    place, p = pixel[:, 1:] + exact(out.offsets[0, n, :, k, 0]), torch.sigmoid(exact(best[n, k]))
    if out.log_uncertainty is None or out.log_light is None or out.background is None:
        return torch.column_stack([pixel[:, 0], place, p, exact(which[n, k])])
    light, background = exact(out.log_light[0, n, 0, k, 0]).exp(), exact(out.background[0, k, 0])
    uncertainty = exact(out.log_uncertainty[0, n, :, k, 0]).exp()
    return torch.column_stack([pixel[:, 0], place, p, light, background, uncertainty])


def _grown(roi: Roi, frame_shape: tuple[int, int], margin_px: float) -> Roi:
    """Return the region with a margin round it, as far as the frame goes."""
    margin = math.ceil(margin_px)
    (y0, y1), (x0, x1) = roi
    return (
        (max(y0 - margin, 0), min(y1 + margin, frame_shape[0])),
        (max(x0 - margin, 0), min(x1 + margin, frame_shape[1])),
    )


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
