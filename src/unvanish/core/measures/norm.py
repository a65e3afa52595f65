"""Euclidean norms that neither underflow nor overflow by themselves.

|a| = sqrt(sum_i a_i^2), rms = |a| / sqrt(number of entries). Squares of float32 (and shorter) entries are taken in
float64, whose range holds them all: 1e-45^2 = 1e-90, 1e38^2 = 1e76; of a large float32 array they are first taken in
float32, block by block, which is several times faster, and kept where nothing can have been lost. Where float64
entries leave that range, they are first divided by the largest magnitude (Blue 1978, ACM TOMS 4(1), as in LAPACK's
dnrm2). The work is done in blocks, so that no second copy of a large array is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Block = NDArray[np.float64]

BLOCK = 1 << 13
"""Entries worked on at a time: 64 KiB in float64, which stays in the processor's cache. Below the 10,000 from which on
OpenBLAS shares a dot product among threads: on a busy machine each would wait milliseconds for the others."""

_LARGE = 1 << 16
"""Entries from which on float32 squares are tried first: relative error of a norm about 1e-8."""
_SINGLE = 1e-26
"""A mean sum of squares of a block above this lost less than 1e-7 of it: at most BLOCK squares below 1e-38."""

_SAFE = 1e-200
"""A sum of squares above this lost nothing to underflow that could be seen."""


def norm(array: Array) -> float:
    """Return the Euclidean norm over all entries; 0.0 of an empty array.

    array: any shape, any real dtype; not changed. inf when an entry is infinite, nan when one is not a number.
    """
    scale, total = _squares(np.ravel(array, order="K"))
    return scale * math.sqrt(total)


def rms(array: Array) -> float:
    """Return the root mean square over all entries; nan of an empty array. Otherwise as `norm`."""
    flat = np.ravel(array, order="K")
    scale, total = _squares(flat)
    return scale * math.sqrt(total / flat.size) if flat.size else math.nan


def moments(array: Array) -> tuple[float, float]:
    """Return (mean, mean square) over all entries; zeros of an empty array. Otherwise as `norm`.

    The mean is right to 1e-12 of the root mean square; of a large float32 array to 1e-6 of it.
    """
    flat = np.ravel(array, order="K")
    if not flat.size:
        return 0.0, 0.0
    scale, total = _squares(flat)
    with np.errstate(over="ignore", invalid="ignore"):
        return _sum(flat) / flat.size, scale * scale * (total / flat.size)


def combine_norms(norms: Sequence[float]) -> float:
    """Return the root mean square of the norms that one array had on several batches; nan of none."""
    return rms(np.asarray(norms, dtype=np.float64))


def blocks(flat: Array) -> Iterator[Block]:
    """Yield a one-dimensional array as float64 in pieces of at most BLOCK entries."""
    for piece in _pieces(flat):
        yield piece.astype(np.float64, copy=False)


def _pieces(flat: Array) -> Iterator[Array]:
    for start in range(0, flat.size, BLOCK):
        yield flat[start : start + BLOCK]


def norm_of_blocks(pieces: Callable[[], Iterator[Block]]) -> float:
    """Return the Euclidean norm of an array given in float64 pieces; `pieces` is called once, or three times."""
    scale, total = _sum_of_squares(pieces)
    return scale * math.sqrt(total)


def _squares(flat: Array) -> tuple[float, float]:
    """Return (scale, total) with the sum of squares of a one-dimensional array = scale^2 * total."""
    if flat.dtype == np.float32 and flat.size >= _LARGE:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            sums = [float(np.dot(piece, piece)) for piece in _pieces(flat)]
        total = math.fsum(sums) if all(map(math.isfinite, sums)) else math.nan
        if total > _SINGLE * len(sums):
            return 1.0, total
    return _sum_of_squares(lambda: blocks(flat))


def _sum(flat: Array) -> float:
    if flat.dtype == np.float32 and flat.size >= _LARGE:
        total = float(np.sum(flat))  # pairwise: to about 1e-6 of the sum of magnitudes
        if math.isfinite(total):
            return total
    return float(np.sum([piece.sum() for piece in blocks(flat)]))


def _sum_of_squares(pieces: Callable[[], Iterator[Block]]) -> tuple[float, float]:
    """Return (scale, total) with the sum of squares = scale^2 * total."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = _total(pieces(), 1.0)
        if _SAFE < total < math.inf or math.isnan(total):
            return 1.0, total
        largest = max((float(np.max(np.abs(piece))) for piece in pieces()), default=0.0)
        if largest == 0.0 or math.isinf(largest):
            return 1.0, largest
        return largest, _total(pieces(), largest)


def _total(pieces: Iterator[Block], scale: float) -> float:
    scaled = (piece if scale == 1.0 else piece / scale for piece in pieces)
    return float(np.sum([np.dot(piece, piece) for piece in scaled]))
