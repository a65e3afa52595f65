"""Count the units of a layer that differ: two with equal incoming weights and bias compute, and learn, the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def distinct_units(kernel: NDArray[Any], bias: NDArray[Any] | None = None) -> int:
    """Return the number of different columns of a kernel of shape (..., units), each with its bias.

    Two columns are equal only where every entry is, to the bit (0.0 and -0.0 are equal).
    """
    columns = np.asarray(kernel).reshape(-1, kernel.shape[-1])
    if bias is not None:
        columns = np.concatenate([columns, np.asarray(bias, dtype=columns.dtype).reshape(1, -1)])
    rows = np.ascontiguousarray(columns.T) + 0.0
    return len({row.tobytes() for row in rows})
