"""The pools of the reference, over arrays of shape (samples, *space, channels)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unvanish.testing.reference.operations import Array, Result, Weights
from unvanish.testing.reference.windows import Windows


def average_pool(x: Array, *, size: Sequence[int], strides: Sequence[int], padding: str) -> Result:
    """Average each window over the entries that are inside the array."""
    windows = Windows(x.shape[1:-1], size, strides, padding)
    padded, inside = windows.pad(x, 0.0), windows.pad(np.ones(x.shape), 0.0)
    count = sum(inside[picked] for _, picked in windows.offsets())
    total = sum(padded[picked] for _, picked in windows.offsets())

    def pull_back(d: Array) -> tuple[list[Array], Weights]:
        d_padded = np.zeros(padded.shape)
        for _, picked in windows.offsets():
            d_padded[picked] += d / count
        return [windows.unpad(d_padded)], {}

    return np.asarray(total / count), pull_back


def max_pool(x: Array, *, size: Sequence[int], strides: Sequence[int], padding: str) -> Result:
    """Take the largest entry of each window; among equal ones the first gets the gradient."""
    windows = Windows(x.shape[1:-1], size, strides, padding)
    padded = windows.pad(x, -np.inf)
    entries = np.stack([padded[picked] for _, picked in windows.offsets()])
    chosen = entries.real.argmax(axis=0)

    def pull_back(d: Array) -> tuple[list[Array], Weights]:
        d_padded = np.zeros(padded.shape)
        for number, (_, picked) in enumerate(windows.offsets()):
            d_padded[picked] += np.where(chosen == number, d, 0.0)
        return [windows.unpad(d_padded)], {}

    return np.take_along_axis(entries, chosen[None], axis=0)[0], pull_back


def global_average_pool(x: Array, *, keep: bool = False) -> Result:
    """Average over the whole space; keep: leave its axes in, with one entry each."""
    return _over_space(average_pool(x, size=x.shape[1:-1], strides=x.shape[1:-1], padding="valid"), keep)


def global_max_pool(x: Array, *, keep: bool = False) -> Result:
    """Take the largest entry of the whole space; keep: leave its axes in, with one entry each."""
    return _over_space(max_pool(x, size=x.shape[1:-1], strides=x.shape[1:-1], padding="valid"), keep)


def _over_space(pooled: Result, keep: bool) -> Result:
    value, pull_back = pooled
    shape = value.shape if keep else (len(value), value.shape[-1])
    return value.reshape(shape), lambda d: pull_back(d.reshape(value.shape))
