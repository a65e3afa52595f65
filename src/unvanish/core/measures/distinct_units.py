"""How many of a layer's units compute different things."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from unvanish.core.measures.norm import Array


def distinct_units(kernel: Array, bias: Array | None = None) -> int:
    """Return the number of different units: two whose incoming weights and bias are equal to the bit count once.

    kernel: shape (fan_in, units), a convolution's reshaped to that; bias: shape (units,), or None. Any dtype; not
    changed. Zero and minus zero are equal. Units are compared by a digest of 128 bits: O(entries), in any order.
    """
    rows = np.ascontiguousarray(np.transpose(kernel)) + 0.0  # minus zero becomes zero
    ends = np.zeros(len(rows)) if bias is None else np.asarray(bias) + 0.0
    return len(
        {blake2b(row.tobytes() + end.tobytes(), digest_size=16).digest() for row, end in zip(rows, ends, strict=True)}
    )
