"""A symmetric matrix over pairs of places, as one number for each pair: half of it says all.

First the diagonal, then the pairs (p, p + 1), (p, p + 2) and so on, each by p.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class Packing(NamedTuple):
    """Say where the pairs of so many places are."""

    first: Indices
    """The first place of each pair, shape (pairs,)."""
    second: Indices
    sums: Array
    """What a pair counts in the sum over the diagonal, and in that over the whole matrix: shape (2, pairs)."""
    where: Indices
    """The pair of each entry of the matrix, shape (places, places)."""


@lru_cache(maxsize=256)
def packing(places: int) -> Packing:
    """Return the packing of a matrix (places, places)."""
    apart = [np.arange(places - distance) for distance in range(places)]
    first = np.concatenate(apart)
    second = np.concatenate([low + distance for distance, low in enumerate(apart)])
    where = np.empty((places, places), dtype=np.int64)
    where[first, second] = where[second, first] = np.arange(len(first))
    same = first == second
    return Packing(first, second, np.where(same, 1.0, [[0.0], [2.0]]), where)


def packed(matrix: Array) -> Array:
    """Return the pairs of a symmetric matrix."""
    of = packing(len(matrix))
    return np.asarray(matrix[of.first, of.second], dtype=np.float64)


def outer(numbers: Array) -> Array:
    """Return the product of the numbers of each pair of places."""
    of = packing(len(numbers))
    found: Array = numbers.take(of.first)
    found *= numbers.take(of.second)
    return found
