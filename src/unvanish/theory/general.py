"""Gaussian moments of an activation without a closed form, each by the way that is right for it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from unvanish.core.activations import derivative
from unvanish.theory.close_pairs import Pair, pair
from unvanish.theory.kinked_pairs import jumps_at, kinked_pair, steps_of
from unvanish.theory.series import OneSample, Sampled, is_complete, series_pair

KINKS: dict[str, tuple[float, ...]] = {
    "celu": (0.0,),
    "elu": (0.0,),
    "hard_shrink": (-0.5, 0.5),
    "hard_silu": (-3.0, 3.0),
    "selu": (0.0,),
    "softsign": (0.0,),
    "sparse_plus": (-1.0, 1.0),
}
"""Where f or a derivative jumps, of those that are not linear between (see kinked_pairs)."""
POLYNOMIALS = frozenset({"hard_shrink", "hard_silu", "sparse_plus"})
"""Of these those that do not bend but at their kinks."""
CLOSE = 0.12
"""Gap up to which pairs are alike, and 2 - gap up to which they are opposite: 0.88^160 = 1e-9."""
LEAST = 1e-14
"""Gap below which u and w are the same."""
FEW = 8
"""Coefficients that are enough where f hardly bends."""


class General:
    """Give the moments of one sample, and those of a pair by a function of the gap; see moments.Moments."""

    def __init__(self, one: OneSample, pairs: Callable[[float], Pair]) -> None:
        """Take what was worked out."""
        self.mean, self.variance, self.kurtosis, self.central_kurtosis = one[:4]
        self.elasticity, self.slope, self.slope_second, self.slope_kurtosis = one[4:8]
        self.slope_along, self.slope_tilt = one[8:10]
        self.degrees = one.degrees
        self._fourth = one.slope_fourth
        self._pairs, self._last = pairs, (0.0, Pair(0.0, one.slope_second, one.slope_fourth))

    def spread(self, gap: float) -> float:
        """Return E f^2 - E f(u) f(w)."""
        return self._at(gap).spread

    def slope_pair(self, gap: float) -> float:
        """Return E f'(u) f'(w)."""
        return self._at(gap).slope

    def slope_kurtosis_pair(self, gap: float) -> float:
        """Return E f'(u)^2 f'(w)^2 / (E f'^2)^2."""
        return self._at(gap).slope_square / (self.slope_second**2 or math.nan)

    def _at(self, gap: float) -> Pair:
        """Return the three at once: a layer asks for each of them, at the same gap."""
        if gap != self._last[0]:
            if math.isnan(gap):
                return Pair(math.nan, math.nan, math.nan)
            same = Pair(0.0, self.slope_second, self._fourth)
            self._last = gap, self._pairs(min(gap, 2 - LEAST)) if gap > 0 else same
        return self._last[1]


def kinks_of(name: str, parameter: float) -> tuple[float, ...]:
    """Return where f or a derivative jumps."""
    return steps_of(name, parameter) or KINKS.get(name, ())


def integrated(name: str, parameter: float, mean: float, variance: float) -> General:
    """Return the moments for u ~ N(mean, variance), the variance above 0 and finite."""
    kinks = kinks_of(name, parameter)
    sampled = Sampled(name, parameter, mean, variance, kinks)
    one = sampled.moments()
    if steps_of(name, parameter) is not None:
        return General(one, kinked(name, parameter, mean, variance, one))
    squares = sampled.coefficients() ** 2
    complete = is_complete(squares)

    def pairs(gap: float) -> Pair:
        if complete or CLOSE < gap < 2 - CLOSE:
            return series_pair(squares, gap, second=one, complete=complete)
        return close(name, parameter, mean, variance, gap, one)

    return General(one, pairs)


def kinked(name: str, parameter: float, mean: float, variance: float, one: OneSample) -> Callable[[float], Pair]:
    """Return the moments of a pair of a function that is linear between its kinks."""
    places = kinks_of(name, parameter)
    slope, square = jumps_at(name, parameter, places)
    at = (np.array(places) - mean) / math.sqrt(variance)
    return lambda gap: kinked_pair(
        at, slope, square, variance, gap, second=one.slope_second, fourth=one.slope_fourth
    )


def close(name: str, parameter: float, mean: float, variance: float, gap: float, one: OneSample) -> Pair:
    """Return the moments of a pair that is alike, or opposite, integrated over both."""
    if gap < LEAST:
        return Pair(variance * gap * one.slope_second, one.slope_second, one.slope_fourth)
    return pair(
        name, parameter, mean, variance, gap, kinks_of(name, parameter), bends=name not in POLYNOMIALS
    )


def straight(name: str, parameter: float, variance: float, one: OneSample) -> Callable[[float], Pair]:
    """Return the moments of a pair of f as two straight lines that meet at 0: what it is for tiny, or huge, u.

    Right to sqrt(variance) for a tiny one, to its inverse for a huge one.
    """
    side = 1e-9 if variance < 1 else 1e9
    below, above = (float(derivative(name, np.array([u]), parameter)[0]) for u in (-side, side))
    slope, square = np.array([above - below]), np.array([above**2 - below**2])
    return lambda gap: kinked_pair(
        np.zeros(1), slope, square, variance, gap, second=one.slope_second, fourth=one.slope_fourth
    )
