"""Moments over a pair (u, w) of functions that are linear between kinks: relu6, hard_tanh, soft_shrink, ... (derived).

f' is a sum of steps, of height d_i at h_i in standard units. By Price's theorem (1958) the derivative of E f'(u) f'(w)
by the correlation r is sum d_i d_j phi(h_i, h_j; r), phi the density of a standard normal pair, and that of E f(u) f(w)
is variance * E f'(u) f'(w). With r = cos(angle) the integrands are smooth but at angle 0, towards which panels shrink.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unvanish.core.activations import derivative, value
from unvanish.theory.close_pairs import Pair

Array = NDArray[np.float64]

STEPS: dict[str, tuple[float, ...]] = {
    "hard_shrink": (-0.5, 0.5),
    "hard_sigmoid": (-3.0, 3.0),
    "hard_tanh": (-1.0, 1.0),
    "leaky_relu": (0.0,),
    "relu": (0.0,),
    "relu6": (0.0, 6.0),
    "sparse_sigmoid": (-1.0, 1.0),
}
"""Where the slopes, or the values, of those with kinks at fixed places jump."""
LEAST = 1e-30
"""Gap below which no number shows that u and w differ: what jumps differs as sqrt(gap)."""
_MOST = 2.0
"""Angle beyond which another set of panels shrinks towards the other end, where u = -w."""
_SIDE = 1e-9
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def steps_of(name: str, parameter: float) -> tuple[float, ...] | None:
    """Return the kinks of a function that is linear between them; None for others."""
    return (-parameter, parameter) if name == "soft_shrink" else STEPS.get(name)


class Kinked(NamedTuple):
    """Hold a function that is linear between its kinks, of u ~ N(mean, variance)."""

    variance: float
    kinks: Array
    """In standard units of u."""
    slope: Array
    """By how much f' jumps there."""
    square: Array
    """By how much f'^2 jumps there."""
    second: float
    """E f'^2."""
    fourth: float
    """E f'^4."""
    leaps: Array | None = None
    """By how much f jumps there; None where it does not."""
    below: float = 0.0
    """f' below the first kink, where f jumps."""

    @classmethod
    def of(
        cls, name: str, parameter: float, mean: float, variance: float, *, second: float, fourth: float
    ) -> Kinked | None:
        """Return the named activation; None for one that is not linear between kinks."""
        places = steps_of(name, parameter)
        if places is None:
            return None
        at, sides = np.array(places), (-_SIDE, _SIDE)
        before, behind = (derivative(name, at + side, parameter) for side in sides)
        low, high = (value(name, at + side, parameter) for side in sides)
        leaps = high - low if np.any(high - low > 10 * _SIDE) else None
        kinks = (at - mean) / math.sqrt(variance)
        jumps = behind - before, behind**2 - before**2
        return cls(variance, kinks, *jumps, second, fourth, leaps, float(before[0]))

    def pair(self, gap: float) -> Pair:
        """Return the moments of a pair of correlation 1 - gap."""
        if gap < LEAST:
            return Pair(self.variance * gap * self.second, self.second, self.fourth)
        widest = 2 * math.asin(math.sqrt(min(gap / 2, 1.0)))
        angle, weights = _angles(widest)
        one, other = (i.ravel() for i in np.meshgrid(self.kinks, self.kinks))
        bent = np.outer((one - other) ** 2 / 2, 1 / np.sin(angle) ** 2) + np.outer(one * other, 1 / (1 + np.cos(angle)))
        density = weights * np.exp(-bent) / (2 * math.pi)
        dropped = density.sum(axis=1)
        below = np.sin((widest + angle) / 2) * np.sin((widest - angle) / 2) * 2  # cos(angle) - cos(widest)
        slopes, squares = (np.outer(jump, jump).ravel() for jump in (self.slope, self.square))
        spread = self.variance * max(gap * self.second - float(slopes @ (density @ below)), 0.0)
        if self.leaps is not None:
            spread += float(np.outer(self.leaps, self.leaps).ravel() @ dropped) + self._leapt(angle, weights)
        fourth = max(self.fourth - float(squares @ dropped), 0.0)
        return Pair(spread, self.second - float(slopes @ dropped), fourth)

    def _leapt(self, angle: Array, weights: Array) -> float:
        """Return what the jumps of f add together with its slope: 2 sd E f'(u) at the jumps of f(w), over dr."""
        assert self.leaps is not None
        found = 0.0
        for at, leap in zip(self.kinks, self.leaps, strict=True):
            apart = (self.kinks[:, None] - at * np.cos(angle)) / np.sin(angle)
            slope = self.below + self.slope @ _erfc(apart / math.sqrt(2)) / 2
            found += leap * math.exp(-at * at / 2) * float(weights * np.sin(angle) @ slope)
        return 2 * math.sqrt(self.variance / (2 * math.pi)) * found


def _angles(widest: float) -> tuple[Array, Array]:
    """Return nodes and weights on [0, widest]."""
    near = min(widest, _MOST)
    angle, weights = near * _SHARE, near * _WEIGHT
    if widest <= _MOST:
        return angle, weights
    far = widest - _MOST
    return np.concatenate([angle, widest - far * _SHARE]), np.concatenate([weights, far * _WEIGHT])


def _geometric(panels: int, points: int) -> tuple[Array, Array]:
    """Return nodes and weights on [0, 1], the panels halving towards 0."""
    edges = np.concatenate([[0.0], 2.0 ** np.arange(1 - panels, 1)])
    x, w = np.polynomial.legendre.leggauss(points)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (x + 1)).ravel(), (half * w).ravel()


_SHARE, _WEIGHT = _geometric(20, 8)
