"""Gaussian moments of an activation f: what a wide layer does to its signal and to its gradient on average.

For u ~ N(mean, variance): E f, E f^2, E f'^2, ...; for a pair (u, w) of correlation 1 - gap: E f(u) f(w) and
E f'(u) f'(w) by Mehler's formula E f(u) f(w) = sum_n a_n^2 (1 - gap)^n, with a_n the coefficients of f in normalised
Hermite polynomials (Poole et al. 2016, eq. 5; Schoenholz et al. 2017, eq. 5 and 7; Daniely et al. 2016, section 4.2).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Protocol

from msgspec.structs import astuple

from unvanish.core.activations import DEFAULT_PARAMETER, FUNCTIONS
from unvanish.theory.close_pairs import PairMoments
from unvanish.theory.closed_forms import Exponential, PiecewiseLinear, Point, erf_pair
from unvanish.theory.finite_batch import Degrees
from unvanish.theory.general import HIGHEST, LOWEST, General, integrated, kinks_of
from unvanish.theory.lattice import lattice
from unvanish.theory.series import Sampled


class Moments(Protocol):
    """Give the moments of f(u) and f'(u) for u ~ N(mean, variance). Ratios, where a plain moment would underflow."""

    @property
    def mean(self) -> float:
        """E f."""

    @property
    def variance(self) -> float:
        """Var f = E f^2 - (E f)^2, without cancellation."""

    @property
    def kurtosis(self) -> float:
        """E f^4 / (E f^2)^2."""

    @property
    def central_kurtosis(self) -> float:
        """E (f - E f)^4 / (Var f)^2."""

    @property
    def elasticity(self) -> float:
        """E[u f f'] / E f^2: by which power E f^2 follows E u^2 when u is scaled; 1 for a linear f."""

    @property
    def slope(self) -> float:
        """E f'."""

    @property
    def slope_second(self) -> float:
        """E f'^2: the activation's part of chi."""

    @property
    def slope_kurtosis(self) -> float:
        """E f'^4 / (E f'^2)^2."""

    @property
    def slope_along(self) -> float:
        """E f'^2 z^2 / E f'^2 with z = (u - mean) / sd: how steep f is where u is large; 1 when independent."""

    @property
    def slope_tilt(self) -> float:
        """E f' z: how much steeper f is where u is large than where it is small; 0 for an odd f."""

    @property
    def degrees(self) -> Degrees:
        """How f, f^2 and f'^2 bend."""

    def pair(self, gap: float) -> PairMoments:
        """Return the moments of a pair (u, w) of correlation 1 - gap."""


LARGEST = 1e140
"""A pre-activation beyond this has no moments that a float could hold."""


def moments(name: str, parameter: float | None = None, *, mean: float = 0.0, variance: float) -> Moments:
    """Return the moments of the activation of that canonical name at u ~ N(mean, variance).

    parameter: slope of leaky_relu, alpha of elu; None for the default. mean and variance are taken to nine digits, so
    that layers alike are computed once. What overflows is inf, what does not exist nan; variance 0 gives f and f' at
    the mean. Raise KeyError for a name that is not in core.activations.FUNCTIONS.
    """
    parameter = DEFAULT_PARAMETER.get(name, 0.0) if parameter is None else parameter
    return _moments(name, parameter, _rounded(mean), _rounded(variance))


@lru_cache(maxsize=16384)  # a network of ten thousand layers, each with a q of its own
def _moments(name: str, parameter: float, mean: float, variance: float) -> Moments:
    if name not in FUNCTIONS:
        raise KeyError(name)
    if not (abs(mean) < LARGEST and variance < LARGEST * LARGEST):
        lost = math.isnan(mean) or math.isnan(variance)
        return Point(math.nan, math.nan, math.nan if lost else math.inf, math.nan)
    if name == "linear":
        return PiecewiseLinear.at(1.0, mean, variance)
    if variance == 0:
        return Point.at(name, parameter, mean)
    if name == "exponential":
        return Exponential(mean, variance)
    if name in ("relu", "leaky_relu") and mean == 0:
        return PiecewiseLinear.at(parameter, 0.0, variance)
    if name == "erf" and mean == 0:
        one = Sampled(name, parameter, mean, variance, ()).moments()
        return General(*astuple(one), pairs=lambda _, gap: erf_pair(variance, gap))
    if mean == 0 and LOWEST <= variance <= HIGHEST and not any(kinks_of(name, parameter)):
        return lattice(name, parameter).at(variance)
    return integrated(name, parameter, mean, variance)


def _rounded(x: float) -> float:
    return float(f"{x:.9g}")
