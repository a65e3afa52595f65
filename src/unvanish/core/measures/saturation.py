"""How many units pass almost nothing of the gradient, judged by the activation's own derivative."""

from __future__ import annotations

import math

import numpy as np

from unvanish.core.measures.norm import Array

SATURATED_BELOW = 0.01
"""A unit is saturated where |f'(z)| is below this share of the largest |f'|."""


def saturated_share(slopes: Array, largest: float) -> float:
    """Return the share of entries with |f'| < 1 % of the largest, between 0 and 1; nan of an empty array.

    slopes: f'(z) of each (sample, unit) pair, any shape and real dtype; not changed. largest: the largest |f'| that
    the activation has anywhere (1/4 for sigmoid). A slope that is not a number is not counted as saturated.
    """
    slopes = np.asarray(slopes)
    if not slopes.size:
        return math.nan
    return float(np.count_nonzero(np.abs(slopes) < SATURATED_BELOW * largest) / slopes.size)
