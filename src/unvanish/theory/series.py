"""Gaussian moments of any activation, by quadrature and by the Hermite series of f, f' and f'^2."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unvanish.core.activations import derivative, value
from unvanish.theory.finite_batch import Degrees
from unvanish.theory.quadrature import TERMS, hermite, light_nodes, nodes

Array = NDArray[np.float64]

KINKS: dict[str, tuple[float, ...]] = {
    "elu": (0.0,),
    "hard_sigmoid": (-3.0, 3.0),
    "hard_silu": (-3.0, 3.0),
    "hard_tanh": (-1.0, 1.0),
    "leaky_relu": (0.0,),
    "relu": (0.0,),
    "relu6": (0.0, 6.0),
    "selu": (0.0,),
    "softsign": (0.0,),
}
"""Where f or a derivative jumps."""

CLOSE = 0.1
"""E (u - w)^2 / 2 below which a pair on a narrow peak of f' is taken to first order."""

_DEGREES = np.arange(TERMS)


class Series:
    """Moments of the named activation; see moments.Moments for what each number means."""

    def __init__(self, name: str, parameter: float, mean: float, variance: float) -> None:
        """Take u ~ N(mean, variance), the variance above 0 and finite."""
        self._name, self._parameter, self._at, self._variance = name, parameter, mean, variance
        kinks, scale = KINKS.get(name, ()), math.sqrt(variance)
        z, weights = nodes(mean, scale, kinks)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            u = mean + scale * z
            f, slope = value(name, u, parameter), derivative(name, u, parameter)
            polynomials = hermite(mean, scale, kinks)
            self._f, self._slope = _Expansion(f, polynomials, weights), _Expansion(slope, polynomials, weights)
            self._slope_square = _Expansion(slope * slope, polynomials, weights)
            self.mean, self.variance = self._f.mean, self._f.variance
            self.kurtosis, self.central_kurtosis = _kurtosis(f, weights), _kurtosis(f - self.mean, weights)
            self.slope, self.slope_second = self._slope.mean, self._slope.second
            self.slope_kurtosis = _kurtosis(slope, weights)
            steep = weights * slope * slope
            self.slope_along = float(steep @ (z * z)) / (self.slope_second or math.nan)
            self.slope_tilt = float(weights @ (slope * z))
            fourth = weights * (z**4 - 6 * z * z + 3)
            self.degrees = Degrees(
                float(weights @ (f * (z * z - 1))),
                float(fourth @ f),
                float(fourth @ (f * f)),
                float(fourth @ (slope * slope)),
            )
            self.elasticity = float(weights @ (u * f * slope)) / (self._f.second or math.nan)

    def spread(self, gap: float) -> float:
        """Return E f^2 - E f(u) f(w) = sum a_n^2 (1 - c^n).

        It is also variance times the integral of E f' f' over the correlation (Price 1958), which bounds it from both
        sides for pairs that are alike, where a slowly falling tail would lose it.
        """
        if gap <= 0:
            return 0.0
        bound, way = self._variance * gap, self._way(self._slope, gap)
        if way == "series":
            found = self._f.drop(gap)
        elif way == "close":
            found = bound * (self.slope_second + self.slope_pair(gap)) / 2
        else:
            found = self._both(value, gap)[1]
        return found if gap > 0.5 else min(max(found, bound * self.slope_pair(gap)), bound * self.slope_second)

    def slope_pair(self, gap: float) -> float:
        """Return E f'(u) f'(w)."""
        way = self._way(self._slope, gap)
        if way == "series":
            return self._slope.second - self._slope.drop(gap)
        if way == "close":
            return self.slope_second / (1 + self._variance * gap * self._bend[0])
        return min(self._both(derivative, gap)[0], self.slope_second)

    def slope_kurtosis_pair(self, gap: float) -> float:
        """Return E f'(u)^2 f'(w)^2 / (E f'^2)^2."""
        way, square = self._way(self._slope_square, gap), self._slope_square
        if way == "series":
            pair = max(square.second - square.drop(gap), 0.0)
        elif way == "close":
            return self.slope_kurtosis / (1 + self._variance * gap * self._bend[1])
        else:
            pair = self._both(lambda name, u, parameter: derivative(name, u, parameter) ** 2, gap)[0]
        return pair / (self.slope_second**2 or math.nan)

    def _way(self, expansion: _Expansion, gap: float) -> Literal["series", "close", "both"]:
        """Choose how to take a pair: by the series, to first order in (u - w)^2, or by integrating over both."""
        if gap <= 0 or expansion.complete(gap):
            return "series"
        if self._variance * gap < CLOSE and self._name not in KINKS:
            return "close"
        return "series" if expansion.falls else "both"

    @cached_property
    def _bend(self) -> tuple[float, float]:
        """Return E f''^2 / E f'^2 and E (f'^2)'^2 / E f'^4: E g(u) g(w) = E g^2 - variance * gap * E g'^2 + ..."""
        z, weights = nodes(self._at, math.sqrt(self._variance))
        u, step = self._at + math.sqrt(self._variance) * z, 1e-4
        low, here, high = (derivative(self._name, u + shift, self._parameter) for shift in (-step, 0.0, step))
        change, square = (high - low) / (2 * step), (high * high - low * low) / (2 * step)
        return (
            float(weights @ change**2) / float(weights @ here**2),
            float(weights @ square**2) / float(weights @ here**4),
        )

    def _both(self, function: Callable[[str, Array, float], Array], gap: float) -> tuple[float, float]:
        """Return E g(u) g(w) and E (g(u) - g(w))^2 / 2 by integrating over (u + w) and (u - w), for pairs alike."""
        middle = math.sqrt(self._variance * (1 - gap / 2))
        apart = math.sqrt(self._variance * gap / 2)
        along, across = light_nodes(self._at, middle), light_nodes(0.0, apart)
        centre = self._at + middle * along.z[:, None]
        g, h = (function(self._name, centre + sign * apart * across.z, self._parameter) for sign in (1, -1))
        weights = along.weights[:, None] * across.weights
        return float(np.sum(weights * g * h)), float(np.sum(weights * (g - h) ** 2)) / 2


