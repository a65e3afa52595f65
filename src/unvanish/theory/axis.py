"""Numbers for each pair of places (p, p') along one axis, as a matrix; None stands for the same number everywhere.

Axes of more than LARGEST places are left uniform: few of them are at the border, and the matrices would be large.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unvanish.theory.geometry import Windows

Array = NDArray[np.float64]
Axis = Array | None

LARGEST = 128


def is_small(axis: Windows) -> bool:
    """Say whether the pairs along a convolution's axis are told apart."""
    return max(axis.before, len(axis.starts)) <= LARGEST


def known(axis: Axis, size: int) -> Array:
    """Return the matrix; of ones where it is uniform."""
    return np.ones((size, size)) if axis is None else axis


def gathered(axis: Windows, matrix: Axis) -> Array:
    """Return the mean over taps of what two windows have under the same tap; 0 on the padding."""
    given, found = known(matrix, axis.before), np.zeros((len(axis.starts), len(axis.starts)))
    for tap in range(axis.length):
        at, under = axis.under(tap)
        found[np.ix_(at, at)] += given[np.ix_(under, under)]
    return found / axis.length


def scattered(axis: Windows, matrix: Axis) -> Axis:
    """Return the sum over taps of what two places of the input get of the windows that they lie in by the same tap."""
    if not is_small(axis):
        return None
    given, found = known(matrix, len(axis.starts)), np.zeros((axis.before, axis.before))
    for tap in range(axis.length):
        at, under = axis.under(tap)
        found[np.ix_(under, under)] += given[np.ix_(at, at)]
    return found


def pooled(matrix: Axis, count: int) -> Axis:
    """Return the means over windows of equal size, `count` of them; places that are left over are left out."""
    blocks = None if matrix is None else _blocks(matrix, count)
    return None if blocks is None else np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float64)


def in_window(matrix: Axis, count: int) -> float:
    """Return the mean over pairs of one of `count` windows, over that of all pairs."""
    blocks = None if matrix is None else _blocks(matrix, count)
    if matrix is None or blocks is None:
        return 1.0
    size: int = blocks.shape[1]
    return float(np.einsum("isit->", blocks)) / (count * size * size) / float(matrix.mean())


def repeated(matrix: Axis, count: int) -> Axis:
    """Return the matrix with each place as often as a pool took places together; count: of its input."""
    if matrix is None or count > LARGEST:
        return None
    at = np.minimum(np.arange(count) // max(count // len(matrix), 1), len(matrix) - 1)
    return np.asarray(matrix[np.ix_(at, at)], dtype=np.float64)


def bent(matrix: Axis, one: float, pair: float) -> Axis:
    """Return q^one times c^pair, where q (the diagonal) and c are what the matrix says of places and of pairs."""
    if matrix is None:
        return None
    root = np.sqrt(np.maximum(np.diag(matrix), 1e-12))
    scale = np.outer(root, root)
    return np.asarray(scale**one * np.maximum(matrix / scale, 1e-12) ** pair, dtype=np.float64)


def inverse_roots(matrix: Axis) -> Axis:
    """Return 1 / sqrt(q q') of each pair, q being the diagonal."""
    if matrix is None:
        return None
    root = np.sqrt(np.maximum(np.diag(matrix), 1e-12))
    return np.asarray(1 / np.outer(root, root), dtype=np.float64)


def scaled(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Return the matrices with a diagonal of mean 1."""
    return tuple(None if v is None else v / max(float(np.diag(v).mean()), 1e-300) for v in axes)


def _blocks(matrix: Array, count: int) -> Array | None:
    """Return (window, place, window, place); None where there are fewer places than windows."""
    size = len(matrix) // count
    return matrix[: count * size, : count * size].reshape(count, size, count, size) if size else None
