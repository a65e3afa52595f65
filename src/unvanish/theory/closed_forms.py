"""Activations whose Gaussian moments have a closed form: see moments.Moments for what each number means."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from unvanish.core.activations import derivative, value
from unvanish.theory.close_pairs import Pair
from unvanish.theory.finite_batch import Degrees


class PiecewiseLinear(Struct, frozen=True, eq=False, gc=False):
    """Moments of f(u) = u above 0 and a * u below: relu, leaky_relu, linear (Cho & Saul 2009, n = 1 and n = 0).

    All but the first three follow from a alone, unless it is 1: a network has one for each variance.
    """

    mean: float
    variance: float
    of: float
    """The variance of u."""
    kurtosis: float
    below: float
    """a."""
    central_kurtosis: float
    slope: float
    slope_second: float
    slope_kurtosis: float
    slope_tilt: float
    elasticity: float = 1.0
    slope_along: float = 1.0

    @classmethod
    def at(cls, below: float, mean: float, variance: float) -> PiecewiseLinear:
        """Return the moments at u ~ N(mean, variance); the mean must be 0 unless below is 1."""
        kurtosis, *rest = _of_slopes(below)
        if below == 1:
            return cls(mean, variance, variance, _kurtosis(mean, variance), below, *rest)
        mean = (1 - below) * math.sqrt(variance / (2 * math.pi))
        return cls(mean, variance * (1 + below * below) / 2 - mean * mean, variance, kurtosis, below, *rest)

    @property
    def degrees(self) -> Degrees:
        """Return how f, f^2 and f'^2 bend."""
        kink = self.slope_tilt * math.sqrt(self.of)
        return Degrees(kink, -kink, 0.0, 0.0)

    def spread(self, gap: float) -> float:
        """Return E f^2 - E f(u) f(w): the arc-cosine kernel of degree 1, subtracted from its value at angle 0."""
        return self.of * _of_pair(self.below, gap)[0]

    def slope_pair(self, gap: float) -> float:
        """Return E f'(u) f'(w): the arc-cosine kernel of degree 0."""
        return _of_pair(self.below, gap)[1]

    def slope_kurtosis_pair(self, gap: float) -> float:
        """Return E f'(u)^2 f'(w)^2 / (E f'^2)^2; the square of f' is again piecewise constant."""
        return _of_pair(self.below, gap)[2] / self.slope_second**2


@lru_cache(maxsize=64)
def _of_slopes(below: float) -> tuple[float, float, float, float, float, float]:
    """Return the two kurtoses, and slope, slope_second, slope_kurtosis and slope_tilt of u ~ N(0, variance)."""
    square, fourth = below * below, below**4
    kurtosis, steepness = 6 * (1 + fourth) / (1 + square) ** 2, 2 * (1 + fourth) / (1 + square) ** 2
    tilt = (1 - below) / math.sqrt(2 * math.pi)
    return kurtosis, _central_kurtosis(below), (1 + below) / 2, (1 + square) / 2, steepness, tilt


@lru_cache(maxsize=2**15)  # asked for again on the way back, of as many layers
def _of_pair(below: float, gap: float) -> tuple[float, float, float]:
    """Return E f^2 - E f(u) f(w) for u of variance 1, E f'(u) f'(w) and E f'(u)^2 f'(w)^2: of any variance and gap."""
    angle = _angle(gap)
    bent = math.pi * gap + angle * math.cos(angle) - math.sin(angle)
    spread = (1 - below) ** 2 * bent / (2 * math.pi) + below * gap
    both = (math.pi - angle) / (2 * math.pi)  # P(u and w above 0)
    square = below * below
    return spread, (1 - below) ** 2 * both + below, (1 - square) ** 2 * both + square