class _Expansion:
    """The squared Hermite coefficients of one function, and what is left beyond the last of them."""

    def __init__(self, g: Array, polynomials: Array, weights: Array) -> None:
        coefficients = polynomials @ g
        self.mean = float(coefficients[0])
        self._squares = coefficients**2
        self.variance = float(weights @ (g - self.mean) ** 2)
        self.second = self.mean * self.mean + self.variance
        self._rest = max(self.variance - float(self._squares[1:].sum()), 0.0)
        first, second = self._squares[TERMS // 4 : TERMS // 2].sum(), self._squares[TERMS // 2 :].sum()
        self._octave = float(second / first) if first > 0 else 0.0
        even, odd = self._squares[TERMS // 2 :: 2].sum(), self._squares[TERMS // 2 + 1 :: 2].sum()
        self._parity = float((even - odd) / (even + odd)) if even + odd > 0 else 0.0

    def complete(self, gap: float) -> bool:
        """Say whether what lies beyond the last coefficient does not matter for this gap."""
        return self._rest < 1e-3 * self.second or TERMS * gap > 4

    @property
    def falls(self) -> bool:
        """Say whether the squares fall as those of a jump or kink, so that the tail can be modelled.

        Those of a peak that is narrow against the spread of u do not.
        """
        return self._octave < 0.85

    def drop(self, gap: float) -> float:
        """Return E g^2 - E g(u) g(w), the squares beyond the last taken to fall as the last octave does."""
        lost = -np.expm1(_DEGREES * math.log1p(-gap)) if gap < 0.5 else 1 - np.power(1 - gap, _DEGREES)
        kept = _tail(abs(1 - gap), jumps=self._octave > 0.5) * (1.0 if gap < 1 else self._parity)
        return float(self._squares @ lost) + self._rest * (1 - kept)


def _tail(c: float, *, jumps: bool) -> float:
    """Return which share of the part beyond TERMS a pair of correlation c keeps.

    Squares fall as n^(-3/2) where g jumps, as n^(-5/2) where it has a kink: the integral over n from N = TERMS of
    n^-power c^n, divided by its value at c = 1; the second follows from the first by parts.
    """
    if c <= 0:
        return 0.0
    x = -TERMS * math.log(c)
    jump = math.exp(-x) - math.sqrt(math.pi * x) * math.erfc(math.sqrt(x))
    return max(jump if jumps else math.exp(-x) - 2 * x * jump, 0.0)


def _kurtosis(g: Array, weights: Array) -> float:
    largest = float(np.max(np.abs(g)))
    if not largest > 0:
        return 1.0
    square = (g / largest) ** 2
    return float(weights @ square**2) / float(weights @ square) ** 2
