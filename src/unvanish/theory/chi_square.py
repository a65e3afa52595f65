"""Equally likely values of chi^2 / degrees of freedom, to average logarithms over."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@lru_cache(maxsize=64)
def chi_square(degrees: int, count: int) -> Array:
    """Return `count` quantiles of chi^2 / degrees (mean 1), from 2 degrees on by Wilson & Hilferty (1931).

    In rising order. The array is shared between calls and must not be changed.
    """
    shares = [(i + 0.5) / count for i in range(count)]
    if degrees <= 1:
        return np.array([NormalDist().inv_cdf((1 + share) / 2) for share in shares]) ** 2
    width = 2 / (9 * degrees)
    normal = np.array([NormalDist().inv_cdf(share) for share in shares])
    return np.asarray(np.maximum(1 - width + normal * np.sqrt(width), 1e-2) ** 3, dtype=np.float64)
