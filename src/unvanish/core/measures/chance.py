"""What chance alone would show: bounds of a score, and how many units of a layer may be silent by luck."""

from __future__ import annotations

import math

Z_999 = 3.0902
"""Standard normal quantile of one-sided 99.9 %."""
EVEN = 0.5
"""A score (area under the ROC curve) that orders nothing; the largest probability that a symmetric unit is off."""


def score_bounds(score: float, sd: float, z: float = Z_999) -> tuple[float, float]:
    """Return the lower and upper bound of a score of that standard deviation, at one-sided 99.9 % unless told."""
    return score - z * sd, score + z * sd


def smallest_detectable(sd: float, z: float = Z_999) -> float:
    """Return the smallest score that would be told apart from chance."""
    return EVEN + z * sd


def silent_by_chance(units: int, z: float = Z_999) -> float:
    """Return the share of a layer's units, at most 1, up to which silence on every sample may be luck.

    Where all samples look alike (deep ReLU networks), a unit with symmetric weights is off for all of them with
    probability up to 1/2 (Lu et al. 2020, section 3). Of n such units the silent share has mean 1/2, sd 1/(2 sqrt n).
    """
    return min(1.0, EVEN + z * math.sqrt(EVEN * (1 - EVEN) / max(units, 1)))
