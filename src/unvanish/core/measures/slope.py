"""A robust straight line through noisy points: how many decades per layer, and how sure.

Theil-Sen: the median of the slopes of all pairs of points (Sen 1968, Journal of the American Statistical Association
63, 1379-1389). Up to 29 % of the points may be anything at all without moving it far, which is what a depth profile
with one odd layer needs. The band is Sen's distribution-free interval from the variance of Kendall's tau, his eq. 2.6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np


class Slope(NamedTuple):
    """Hold a slope and its band, in units of y per unit of x."""

    per_step: float
    low: float
    high: float


def slope(x: Sequence[float], y: Sequence[float], confidence: float = 0.95) -> Slope:
    """Return the Theil-Sen slope of y against x, and its band at that confidence.

    x, y: of one length, finite; at least two different x. The band of fewer than four points is all pairs' range.
    Raise ValueError when no two x differ or the lengths do.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if xs.shape != ys.shape:
        raise ValueError(f"x and y differ in length: {xs.shape} and {ys.shape}")
    first, second = np.triu_indices(len(xs), k=1)
    run = xs[second] - xs[first]
    slopes = np.sort((ys[second] - ys[first])[run != 0] / run[run != 0])
    if not slopes.size:
        raise ValueError(f"a slope needs two different x, found {len(xs)} point(s)")
    low, high = _ranks(len(xs), len(slopes), confidence)
    return Slope(float(np.median(slopes)), float(slopes[low]), float(slopes[high]))


def _ranks(points: int, pairs: int, confidence: float) -> tuple[int, int]:
    """Return which of the sorted pair slopes bound the band."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    spread = z * math.sqrt(points * (points - 1) * (2 * points + 5) / 18)
    low = round((pairs - spread) / 2)
    high = round((pairs + spread) / 2)
    return max(low - 1, 0), min(high, pairs - 1)
