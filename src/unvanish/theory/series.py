"""Gaussian moments of any activation, by quadrature and by the Hermite series of f, f' and f'^2."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from unvanish.core.activations import derivative, value
from unvanish.theory.close_pairs import Pair
from unvanish.theory.finite_batch import Degrees
from unvanish.theory.quadrature import TERMS, hermite, nodes

Array = NDArray[np.float64]

_DEGREES = np.arange(TERMS)
_ONES = np.ones(TERMS)
_COUNTS = np.stack([_DEGREES, np.ones(TERMS), np.ones(TERMS)])
ZERO_BETWEEN = frozenset({"hard_shrink", "soft_shrink"})
"""Activations that are 0 between their kinks."""


class OneSample(Struct, frozen=True, eq=False, gc=False):
    """Hold the moments of one sample; see moments.Moments for what each number means."""

    mean: float
    variance: float
    kurtosis: float
    central_kurtosis: float
    elasticity: float
    slope: float
    slope_second: float
    slope_kurtosis: float
    slope_along: float
    slope_tilt: float
    value_second: float
    value_fourth: float
    square_fourth: float
    slope_square_fourth: float

    @property
    def degrees(self) -> Degrees:
        """Return how f, f^2 and f'^2 bend."""
        return Degrees(self.value_second, self.value_fourth, self.square_fourth, self.slope_square_fourth)

    @property
    def slope_fourth(self) -> float:
        """Return E f'^4."""
        return self.slope_kurtosis * self.slope_second**2


class Sampled:
    """Hold an activation on nodes of u ~ N(mean, variance), the variance above 0 and finite."""

    def __init__(self, name: str, parameter: float, mean: float, variance: float, kinks: tuple[float, ...]) -> None:
        """Evaluate f and f'."""
        scale = math.sqrt(variance)
        self._mean, self._scale, self._kinks = mean, scale, kinks
        self._z, self._weights = nodes(mean, scale, kinks, far=name in ZERO_BETWEEN)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            self._u = mean + scale * self._z
            self._f, self._slope = value(name, self._u, parameter), derivative(name, self._u, parameter)

    def moments(self) -> OneSample:
        """Return the moments of one sample."""
        z, weights, f, slope = self._z, self._weights, self._f, self._slope
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            mean = float(weights @ f)
            centred, steep = f - mean, slope * slope
            variance, second, slope_second = (float(weights @ g) for g in (centred**2, f * f, steep))
            fourth = weights * (z**4 - 6 * z * z + 3)
            return OneSample(
                mean,
                variance,
                _kurtosis(f, weights),
                _kurtosis(centred, weights),
                float(weights @ (self._u * f * slope)) / (second or math.nan),
                float(weights @ slope),
                slope_second,
                _kurtosis(slope, weights),
                float((weights * steep) @ (z * z)) / (slope_second or math.nan),
                float(weights @ (slope * z)),
                float(weights @ (f * (z * z - 1))),
                float(fourth @ f),
                float(fourth @ (f * f)),
                float(fourth @ steep),
            )

    def coefficients(self) -> Array:
        """Return the coefficients of f, f' and f'^2 in normalised Hermite polynomials, shape (3, TERMS)."""
        polynomials = hermite(self._mean, self._scale, self._kinks)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.stack([self._f, self._slope, self._slope**2]) @ polynomials.T


def is_complete(squares: Array) -> bool:
    """Say whether what lies beyond the last coefficients does not matter.

    squares: of the coefficients of f, f' and f'^2, shape (3, TERMS). Of f it is the sum of n a_n^2 that counts, which
    is the spread of a pair alike.
    """
    weighed = squares * _COUNTS
    return bool(np.all(weighed[:, -TERMS // 10 :].sum(axis=1) <= 1e-10 * weighed.sum(axis=1)))


def series_pair(squares: Array, gap: float, *, variance: float, complete: bool) -> Pair:
    """Return the moments of a pair by E g(u) g(w) = sum a_n^2 (1 - gap)^n, of f by what they have lost since gap 0.

    variance: of f. What lies beyond the last coefficient counts for nothing when they are complete; otherwise such a
    pair, neither alike nor opposite, has lost all of it.
    """
    lost = np.expm1(_DEGREES * math.log1p(-gap)) if gap < 0.5 else np.power(1 - gap, _DEGREES) - 1
    change, totals = squares.dot(lost).tolist(), squares.dot(_ONES).tolist()
    beyond = 0.0 if complete else max(variance - float(squares[0, 1:].sum()), 0.0)
    return Pair(beyond - change[0], totals[1] + change[1], totals[2] + change[2])


def _kurtosis(g: Array, weights: Array) -> float:
    largest = float(np.max(np.abs(g)))
    if not largest > 0:
        return 1.0
    square = (g / largest) ** 2
    return float(weights @ square**2) / float(weights @ square) ** 2
