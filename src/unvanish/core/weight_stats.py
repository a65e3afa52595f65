"""A weight array by its moments, and whether it is orthogonal. Used by every adapter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unvanish.core.measures.norm import moments
from unvanish.core.network import WeightStats

_NEARLY = 1e-9
"""A variance below this part of the mean square may be the rounding of zero: then every entry is looked at."""
_CLOSE = 1e-3
"""How far the Gram matrix of float32 weights that are orthogonal may be from a multiple of the identity, relative."""
_LARGE = 1e12
"""Entries above this are scaled first: their fourth powers, summed, would overflow float32."""


def weight_stats(array: NDArray[Any], *, orthogonal: bool = False) -> WeightStats:
    """Return the moments of the entries, summed in float64.

    array: any shape, a real dtype of at least float32; not changed. orthogonal: also look whether the rows or the
    columns (the last axis against all others) are orthogonal and of one length.
    """
    mean, second = moments(array)
    variance = max(0.0, second - mean * mean)
    constant = variance <= _NEARLY * second and (array.size == 0 or bool(np.all(array == array.flat[0])))
    return WeightStats(
        mean=mean,
        variance=0.0 if constant else variance,
        size=int(array.size),
        orthogonal=orthogonal and not constant and is_orthogonal(array),
    )


def is_orthogonal(kernel: NDArray[Any]) -> bool:
    """Say whether W v keeps the length of every v (up to one factor), tried on four random v: O(entries)."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    if matrix.shape[1] < 2:
        return False
    largest = float(np.abs(matrix).max())
    if not math.isfinite(largest):
        return False
    if largest > _LARGE:
        matrix = matrix / largest
    few = matrix[:, :3].T @ matrix[:, :3]  # three of them tell nearly every other kernel, at next to no cost
    if not np.all(np.abs(few - few[0, 0] * np.eye(len(few))) < _CLOSE * abs(few[0, 0])):
        return False
    vectors = np.random.default_rng(0).standard_normal((matrix.shape[1], 4)).astype(matrix.dtype)
    gram = matrix.T @ (matrix @ vectors)
    scale = np.vdot(gram, vectors) / np.vdot(vectors, vectors)
    return bool(np.isfinite(scale) and np.max(np.abs(gram - scale * vectors)) < _CLOSE * abs(scale))
