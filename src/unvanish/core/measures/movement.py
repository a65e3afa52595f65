"""How far weights have moved since the start, relative to their size at the start."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unvanish.core.measures.norm import BLOCK, Array, Block, norm, norm_of_blocks


def movement(now: Array, start: Array) -> float:
    """Return |W_t - W_0| / |W_0|, Euclidean norms over all entries; neither array is changed or copied whole.

    now, start: weights of one shape, any real dtype; the difference is taken in float64. Weights that started at zero
    have moved infinitely far (inf) or not at all (0.0). nan when an entry is not a number, or when the start is
    infinite; inf when only `now` is. Raise ValueError when the shapes differ.
    """
    if np.shape(now) != np.shape(start):
        raise ValueError(f"weights of shape {np.shape(now)} cannot have started with shape {np.shape(start)}")
    after, before = np.ravel(now), np.ravel(start)

    def differences() -> Iterator[Block]:
        for i in range(0, after.size, BLOCK):
            with np.errstate(over="ignore", invalid="ignore"):
                yield np.subtract(after[i : i + BLOCK], before[i : i + BLOCK], dtype=np.float64)

    distance, size = norm_of_blocks(differences), norm(before)
    if size == 0.0:
        return math.inf if distance > 0.0 else distance
    return distance / size
