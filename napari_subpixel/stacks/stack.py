"""The movie as the program sees it: frames (T, Y, X), read only where asked for."""

from __future__ import annotations

import copy
import hashlib
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from napari_subpixel.coordinates import PixelSize, checked_pixel_size, pixel_size_text, same_pixel_size
from napari_subpixel.errors import InputError, PixelSizeError

#: Pixels whose height and width differ by at most this fraction are square.
SQUARE_WITHIN = 1e-3


class FrameSource(Protocol):
    """What a kind of file must offer to be a movie; safe to call from several threads."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    files: Sequence[Path]

    def read(self, frames: range, rows: range) -> NDArray[Any]:
        """Return these rows of these frames, shape (len(frames), len(rows), X); both ranges count upwards by 1."""

    def close(self) -> None:
        """Close the files; closing twice is no error."""


class _ChangedSource:
    """The frames of another source, changed when they are read."""

    def __init__(self, source: FrameSource, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        self.shape, self.dtype, self.files = source.shape, source.dtype, source.files
        self._source, self._change = source, change

    def read(self, frames: range, rows: range) -> NDArray[Any]:
        whole = self._source.read(frames, range(self.shape[1]))
        return self._change(whole)[:, rows.start : rows.stop]

    def close(self) -> None:
        self._source.close()


class Stack:
    """A movie of frames (T, Y, X) that are read from their file only when asked for; made by `open_stack`.

    ``stack[7]`` is a frame and ``stack[10:20, :, 5:30]`` a part of ten, read then and there and indexed as in numpy.
    Several threads may read at once. ``with open_stack(path) as stack:`` closes the file at the end.

    `numpy.asarray` of a whole stack is refused, since it would silently fill the memory with a movie: write
    ``stack[:]`` where that is meant.

    Attributes
    ----------
    shape : (int, int, int)
        Frames, height, width.
    dtype : numpy.dtype
        Type of the numbers as in the file, in this machine's byte order.
    name : str
        What messages and provenance call the movie: its file name.
    path : Path or None
        The file or folder, None for an array.
    pixel_size_nm : float or (float, float) or None
        Width of a pixel in nm, where the movie's metadata say so; height and width where they differ.
    n_series : int
        Number of images in the file; all but one are further movies.
    series : int
        Which of them this is.
    warnings : tuple of str
        What was noticed when it was opened, and what is assumed; one line each, without the movie's name.
    opening : dict of str to object
        Keyword arguments with which `open_stack` opens the same movie again; ``movie`` is an absolute path, or several.
    """

    ndim = 3

    def __init__(
        self,
        source: FrameSource,
        *,
        name: str,
        path: Path | None = None,
        pixel_size_nm: PixelSize | None = None,
        n_series: int = 1,
        series: int = 0,
        warnings: Sequence[str] = (),
    ) -> None:
        self._source = source
        self._closed = False
        self.shape = source.shape
        self.dtype = source.dtype
        self.name = name
        self.path = path
        self.pixel_size_nm = None if pixel_size_nm is None else nearly_square(pixel_size_nm)
        self.n_series = n_series
        self.series = series
        self.warnings = (*warnings, *square_warnings(self.pixel_size_nm))
        self.opening: dict[str, Any] = {}

    # -- what is known --------------------------------------------------------------------------------------------

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return self.shape[0]

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(height, width) of the frames, in pixels."""
        return self.shape[1], self.shape[2]

    @property
    def nbytes(self) -> int:
        """Bytes that the whole movie takes in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.n_frames

    def __repr__(self) -> str:
        size = "unknown" if self.pixel_size_nm is None else pixel_size_text(self.pixel_size_nm)
        return f"<Stack {self.name!r}: {self.shape} {self.dtype}, pixel size {size}>"

    @property
    def chosen(self) -> dict[str, int | str]:
        """The series and the channel that were asked for when it was opened, as far as they were."""
        return {name: self.opening[name] for name in ("series", "channel") if self.opening.get(name) is not None}

    def pixel_size_error(self, purpose: str) -> PixelSizeError:
        """Return the error for a purpose that needs the pixel size where the metadata give none.

        Parameters
        ----------
        purpose : str
            What needs it, to follow "which".
        """
        return PixelSizeError(f"{self.name}: the movie does not say its pixel size, which {purpose} needs")

    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies an unchanged movie: plain strings, numbers and lists, for JSON.

        Size and time of its files, shape, type, and a hash over the first, the middle and the last frame.
        """
        stats = [file.stat() for file in self._source.files]
        digest = hashlib.sha256()
        for frame in sorted({0, self.n_frames // 2, self.n_frames - 1}):
            digest.update(np.ascontiguousarray(self[frame]).tobytes())
        return {
            "name": self.name,
            "bytes": sum(s.st_size for s in stats) if stats else self.nbytes,
            "mtime_ns": max((s.st_mtime_ns for s in stats), default=None),
            "shape": list(self.shape),
            "dtype": str(self.dtype),
            "frames_sha256": digest.hexdigest()[:16],
        }

    def fingerprint_of_beginning(self) -> dict[str, Any]:
        """Return what identifies a movie that may have grown since, like `fingerprint`."""
        return {
            "name": self.name,
            "frame_shape": list(self.frame_shape),
            "dtype": str(self.dtype),
            "first_frame_sha256": self.frame_sha256(0),
        }

    def frame_sha256(self, frame: int) -> str:
        """Return the first 16 digits of the SHA-256 of a frame's bytes."""
        return hashlib.sha256(np.ascontiguousarray(self[frame]).data).hexdigest()[:16]

    @property
    def files(self) -> Sequence[Path]:
        """The files that it is read from; none for an array."""
        return self._source.files

    def named(self, name: str) -> Stack:
        """Return the same movie under another name; closing it closes this one."""
        renamed = copy.copy(self)
        renamed.name = name
        return renamed

    def changed(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Stack:
        """Return the same movie with its frames changed when they are read; closing it closes this one.

        Parameters
        ----------
        change : callable
            Takes whole frames, shape (T, Y, X), and returns frames of the same shape and type.
        """
        altered = copy.copy(self)
        altered._source = _ChangedSource(self._source, change)
        return altered

    def beginning(self, n_frames: int) -> Stack:
        """Return the first frames as a movie of their own; closing it closes this one."""
        part = copy.copy(self)
        part.shape = (min(n_frames, self.n_frames), *self.frame_shape)
        return part

    # -- frames ---------------------------------------------------------------------------------------------------

    def read(self, start: int, stop: int, roi: tuple[slice, slice] | None = None) -> NDArray[Any]:
        """Read frames `start` up to but without `stop`, and nothing else.

        Parameters
        ----------
        start, stop : int
            Frames, counted from 0.
        roi : (slice, slice), optional
            Rows and columns to keep.

        Returns
        -------
        ndarray, shape (stop - start, Y, X)

        Raises
        ------
        InputError
            If the movie has no such frames, or they cannot be read.
        """
        if not 0 <= start <= stop <= self.n_frames:
            raise InputError(f"{self.name}: frames {start}:{stop} asked for, the movie has 0:{self.n_frames}")
        rows, columns = roi or (slice(None), slice(None))
        return self._part(range(start, stop), rows, columns)

    def chunks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the movie in pieces of `size` frames, the last one shorter, each with the number of its first frame.

        Parameters
        ----------
        size : int
            Frames in a piece.
        start, stop : int
            Frames, counted from 0; by default all.

        Yields
        ------
        (int, ndarray of shape (size, Y, X))

        Raises
        ------
        InputError
            If `size` is below 1, the movie has no such frames, or they cannot be read.
        """
        if size < 1:
            raise InputError(f"{self.name}: a chunk must have at least 1 frame, got {size}")
        stop = self.n_frames if stop is None else stop
        for first in range(start, stop, size):
            yield first, self.read(first, min(first + size, stop))

    def __getitem__(self, key: Any) -> NDArray[Any]:
        keys = key if isinstance(key, tuple) else (key,)
        if len(keys) > self.ndim:
            raise IndexError(f"a movie has {self.ndim} axes (T, Y, X), got {len(keys)} indices")
        time, y, x = [*keys, slice(None), slice(None)][: self.ndim]
        if isinstance(time, slice):
            return self._part(range(self.n_frames)[time], y, x)
        # range() knows numpy's rule for negative numbers, and says IndexError beyond the end.
        frame = range(self.n_frames)[time]
        return self._part(range(frame, frame + 1), y, x)[0]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[frame] for frame in range(self.n_frames))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Refuse: an array of the whole movie is asked for by ``stack[:]`` only, never by accident."""
        raise TypeError(
            f"{self.name}: numpy.asarray would read the whole movie, {self.nbytes / 2**20:,.0f} MiB: "
            "take the frames you need, stack[start:stop], or stack[:] for all"
        )

    def _part(self, frames: range, y: Any, x: Any) -> NDArray[Any]:
        """Return these frames, cut by a number or a slice along y and x as numpy would."""
        height, width = self.frame_shape
        rows = range(height)[y]
        if isinstance(rows, int):
            return self._read(frames, range(rows, rows + 1))[:, 0][..., x]
        range(width)[x]  # IndexError before anything is read
        if not rows:
            return np.empty((len(frames), 0, width), self.dtype)[:, :, x]
        low, high = min(rows), max(rows) + 1
        part = self._read(frames, range(low, high))
        # Counted within the rows that were read; a slice that runs down past row 0 has no number for its stop.
        first, last = rows[0] - low, rows[-1] - low
        after = last + (1 if rows.step > 0 else -1)
        return part[:, first : after if after >= 0 else None : rows.step, x]

    def _read(self, frames: range, rows: range) -> NDArray[Any]:
        if self._closed:
            raise ValueError(f"{self.name}: the movie is closed")
        if not frames:
            return np.empty((0, len(rows), self.shape[2]), self.dtype)
        if abs(frames.step) == 1:
            low, high = min(frames), max(frames) + 1
            part = self._guarded(range(low, high), rows)
            return part if frames.step == 1 else part[::-1]
        return np.concatenate([self._guarded(range(f, f + 1), rows) for f in frames])

    def _guarded(self, frames: range, rows: range) -> NDArray[Any]:
        # Decoders of many kinds raise what they like; all of it means that the movie cannot be read.
        try:
            return self._source.read(frames, rows)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            what = f"frame {frames[0]}" if len(frames) == 1 else f"frames {frames[0]} to {frames[-1]}"
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{self.path or self.name}: {what} cannot be read: {reason}") from error

    # -- the file -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the file; reading afterwards is an error, closing again is not."""
        self._closed = True
        self._source.close()

    def close_when_unused(self) -> Self:
        """Close the file once nothing refers to the movie any more, for a viewer, which never closes it."""
        weakref.finalize(self, self._source.close)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def nearly_square(size_nm: PixelSize) -> PixelSize:
    """Return the width alone where height and width differ by no more than metadata are rounded.

    Examples
    --------
    >>> nearly_square((100.0, 100.02)), nearly_square((125.0, 100.0))
    (100.02, (125.0, 100.0))
    """
    if isinstance(size_nm, tuple) and same_pixel_size(*size_nm, within=SQUARE_WITHIN):
        return size_nm[1]
    return checked_pixel_size(size_nm)


def square_warnings(size_nm: PixelSize | None) -> tuple[str, ...]:
    """Return the warning that a movie's pixels are not square, or none."""
    if not isinstance(size_nm, tuple):
        return ()
    return ("its pixels are {:g} nm high and {:g} nm wide, not square".format(*size_nm),)


def check_finite(frames: NDArray[Any], first_frame: int, name: str) -> None:
    """Raise `InputError` that names the movie, the frame and the pixel if a number is NaN or infinite.

    Parameters
    ----------
    frames : ndarray
        Part of a movie, shape (T, Y, X).
    first_frame : int
        Number of the first of them in the movie.
    name : str
        The movie.
    """
    if frames.dtype.kind != "f":
        return
    finite = np.isfinite(frames)
    if not finite.all():
        frame, y, x = (int(i) for i in np.argwhere(~finite)[0])
        raise InputError(
            f"{name}: frame {first_frame + frame} holds {frames[frame, y, x]} at row {y}, column {x}; "
            "every pixel must be a finite number"
        )
