"""Numbers for each pair of places (p, p') along one axis, as a matrix; None stands for the same number everywhere.

What the sums stand for is derived in theory.profile.

Axes of more than LARGEST places are left uniform: few of them are at the border, and the matrices would be large. The
two axes of a square image are one object all the way, and so is what follows from it: a few results are kept.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unvanish.theory.geometry import Windows
from unvanish.theory.tap_sums import over_places, over_windows

Array = NDArray[np.float64]

LARGEST = 128
FAR = 1e100
"""Scale beyond which a matrix is divided by it, as not every layer has to be."""
LEAST = 1e-12
"""Of a q and of a c, so that they have logarithms."""
_KEPT = 16
"""Results of a function that are kept: those of one layer, for each of its axes."""


class Axis:
    """Hold the matrix, in units of the mean of its diagonal. It is never changed, and told from others by what it is.

    What is asked for more than once is kept.
    """

    __slots__ = ("_correlations", "_mean", "_unit", "diagonal", "matrix")

    def __init__(self, matrix: Array, unit: float | None = None, mean: float | None = None) -> None:
        """Take the matrix (places, places), of any scale; unit and mean where they are known."""
        self.matrix, self.diagonal = matrix, matrix.diagonal()
        self._unit, self._mean = unit, mean
        self._correlations: tuple[Array, Array, Array] | None = None

    @property
    def unit(self) -> float:
        """Return the mean of the diagonal."""
        if self._unit is None:
            self._unit = max(sum(self.diagonal.tolist()) / len(self.matrix), 1e-300)  # few: sooner than by numpy
        return self._unit

    @property
    def mean(self) -> float:
        """Return the mean over all pairs."""
        if self._mean is None:
            self._mean = float(np.add.reduce(self.matrix, axis=None)) / self.matrix.size / self.unit
        return self._mean

    @property
    def correlations(self) -> tuple[Array, Array, Array]:
        """Return sqrt(q), sqrt(q q') and ln c, for q (the diagonal, to scale) and c = k / sqrt(q q') of each pair."""
        if self._correlations is None:
            root = np.sqrt(np.maximum(self.diagonal, LEAST * self.unit))
            both = np.multiply.outer(root, root)
            c = self.matrix / both
            self._correlations = root, both, np.log(np.maximum(c, LEAST, out=c), out=c)
        return self._correlations

    def told(self, diagonal: float, pairs: float) -> None:
        """Take the sums, which came with others of the same matrix."""
        self._unit = max(diagonal / len(self.matrix), 1e-300)
        self._mean = pairs / self.matrix.size / self._unit


def _of_sums(sums: Array, diagonal: float, pairs: float) -> Axis:
    """Return the axis of sums over taps, which grow from layer to layer. diagonal, pairs: their own sums."""
    unit = max(diagonal / len(sums), 1e-300)
    mean = pairs / sums.size / unit
    return Axis(sums, unit, mean) if 1 / FAR < unit < FAR else Axis(sums / unit, 1.0, mean)


def is_small(axis: Windows) -> bool:
    """Say whether the pairs along a convolution's axis are told apart."""
    return max(axis.before, axis.after) <= LARGEST


@lru_cache(maxsize=_KEPT)
def gathered(axis: Windows, of: Axis | None) -> tuple[float, Axis | None, float]:
    """Return the mean over taps of what two windows have under the same tap; 0 on the padding.

    That of one place, the axis of all pairs, and the mean of `of` itself.
    """
    if not is_small(axis):
        return axis.tapped, None, 1.0
    of = of or Axis(np.ones((axis.before, axis.before)))
    sums, (one, every, of_one, of_all) = over_windows(axis, of.matrix)
    of.told(one, every)
    return of_one / axis.after / axis.length / of.unit, _of_sums(sums, of_one, of_all), of.mean


