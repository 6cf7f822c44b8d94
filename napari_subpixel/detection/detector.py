"""The detector: frames in, localizations out."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.camera import Camera
from napari_subpixel.coordinates import Roi, checked_roi, home_pixel
from napari_subpixel.detection.devices import choose_device
from napari_subpixel.detection.fragments import join_fragments
from napari_subpixel.detection.inference import predict_points
from napari_subpixel.detection.merging import MIN_PROBABILITY, merge_alternatives
from napari_subpixel.detection.points import ClassifiedPoints, MeasuredPoints, Points
from napari_subpixel.detection.refinement import refine
from napari_subpixel.detection.significance import discounted
from napari_subpixel.detection.tiling import (
    CONTEXT_PX,
    SCREENING_CONTEXT_PX,
    Crops,
    Squares,
    crops_of_squares,
    crops_of_tiles,
    squares_of_sparse_frames,
)
from napari_subpixel.detection.torch_threads import n_threads, one_thread_each
from napari_subpixel.errors import InputError
from napari_subpixel.localizations import Localizations
from napari_subpixel.models import DEFAULT, Model, checked_threshold, load_model
from napari_subpixel.models.domain import Domain
from napari_subpixel.models.input_scaling import Optics, counts, is_constant, minmax
from napari_subpixel.models.pixel_network import lay_out

#: Parts of the frames that each thread takes: frames with more molecules take longer.
PARTS_PER_THREAD = 2
#: Threads that scale frames and join points while a GPU computes.
GPU_WORKERS = 3
#: Squares of sparse frames are skipped unless a point reaches this probability in a first pass.
SCREENING_PROBABILITY = 0.1
#: How far beyond a region molecules are detected, as their light reaches into it, in standard deviations of the PSF.
ROI_MARGIN_SIGMA = 13.0


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
        # A copy, so that two detectors of one model may use two devices.
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
        min_significance: float = 0.0,
        joins_fragments: bool = False,
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
            What turns ADU into photons, for a model that takes photons; without it the frames are in photons, with shot
            noise only.
        sigma_px : float, optional
            Standard deviation of the point spread function, in pixels; a model that takes photons needs it.
        molecule_photons : float
            Typical photons of a molecule in a frame, which help such a model in crowds; 0 if unknown.
        min_significance : float
            Isolated points that stand out of the noise by fewer standard deviations are left out, with such a model.
        joins_fragments : bool
            Molecules are not round, and give about `molecule_photons`: points near each other that together give no
            more than one molecule are one. The model, which knows round ones only, is not given the photons then.

        Returns
        -------
        Localizations
            Columns ``frame``, ``y``, ``x``, ``probability``; with a model that measures them ``photons``,
            ``background``, ``y_uncertainty`` and ``x_uncertainty``, with one of several classes ``class_index``. Sorted
            by frame, row and column of the pixel.

        Raises
        ------
        InputError
            If frames are not (T, Y, X), the region does not lie within them, the camera's maps do not fit them, or
            the model needs sigma.
        """
        frames = np.asarray(frames)
        if frames.ndim != 3:
            raise InputError(f"expected a (T, Y, X) stack, got shape {frames.shape}")
        roi = checked_roi(roi, (frames.shape[1], frames.shape[2]))
        not_constant = np.flatnonzero(~is_constant(frames)) if frames.size else np.empty(0, np.int64)
        camera = camera or Camera()
        to_model = 0.0 if joins_fragments else molecule_photons
        optics = None if sigma_px is None else Optics.of(camera, self._known_width(sigma_px), to_model)
        molecule_counts = molecule_photons / camera.variance_per_photon if joins_fragments else 0.0
        self._check_optics(optics)

        def detect_some(numbers: NDArray[np.int64]) -> Points:
            points = self._detect_scaled(
                self._scaled(frames[numbers], camera, optics), roi, sigma_px, min_significance, molecule_counts
            )
            return replace(points, frame=numbers[points.frame] + first_frame)

        parts = self._in_parallel(detect_some, not_constant) if not_constant.size else ()
        return self._table(self._kind.concatenate(parts), (frames.shape[1], frames.shape[2]), camera)

    @property
    def n_workers(self) -> int:
        """How many calls of `detect` at a time keep the device busy."""
        return n_threads() if self.device.type == "cpu" else GPU_WORKERS

    @property
    def measures(self) -> bool:
        """Whether the model estimates photons, background and uncertainties."""
        return self.card.input_scaling == "counts"

    @property
    def _kind(self) -> type[Points]:
        if self.measures:
            return MeasuredPoints
        return ClassifiedPoints if self.network.n_classes > 1 else Points

    def _in_parallel(
        self, detect_some: Callable[[NDArray[np.int64]], Points], frames: NDArray[np.int64]
    ) -> Iterator[Points]:
        """Yield the points of parts of the frames; on a CPU, every thread of PyTorch's takes parts of its own.

        That leaves no thread waiting for the others within a layer, nor for what is done after the layers.
        """
        threads = n_threads()
        if self.device.type != "cpu" or threads == 1 or len(frames) < 2 * threads:
            yield detect_some(frames)
            return
        parts = np.array_split(frames, min(threads * PARTS_PER_THREAD, len(frames)))
        with one_thread_each(threads) as pool:
            yield from pool.map(detect_some, parts)

    def _detect_scaled(
        self,
        scaled: NDArray[np.float32],
        roi: Roi,
        sigma_px: float | None,
        min_significance: float,
        joined_counts: float,
    ) -> Points:
        """Return the points of scaled frames, numbered as these."""
        if not (self.measures and sigma_px):
            return self._kind.concatenate(self._predict(crops, self.threshold) for crops in self._tiles(scaled, roi))
        wider = _widened(roi, scaled.shape[2:], ROI_MARGIN_SIGMA * sigma_px)
        squares, crowded = squares_of_sparse_frames(scaled, wider, sigma_px, grid_px=self.network.grid_px)
        all_crops = itertools.chain(
            (crops for _, crops in self._squares(scaled, self._occupied(scaled, squares), CONTEXT_PX)),
            self._tiles(scaled, wider, crowded),
        )
        min_probability = min(self.threshold, MIN_PROBABILITY)
        predicted = (self._predict(crops, min_probability) for crops in all_crops)
        points = merge_alternatives(MeasuredPoints.concatenate(cast("Iterator[MeasuredPoints]", predicted)))
        points = refine(scaled[:, 0], scaled[:, 2], sigma_px, points, threshold=self.threshold)
        if joined_counts > 0:
            sure = points.probability >= self.card.threshold
            joined = join_fragments(points.take(sure), sigma_px, joined_counts)
            points = MeasuredPoints.concatenate([joined, points.take(~sure)])
        if min_significance > 0:
            points = discounted(
                scaled[:, 0], scaled[:, 2], sigma_px, points, limit=min_significance, threshold=self.threshold
            )
        y, x = home_pixel(points.y), home_pixel(points.x)
        (y0, y1), (x0, x1) = roi
        return points.take((y >= y0) & (y < y1) & (x >= x0) & (x < x1))

    def _occupied(self, scaled: NDArray[np.float32], squares: Squares) -> Squares:
        """Return the squares in which a first pass, with little context, predicts a point."""
        occupied, min_probability = np.zeros(len(squares.origin), np.bool_), min(SCREENING_PROBABILITY, self.threshold)
        for numbers, crops in self._squares(scaled, squares, SCREENING_CONTEXT_PX):
            # With the numbers of the squares in place of those of the frames.
            numbered = crops._replace(origin=np.column_stack([numbers, crops.origin[:, 1:]]))
            occupied[self._predict(numbered, min_probability).frame] = True
        return squares.select(occupied)

    def _squares(
        self, scaled: NDArray[np.float32], squares: Squares, context_px: int
    ) -> Iterator[tuple[NDArray[np.int64], Crops]]:
        context_px = min(context_px, self.network.reach_px)
        return crops_of_squares(scaled, squares, context_px=context_px, grid_px=self.network.grid_px)

    def _tiles(self, scaled: NDArray[np.float32], roi: Roi, frames: NDArray[np.int64] | None = None) -> Iterator[Crops]:
        network = self.network
        return crops_of_tiles(
            scaled,
            np.arange(len(scaled)) if frames is None else frames,
            roi,
            tile_px=self.tile_px,
            reach_px=network.reach_px,
            grid_px=network.grid_px,
            upsampling=network.upsampling,
        )

    def _predict(self, crops: Crops, min_probability: float) -> Points:
        return predict_points(self.network, self.device, crops, min_probability)

    def _known_width(self, sigma_px: float) -> float:
        """Return the width that the network is given: narrower ones than it knows make it report next to nothing."""
        if not self.card.domain or not sigma_px > 0:
            return sigma_px
        return max(sigma_px, Domain.from_dict(self.card.domain).sigma_px[0])

    def _check_optics(self, optics: Optics | None) -> None:
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

    def _table(self, points: Points, frame_shape: tuple[int, int], camera: Camera) -> Localizations:
        # Crops come in their own order; the table's is by frame and pixel, whatever their size.
        points = points.take(np.lexsort((points.x, points.y, home_pixel(points.x), home_pixel(points.y), points.frame)))
        columns = points.arrays
        if isinstance(points, MeasuredPoints):
            columns["photons"] = columns.pop("molecule_counts") * camera.variance_per_photon
            columns["background"] = columns.pop("background_counts") * camera.variance_per_photon
        return Localizations(columns, frame_shape=frame_shape, provenance=self.provenance)

    @property
    def provenance(self) -> dict[str, object]:
        """Model and threshold, for the tables this detector makes."""
        return {"model": self.card.provenance, "threshold": self.threshold}


def _widened(roi: Roi, frame_shape: tuple[int, int], margin_px: float) -> Roi:
    """Return the region with a margin round it, clipped to the frame."""
    margin = math.ceil(margin_px)
    (y0, y1), (x0, x1) = roi
    return (
        (max(y0 - margin, 0), min(y1 + margin, frame_shape[0])),
        (max(x0 - margin, 0), min(x1 + margin, frame_shape[1])),
    )
