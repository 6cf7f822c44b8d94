"""Fourier ring correlation of images from two halves of a movie, and the resolution where it falls below 1/7.

R. P. J. Nieuwenhuizen et al., Nat. Methods 10, 557 (2013). The halves are random blocks of time, many times over; a
molecule's rows in consecutive frames stay in one half; molecules that come back in another block are counted, and
their part in the correlation, which is no structure, is subtracted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_subpixel._util.compiled import compiled, on_all_processors
from napari_subpixel.analysis.crossings import Field, crossings, extent_of, outline_nm
from napari_subpixel.analysis.next_frame import NextFrameRows
from napari_subpixel.analysis.returns import returns_per_row
from napari_subpixel.analysis.tiles import Tiles, fading, tiles_of
from napari_subpixel.localizations import Localizations

#: Ways in which the blocks are divided into halves.
N_SPLITS = 20
#: Blocks of time.
N_BLOCKS = 60
#: Fewer blocks than this, as of a movie of few frames, cannot be divided in twenty ways.
MIN_BLOCKS = 8
#: A pixel, as a share of the precision of the more precise rows.
PIXEL_SHARE = 0.5
#: The more precise rows: this quantile.
PRECISE_QUANTILE = 0.25
#: Places that are seen this many separate times are binding sites, or as good as these: nothing is corrected.
SITES_FROM_VISITS = 8.0
#: Places that are seen this many separate times at most are molecules that come back; the correction fades out between.
MOLECULES_TO_VISITS = 3.0
#: Rings are averaged over this share of their radius to each side.
SMOOTHED = 0.08
#: Rows in consecutive frames that are nearer than this, in standard deviations, stay in one half.
SAME_WITHIN = 4.0
#: Fewer rows than this give no curve.
MIN_ROWS = 100
#: With the resolution before this ring, tiles of larger pixels are tried, while they do not hold everything.
COARSE_RING = 24
#: By so much pixels grow then.
COARSER = 4


@dataclass(frozen=True, eq=False)
class Frc:
    """The resolution by Fourier ring correlation.

    Attributes
    ----------
    frc_nm : float or None
        Mean of the splits: `corrected_nm` where molecules come back a few times, as dyes do; `uncorrected_nm` where
        none does, or where places are seen so often that they are the structure, as binding sites are; in between, it
        goes from the one to the other. None where the correlation is never above 1/7, never falls below, or shows no
        more than chance or the outline of the field.
    frc_error_nm : float or None
        Standard deviation over the splits, and over which of both it should be.
    corrected_nm, uncorrected_nm : float or None
        The resolution if all rows of a molecule were in one half, and with the rows as they are.
    corrected_error_nm, uncorrected_error_nm : float or None
        Their standard deviations over the splits.
    correction : float
        By how much `frc_nm` is corrected, from 0 to 1: 1 where it is the corrected one.
    splits_nm : tuple of float
        The resolution of every split that has one.
    visits : float
        Separate times that a molecule is seen: 1 where none comes back.
    frequency : ndarray, shape (R,)
        Spatial frequency of the rings, in 1 / nm.
    curves, uncorrected_curves : ndarray, shape (S, R)
        Correlation of every split.
    pixel_nm : float
        Pixel of the images.
    n_tiles : int
        Tiles that were compared.
    n_rows : int
        Rows in them.
    warnings : tuple of str
        What cannot be said, and what is odd.
    """

    frc_nm: float | None = None
    frc_error_nm: float | None = None
    corrected_nm: float | None = None
    corrected_error_nm: float | None = None
    uncorrected_nm: float | None = None
    uncorrected_error_nm: float | None = None
    correction: float = 0.0
    splits_nm: tuple[float, ...] = ()
    visits: float = 1.0
    frequency: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros(0), repr=False)
    curves: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros((0, 0)), repr=False)
    uncorrected_curves: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros((0, 0)), repr=False)
    pixel_nm: float | None = None
    n_tiles: int = 0
    n_rows: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def is_corrected(self) -> bool:
        """Whether `frc_nm` is corrected for molecules that come back, wholly or in part."""
        return self.correction > 0


def frc(localizations: Localizations, precision_nm: NDArray[np.float64], *, seed: int = 0) -> Frc:
    """Measure the resolution by Fourier ring correlation.

    Parameters
    ----------
    localizations : Localizations
        Its pixel size must be known.
    precision_nm : ndarray, shape (N,)
        Standard deviation of every row, as measured: it chooses the pixels, and shows which rows are one molecule.
    seed : int
        Of the random splits.

    Returns
    -------
    Frc

    Raises
    ------
    InputError
        If the pixel size is not known.
    """
    localizations, size_nm = localizations.on_square_pixels()
    y, x, frame = localizations.y * size_nm, localizations.x * size_nm, localizations.frame
    usable = np.isfinite(precision_nm) & (precision_nm > 0)
    if usable.sum() < MIN_ROWS:
        return Frc(warnings=(f"{usable.sum()} rows are too few for a Fourier ring correlation",))
    if np.ptp(y) == 0 and np.ptp(x) == 0:
        return Frc(warnings=("all rows are in one place: no structure to resolve",))
    pixel_nm = PIXEL_SHARE * float(np.quantile(precision_nm[usable], PRECISE_QUANTILE))
    table = _Rows(frame[usable], y[usable], x[usable], precision_nm[usable])
    while True:
        tiles = tiles_of(table.y, table.x, pixel_nm)
        result = _intiles_of(table, tiles, seed)
        coarse_nm = tiles.side_px * pixel_nm / COARSE_RING
        if tiles.is_whole or (result.uncorrected_nm is not None and result.uncorrected_nm < coarse_nm):
            return result
        pixel_nm *= COARSER


class _Rows(NamedTuple):
    """Frames, positions and precision of rows, in nm."""

    frame: NDArray[np.int64]
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    precision_nm: NDArray[np.float64]


def _intiles_of(table: _Rows, tiles: Tiles, seed: int) -> Frc:
    rows = np.flatnonzero(tiles.number >= 0)
    frame, y, x, precision_nm = table.frame[rows], table.y[rows], table.x[rows], table.precision_nm[rows]
    block, n_events = _blocks(frame, y, x, precision_nm)
    n_blocks = int(block.max()) + 1 if len(block) else 0
    if len(rows) < MIN_ROWS or n_blocks < MIN_BLOCKS:
        return Frc(warnings=("too few rows or frames to divide the movie into halves",))
    halves = _halves(n_blocks, np.random.default_rng(seed))
    returns = returns_per_row(y, x, precision_nm, block)
    parts = [np.flatnonzero(tiles.number[rows] == k) for k in range(tiles.n)]
    results = [_Sums.empty(tiles.side_px // 2) for _ in parts]

    def correlate(k: int) -> None:
        inside = parts[k]
        results[k] = _correlated(tiles, k, y[inside], x[inside], block[inside], halves)

    on_all_processors(correlate, range(len(parts)))
    sums = _Sums(*(np.sum(part, axis=0) for part in zip(*results, strict=True)))
    visits = 1 + returns * n_events / len(rows)
    extent = extent_of(table.y, table.x)
    outline = outline_nm(extent, n_events * len(table.y) / len(rows))
    return _resolved(sums, tiles, returns, visits, precision_nm, Field(_modes(tiles, extent), outline))


def _modes(tiles: Tiles, extent_nm: tuple[float, float]) -> NDArray[np.float64]:
    """Return how many values in each ring are independent: fewer than pixels where the field fills a part of a tile."""
    height, width = (min(side, tiles.side_px * tiles.pixel_nm) for side in extent_nm)
    filled = height * width / (tiles.side_px * tiles.pixel_nm) ** 2
    return np.asarray(0.5 * filled * tiles.n * _Rings.of(tiles.side_px).counts)


def _blocks(
    frame: NDArray[np.int64], y: NDArray[np.float64], x: NDArray[np.float64], precision_nm: NDArray[np.float64]
) -> tuple[NDArray[np.int64], int]:
    """Return the block of time of every row, that of the first row of its molecule in consecutive frames.

    The second value is the number of such first rows.
    """
    if not len(frame):
        return np.zeros(0, np.int64), 0
    pairs = NextFrameRows.of(frame, y, x, max_rows=len(frame)).pairs(
        np.column_stack([precision_nm, precision_nm]) ** 2, SAME_WITHIN
    )
    first = frame.copy()
    _chain(pairs.earlier, pairs.later, first)
    order = np.sort(first)
    edges = np.unique(order[np.arange(1, N_BLOCKS) * len(order) // N_BLOCKS])
    block = np.searchsorted(edges, first, side="right")
    return np.unique(block, return_inverse=True)[1].astype(np.int64), len(frame) - len(np.unique(pairs.later))


@compiled
def _chain(earlier: NDArray[np.int64], later: NDArray[np.int64], first: NDArray[np.int64]) -> None:
    """Hand the first frame of every molecule on to its later rows; the pairs are in the order of their frames."""
    for k in range(len(earlier)):
        first[later[k]] = first[earlier[k]]


def _halves(n_blocks: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which blocks are in the first half of every split, shape (N_SPLITS, n_blocks)."""
    half = np.arange(n_blocks) < n_blocks // 2
    return np.stack([rng.permutation(half) for _ in range(N_SPLITS)])