@lru_cache(maxsize=_KEPT)
def scattered(axis: Windows, of: Axis | None) -> tuple[float, float, Axis | None, float]:
    """Return what two places of the input get of the windows that have them under the same tap, summed over taps.

    First, how much less than without padding all places get in all, and all pairs of them; then the axis, and the mean
    of `of` itself.
    """
    if not is_small(axis):
        return axis.tapped, axis.tapped, None, 1.0
    of = of or Axis(np.ones((axis.after, axis.after)))
    sums, (one, every, of_one, of_all) = over_places(axis, of.matrix)
    of.told(one, every)
    whole = axis.after * axis.length * of.unit
    return of_one / whole, of_all / whole / axis.after, _of_sums(sums, of_one, of_all), of.mean


@lru_cache(maxsize=_KEPT)
def products(one: Axis | None, other: Axis | None) -> tuple[float, float]:
    """Return the means of the products: over places, and over pairs of them."""
    if one is None or other is None:
        known = one or other
        return 1.0, 1.0 if known is None else known.mean
    a, b = one.matrix, other.matrix
    unit = one.unit * other.unit
    return float(np.dot(one.diagonal, other.diagonal)) / len(a) / unit, float(np.vdot(a, b)) / a.size / unit


def pooled(axis: Axis | None, count: int) -> Axis | None:
    """Return the means over windows of equal size, `count` of them; places that are left over are left out."""
    blocks = None if axis is None else _blocks(axis.matrix, count)
    return None if blocks is None else Axis(np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float64))


def in_window(axis: Axis | None, count: int) -> float:
    """Return the mean over pairs of one of `count` windows, over that of all pairs."""
    blocks = None if axis is None else _blocks(axis.matrix, count)
    if axis is None or blocks is None:
        return 1.0
    size: int = blocks.shape[1]
    return float(np.einsum("isit->", blocks)) / (count * size * size) / (axis.mean * axis.unit)


def repeated(axis: Axis | None, count: int) -> Axis | None:
    """Return the matrix with each place as often as a pool took places together; count: of its input."""
    if axis is None or count > LARGEST:
        return None
    places = len(axis.matrix)
    at = np.minimum(np.arange(count) // max(count // places, 1), places - 1)
    return Axis(np.asarray(axis.matrix[np.ix_(at, at)], dtype=np.float64))


@lru_cache(maxsize=_KEPT)
def bent(axis: Axis | None, one: float, pair: float, times: Axis | None = None) -> Axis | None:
    """Return q^one times c^pair, where q (the diagonal) and c = k / sqrt(q q') are what the matrix says of places.

    times: another axis to multiply by.
    """
    if axis is None:
        return times
    root, both, logs = axis.correlations
    found = pair * logs
    np.exp(found, out=found)
    if one == 1:
        found *= both
    elif one != 0:
        level = (root / math.sqrt(axis.unit)) ** one
        found *= np.multiply.outer(level, level)
    if times is not None:
        found *= times.matrix
    return Axis(found)


@lru_cache(maxsize=_KEPT)
def evened(axis: Axis | None, by: Axis | None) -> Axis | None:
    """Return what is divided, at each place, by the root of what `by` is there."""
    if by is None:
        return axis
    inverse = np.maximum(by.diagonal / by.unit, LEAST) ** -0.5
    matrix = np.multiply.outer(inverse, inverse)
    return Axis(matrix if axis is None else axis.matrix * matrix)


@lru_cache(maxsize=_KEPT)
def mixed(*parts: tuple[float, Axis | None]) -> Axis | None:
    """Return the sum of axes, each times its share."""
    if all(axis is None for _, axis in parts):
        return None
    of_known = [share / axis.unit * axis.matrix for share, axis in parts if axis is not None]
    uniform = math.fsum(share for share, axis in parts if axis is None)
    return Axis(np.asarray(sum(of_known) + uniform, dtype=np.float64))


def _blocks(matrix: Array, count: int) -> Array | None:
    """Return (window, place, window, place); None where there are fewer places than windows."""
    size = len(matrix) // count
    return matrix[: count * size, : count * size].reshape(count, size, count, size) if size else None
