"""Sums over the taps of a convolution along one axis, of numbers for pairs of places, or of windows (theory.packed).

Which pair lies under which tap of which other pair is a table, worked out once for a geometry. So the sums are a few
calls for any number of taps, any stride and any padding: what falls on the padding is looked up in a 0 at the end.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unvanish.theory.geometry import Windows
from unvanish.theory.packed import Indices, packing

Array = NDArray[np.float64]

_ZERO = np.zeros(1)

Totals = tuple[float, float, float, float]
"""Sums of a matrix, over its diagonal and over all pairs, and the same two of its sums over taps."""


def over_windows(axis: Windows, of: Array) -> tuple[Array, Totals]:
    """Return, for each pair of windows, the sum over taps of the pair of places under it; 0 on the padding.

    of: for each pair of places.
    """
    return _summed(*to_windows(axis), of)


def over_places(axis: Windows, of: Array) -> tuple[Array, Totals]:
    """Return, for each pair of places, the sum over taps of the pair of windows that have them under it.

    of: for each pair of windows.
    """
    return _summed(*to_places(axis), of)


def _summed(table: Indices, taps: Array, weights: Array, of: Array) -> tuple[Array, Totals]:
    """Return the sums, and the totals. taps: a one for each: a product with ones is the sooner sum."""
    found: Array = taps.dot(np.concatenate((of, _ZERO)).take(table))
    return found, tuple(weights.dot(of).tolist())


@lru_cache(maxsize=64)
def to_windows(axis: Windows) -> tuple[Indices, Array, Array]:
    """Return the table, a one for each tap, and what each pair counts in each of the totals.

    A sum over taps is the same from both its ends.
    """
    return places_under(axis), np.ones(axis.length), _weights(axis.before, windows_over(axis), axis.after)


@lru_cache(maxsize=64)
def to_places(axis: Windows) -> tuple[Indices, Array, Array]:
    """Return the same for sums over the taps of windows that have a pair of places under them."""
    return windows_over(axis), np.ones(axis.length), _weights(axis.after, places_under(axis), axis.before)


def _weights(count: int, table: Indices, others: int) -> Array:
    """Return the weights (totals, pairs). table: from which of the pairs of the others the sums of each come."""
    there = np.concatenate((np.ones(others * (others + 1) // 2), _ZERO))
    sums, taps = packing(count).sums, there.take(table).sum(axis=0)
    return np.concatenate([sums, sums * taps])


@lru_cache(maxsize=64)  # layers of one geometry are many
def places_under(axis: Windows) -> Indices:
    """Return the pair of places under each tap of each pair of windows, shape (taps, pairs of windows)."""
    of, taps = packing(axis.after), axis.first + np.arange(axis.length)[:, None]
    return _pairs(axis.stride * of.first + taps, axis.stride * of.second + taps, axis.before)


@lru_cache(maxsize=64)
def windows_over(axis: Windows) -> Indices:
    """Return the pair of windows that have each pair of places under each tap, shape (taps, pairs of places)."""
    of, taps = packing(axis.before), axis.first + np.arange(axis.length)[:, None]
    one, other = of.first - taps, of.second - taps
    met = (one % axis.stride == 0) & (other % axis.stride == 0)
    return _pairs(np.where(met, one // axis.stride, -1), np.where(met, other // axis.stride, -1), axis.after)


def _pairs(one: Indices, other: Indices, count: int) -> Indices:
    """Return the pair of each two of so many, and one beyond the last pair where either of them is not there."""
    there = (one >= 0) & (one < count) & (other >= 0) & (other < count)
    where = packing(count).where
    return np.where(there, where[np.where(there, one, 0), np.where(there, other, 0)], count * (count + 1) // 2)
