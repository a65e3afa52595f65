"""How many units gave zero on every sample that was shown."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from unvanish.core.measures.norm import Array


def zero_everywhere(output: Array) -> NDArray[np.bool_]:
    """Return, for each unit, whether its output was zero at every sample and position; shape (units,).

    output: shape (samples, ..., units), any real dtype; not changed. A unit that gave nan was not zero.
    """
    output = np.asarray(output)
    zero: NDArray[np.bool_] = np.all(output == 0, axis=tuple(range(output.ndim - 1)))
    return zero


def dead_share(is_zero_everywhere: NDArray[np.bool_]) -> float:
    """Return the share of units that are zero everywhere, between 0 and 1; nan of no units.

    is_zero_everywhere: one truth value per unit, over all batches (`&` of what each batch gave).
    """
    units = np.asarray(is_zero_everywhere)
    return float(np.count_nonzero(units) / units.size) if units.size else math.nan
