"""Activations whose Gaussian moments have a closed form: see moments.Moments for what each number means."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from msgspec import Struct, field

from unvanish.core.activations import derivative, value
from unvanish.theory.close_pairs import Pair, PairMoments
from unvanish.theory.finite_batch import Degrees
from unvanish.theory.general import MOST


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
    known: dict[float, PairMoments] = field(default_factory=dict)
    """Those of pairs that were worked out: settled layers ask for the same again, and all do on the way back."""

    @classmethod
    def at(cls, below: float, mean: float, variance: float) -> PiecewiseLinear:
        """Return the moments at u ~ N(mean, variance); the mean must be 0 unless below is 1."""
        of = _of_slopes(below)
        if below == 1:
            return cls(mean, variance, variance, _kurtosis(mean, variance), below, *of[1:])
        mean = (1 - below) * math.sqrt(variance / (2 * math.pi))
        return cls(mean, variance * (1 + below * below) / 2 - mean * mean, variance, of[0], below, *of[1:])

    @property
    def degrees(self) -> Degrees:
        """Return how f, f^2 and f'^2 bend."""
        kink = self.slope_tilt * math.sqrt(self.of)
        return Degrees(kink, -kink, 0.0, 0.0)

    def pair(self, gap: float) -> PairMoments:
        """Return the moments of a pair: arc-cosine kernels of degrees 1 and 0, the first less its value at angle 0.

        The square of f' is again piecewise constant.
        """
        found = self.known.get(gap)
        if found is None:
            if len(self.known) > MOST:
                self.known.clear()
            cosine, sine, below = 1 - gap, math.sqrt(max(gap * (2 - gap), 0.0)), self.below
            angle = math.atan2(sine, cosine)  # exact for tiny gaps, where the arc of the cosine is not
            above, square, both = 1 - below, below * below, (math.pi - angle) / (2 * math.pi)  # P(u and w above 0)
            bent = math.pi * gap + angle * cosine - sine
            spread = above * above * bent / (2 * math.pi) + below * gap
            slopes = (1 - square) * (1 - square) * both + square
            found = PairMoments(self.of * spread, above * above * both + below, slopes / self.slope_second**2)
            self.known[gap] = found
        return found


@lru_cache(maxsize=64)
def _of_slopes(below: float) -> tuple[float, float, float, float, float, float]:
    """Return the two kurtoses, and slope, slope_second, slope_kurtosis and slope_tilt of u ~ N(0, variance)."""
    square, fourth = below * below, below**4
    kurtosis, steepness = 6 * (1 + fourth) / (1 + square) ** 2, 2 * (1 + fourth) / (1 + square) ** 2
    tilt = (1 - below) / math.sqrt(2 * math.pi)
    return kurtosis, _central_kurtosis(below), (1 + below) / 2, (1 + square) / 2, steepness, tilt


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

    def pair(self, gap: float) -> PairMoments:
        """Return the moments of a pair."""
        mean, variance = self._mean, self._variance
        return PairMoments(
            self.slope_second * -math.expm1(-variance * gap),
            _exp(2 * mean + variance * (2 - gap)),
            _exp(4 * variance * (1 - gap)),
        )


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

    def pair(self, gap: float) -> PairMoments:
        """Return 0, f'^2 and 1: there is no spread to pass on (nan for a u that overflowed)."""
        none = 0.0 * gap
        return PairMoments(self.slope_second * none, self.slope_second + none, self.slope_kurtosis + none)


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