def _correlated(
    tiles: Tiles,
    which: int,
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    block: NDArray[np.int64],
    halves: NDArray[np.bool_],
) -> _Sums:
    """Return the sums over the rings of a tile for every split."""
    from scipy.fft import rfft2

    side = tiles.side_px
    row = ((y - tiles.low_nm[which, 0]) / tiles.pixel_nm).astype(np.int64)
    column = ((x - tiles.low_nm[which, 1]) / tiles.pixel_nm).astype(np.int64)
    weight = fading(side)[row] * fading(side)[column]
    place = row * side + column

    def spectrum(rows: NDArray[np.bool_]) -> NDArray[np.complex64]:
        image = np.bincount(place[rows], weight[rows], minlength=side * side).reshape(side, side)
        return np.asarray(rfft2(image.astype(np.float32)))

    rings = _Rings.of(side)
    whole = spectrum(np.ones(len(place), bool))
    sums = _Sums.empty(side // 2)
    for k, in_first in enumerate(halves):
        rows = in_first[block]
        one = spectrum(rows)
        two = whole - one
        sums.shot[:, k] = (weight[rows] ** 2).sum(), (weight[~rows] ** 2).sum()
        sums.both[k] = rings.sums(one.real * two.real + one.imag * two.imag)
        # Light spread over pixels dampens the structure and not the counting noise.
        for half, image in enumerate((one, two)):
            noise = sums.shot[half, k]
            sums.each[half, k] = rings.sums(image.real**2 + image.imag**2 - noise) + noise * rings.counts
    return sums


class _Sums(NamedTuple):
    """Sums over rings: of the product of both halves, of the power of each, and the power of their counting noise.

    Attributes
    ----------
    both : ndarray, shape (S, R)
    each : ndarray, shape (2, S, R)
    shot : ndarray, shape (2, S)
    """

    both: NDArray[np.float64]
    each: NDArray[np.float64]
    shot: NDArray[np.float64]

    @classmethod
    def empty(cls, n_rings: int) -> _Sums:
        """Return sums of nothing."""
        return cls(np.zeros((N_SPLITS, n_rings)), np.zeros((2, N_SPLITS, n_rings)), np.zeros((2, N_SPLITS)))


class _Rings(NamedTuple):
    """Rings of one pixel in the half plane of a real image's Fourier transform.

    Attributes
    ----------
    number : ndarray of int64
        Ring of every pixel, flat.
    weight : ndarray of float32
        How often it counts, divided by how much a pixel of the image dampens its structure.
    counts : ndarray, shape (R,)
        Pixels of each ring.
    """

    number: NDArray[np.int64]
    weight: NDArray[np.float32]
    counts: NDArray[np.float64]

    @classmethod
    def of(cls, side: int) -> _Rings:
        """Return the rings below the largest frequency along an axis."""
        from scipy.fft import fftfreq, rfftfreq

        along_y, along_x = fftfreq(side)[:, None], rfftfreq(side)[None]
        number = np.rint(np.hypot(along_y, along_x) * side).astype(np.int64)
        often = np.where((along_x == 0) | (along_x == 0.5), 1.0, 2.0) * np.ones_like(along_y)
        dampened = np.sinc(along_y) ** 2 * np.sinc(along_x) ** 2
        n_rings = side // 2
        counts = np.bincount(number.ravel(), often.ravel())[:n_rings].astype(np.float64)
        return cls(number.ravel(), (often / dampened).astype(np.float32).ravel(), counts)

    def sums(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the sum of every ring."""
        sums = np.bincount(self.number, values.ravel() * self.weight)[: len(self.counts)]
        return sums.astype(np.float64)


def _resolved(
    sums: _Sums, tiles: Tiles, returns: float, visits: float, precision_nm: NDArray[np.float64], field: Field
) -> Frc:
    n_rings = sums.both.shape[1]
    frequency = np.arange(n_rings) / (tiles.side_px * tiles.pixel_nm)
    plain = _correlation(sums.both, sums.each)
    correction = correction_at(visits) if returns else 0.0
    corrected = chosen_curves = plain
    if returns:
        scatter = np.exp(-2 * (np.pi * frequency[:, None] * _quantiles(precision_nm)) ** 2).mean(axis=1)
        # Of the rows of a molecule in other blocks, half are in the other half of the movie: they go to the same.
        other = returns / 2 * sums.shot[:, :, None] * scatter**2 * _Rings.of(tiles.side_px).counts
        corrected, chosen_curves = (
            _correlation(sums.both - part * other.mean(axis=0), sums.each + part * other) for part in (1.0, correction)
        )
    (plain_nm, why_not), (corrected_nm, _) = (crossings(curves, frequency, field) for curves in (plain, corrected))
    chosen = crossings(chosen_curves, frequency, field)[0] if correction else plain_nm
    if not len(chosen):
        correction, chosen, chosen_curves = 0.0, plain_nm, plain
    return Frc(
        frc_nm=_mean(chosen),
        frc_error_nm=_error(chosen, plain_nm, corrected_nm, correction),
        corrected_nm=_mean(corrected_nm),
        corrected_error_nm=_deviation(corrected_nm),
        uncorrected_nm=_mean(plain_nm),
        uncorrected_error_nm=_deviation(plain_nm),
        correction=correction,
        splits_nm=tuple(chosen.tolist()),
        visits=visits,
        frequency=frequency,
        curves=chosen_curves,
        uncorrected_curves=plain,
        pixel_nm=tiles.pixel_nm,
        n_tiles=tiles.n,
        n_rows=len(precision_nm),
        warnings=tuple(_warnings(chosen, plain_nm, corrected_nm, why_not, visits, correction)),
    )


def correction_at(visits: float) -> float:
    """Return how much of the correction is applied where molecules, or sites, are seen some separate times.

    Examples
    --------
    >>> [round(correction_at(visits), 2) for visits in (1.5, 3.0, 4.9, 8.0, 100.0)]
    [1.0, 1.0, 0.5, 0.0, 0.0]
    """
    share = np.log(SITES_FROM_VISITS / visits) / np.log(SITES_FROM_VISITS / MOLECULES_TO_VISITS)
    return float(np.clip(share, 0.0, 1.0))


def _error(
    chosen: NDArray[np.float64], plain_nm: NDArray[np.float64], corrected_nm: NDArray[np.float64], correction: float
) -> float | None:
    """Return the standard deviation over the splits and over whether the correction should be applied."""
    own = _deviation(chosen)
    if own is None or not 0 < correction < 1 or not len(plain_nm) or not len(corrected_nm):
        return own
    apart = float(corrected_nm.mean() - plain_nm.mean())
    return float(np.sqrt(own**2 + correction * (1 - correction) * apart**2))


def _warnings(
    chosen: NDArray[np.float64],
    plain_nm: NDArray[np.float64],
    corrected_nm: NDArray[np.float64],
    why_not: str,
    visits: float,
    correction: float,
) -> Iterator[str]:
    if not len(chosen):
        yield why_not
        return
    without = f"they give {corrected_nm.mean():.3g} nm" if len(corrected_nm) else "they show no structure"
    if visits > 1 and not correction:
        yield (
            f"places are seen {visits:.1f} separate times, as binding sites are: the FRC is that of the places; if "
            f"they are molecules that sample a structure, {without}"
        )
    elif 0 < correction < 1:
        places = f"{plain_nm.mean():.3g} nm" if len(plain_nm) else "nothing"
        yield (
            f"places are seen {visits:.1f} separate times, which may be binding sites or molecules that come back: the "
            f"FRC is between that of sites, {places}, and of molecules: {without}"
        )


def _quantiles(precision_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.quantile(precision_nm, (np.arange(64) + 0.5) / 64)


def _correlation(both: NDArray[np.float64], each: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlation in every ring, each averaged with its neighbours, shape (S, R)."""
    numerator, one, two = _smoothed(both), _smoothed(each[0]), _smoothed(each[1])
    return np.asarray(numerator / np.sqrt(np.maximum(one, 1e-9) * np.maximum(two, 1e-9)))


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ring = np.arange(values.shape[-1])
    reach = np.floor(SMOOTHED * ring).astype(np.int64)
    cumulative = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
    low, high = np.maximum(ring - reach, 0), np.minimum(ring + reach + 1, len(ring))
    return np.asarray((cumulative[..., high] - cumulative[..., low]) / (high - low))


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def _deviation(values: NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
