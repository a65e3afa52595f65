"""How many of a layer's units compute different things."""

from __future__ import annotations

import math
from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from unvanish.core.measures.norm import Array

FEW = 8
"""Incoming weights that are compared first."""


def distinct_units(kernel: Array, bias: Array | None = None) -> int:
    """Return the number of different units: two whose incoming weights and bias are equal to the bit count once.

    kernel: shape (..., units), all axes but the last being inputs; bias: shape (units,), or None. Any dtype; not
    changed. Zero and minus zero are equal. Units are compared by a digest of 128 bits: O(entries), in any order.
    """
    columns = np.reshape(kernel, (math.prod(kernel.shape[:-1]), kernel.shape[-1]))
    ends = np.zeros(columns.shape[1]) if bias is None else np.asarray(bias) + 0.0
    few = len(
        set(_rows(columns[:FEW], ends))
    )  # what differs there differs: nearly every kernel is told by a few entries
    if few == columns.shape[1]:
        return few
    return len({blake2b(row, digest_size=16).digest() for row in _rows(columns, ends)})


def _rows(columns: Array, ends: Array) -> Iterator[bytes]:
    """Yield what each unit computes with, as bytes."""
    whole = np.vstack([columns, ends]).T + 0.0  # minus zero becomes zero
    content, width = whole.tobytes(), whole.shape[1] * whole.itemsize
    return (content[start : start + width] for start in range(0, len(content), width))