class Exponential:
    """Moments of f(u) = exp(u): the log-normal distribution's, E f^n = exp(n mean + n^2 variance/2) (derived)."""

    def __init__(self, mean: float, variance: float) -> None:
        """Take u ~ N(mean, variance)."""
        self._mean, self._variance = mean, variance
        self.mean = self.slope = _exp(mean + variance / 2)
        self.slope_second = _exp(2 * mean + 2 * variance)
        self.variance = self.slope_second * -math.expm1(-variance)
        self.kurtosis = self.slope_kurtosis = _exp(4 * variance)
        self.elasticity = mean + 2 * variance
        self.central_kurtosis = _log_normal_kurtosis(variance)
        self.slope_along = 1 + 4 * variance
        self.slope_tilt = math.sqrt(variance) * self.mean
        v, whole = variance, self.slope_second
        self.degrees = Degrees(v * self.mean, v * v * self.mean, 16 * v * v * whole, 16 * v * v * whole)

    def spread(self, gap: float) -> float:
        """Return E f^2 - E f(u) f(w)."""
        return self.slope_second * -math.expm1(-self._variance * gap)

    def slope_pair(self, gap: float) -> float:
        """Return E f'(u) f'(w)."""
        return _exp(2 * self._mean + self._variance * (2 - gap))

    def slope_kurtosis_pair(self, gap: float) -> float:
        """Return E f'(u)^2 f'(w)^2 / (E f'^2)^2."""
        return _exp(4 * self._variance * (1 - gap))


def erf_pair(variance: float, gap: float) -> Pair:
    """Return the moments of a pair of erf, u ~ N(0, variance) (Williams 1997, eq. 11; the slopes are Gaussians).

    The difference of two arcsines is that of one, without cancellation.
    """
    x, c = 2 * variance / (1 + 2 * variance), 1 - gap
    y, below = c * x, math.sqrt(1 + 4 * variance) / (1 + 2 * variance)
    if y > 0:
        apart = math.asin(x * x * gap * (1 + c) / (x * math.sqrt(1 - y * y) + y * below))
    else:
        apart = math.asin(x) - math.asin(y)
    differ = 4 * variance * variance * gap * (1 + c)
    slope = 4 / math.pi / math.sqrt(1 + 4 * variance + differ)
    return Pair(2 / math.pi * apart, slope, (4 / math.pi) ** 2 / math.sqrt(1 + 8 * variance + 4 * differ))


class Point(NamedTuple):
    """Moments where every u is the same number: f there, f' there, nothing else."""

    mean: float
    slope: float
    variance: float
    slope_second: float
    kurtosis: float = 1.0
    slope_kurtosis: float = 1.0
    elasticity: float = 1.0
    central_kurtosis: float = 3.0
    slope_along: float = 1.0
    slope_tilt: float = 0.0
    degrees: Degrees = Degrees(0.0, 0.0, 0.0, 0.0)

    @classmethod
    def at(cls, name: str, parameter: float, u: float) -> Point:
        """Return the moments of the named activation at u."""
        with np.errstate(over="ignore"):
            f, slope = (float(of(name, np.array([u]), parameter)[0]) for of in (value, derivative))
        return cls(f, slope, 0.0, slope * slope)

    def spread(self, gap: float) -> float:
        """Return 0: there is no spread to pass on (nan for a u that overflowed)."""
        return self.slope_second * 0.0 * gap

    def slope_pair(self, gap: float) -> float:
        """Return f'^2."""
        return self.slope_second + 0.0 * gap

    def slope_kurtosis_pair(self, gap: float) -> float:
        """Return 1."""
        return self.slope_kurtosis + 0.0 * gap


def _angle(gap: float) -> float:
    """Return arccos(1 - gap), exact for tiny gaps."""
    return 2 * math.asin(math.sqrt(min(max(gap / 2, 0.0), 1.0))) if gap == gap else math.nan


def _kurtosis(mean: float, variance: float) -> float:
    second = mean * mean + variance
    return 3 - 2 * (mean * mean / second) ** 2 if second > 0 else 1.0


def _central_kurtosis(below: float) -> float:
    """Return the kurtosis of f(z) around its mean, from the half-normal's moments above and below 0."""
    first = (1 - below) / math.sqrt(2 * math.pi)
    second, fourth = (1 + below**2) / 2, 1.5 * (1 + below**4)
    third = (1 - below**3) * 2 / math.sqrt(2 * math.pi)
    central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    return float(central / (second - first**2) ** 2)


def _log_normal_kurtosis(variance: float) -> float:
    w = _exp(variance)
    return w * w * w * w + 2 * w * w * w + 3 * w * w - 3


def _exp(x: float) -> float:
    return math.exp(x) if x < 709.0 else (math.nan if math.isnan(x) else math.inf)
