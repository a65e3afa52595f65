"""Moments over a pair (u, w) of functions that are linear between kinks: relu6, hard_tanh, soft_shrink, ... (derived).

f' is a sum of steps, of height d_i at h_i in standard units. By Price's theorem (1958) the derivative of E f'(u) f'(w)
by the correlation r is sum d_i d_j phi(h_i, h_j; r), phi the density of a standard normal pair, and that of E f(u) f(w)
is variance * E f'(u) f'(w). With r = cos(angle) the integrands are smooth but at angle 0, towards which panels shrink.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from unvanish.core.activations import derivative
from unvanish.theory.close_pairs import Pair

Array = NDArray[np.float64]

STEPS: dict[str, tuple[float, ...]] = {
    "hard_sigmoid": (-3.0, 3.0),
    "hard_tanh": (-1.0, 1.0),
    "leaky_relu": (0.0,),
    "relu": (0.0,),
    "relu6": (0.0, 6.0),
    "sparse_sigmoid": (-1.0, 1.0),
}
"""Where the slopes of those with kinks at fixed places jump."""
_MOST = 2.0
"""Angle beyond which another set of panels shrinks towards the other end, where u = -w."""


def steps_of(name: str, parameter: float) -> tuple[float, ...] | None:
    """Return the kinks of a function that is linear between them; None for others."""
    return (-parameter, parameter) if name == "soft_shrink" else STEPS.get(name)


def jumps_at(name: str, parameter: float, kinks: tuple[float, ...]) -> tuple[Array, Array]:
    """Return by how much f' and f'^2 jump at each kink."""
    below, above = (derivative(name, np.array(kinks) + side, parameter) for side in (-1e-9, 1e-9))
    return above - below, above**2 - below**2


def kinked_pair(
    kinks: Array, slope: Array, square: Array, variance: float, gap: float, *, second: float, fourth: float
) -> Pair:
    """Return the moments of a pair of correlation 1 - gap.

    kinks: in standard units of u. slope, square: by how much f' and f'^2 jump there. second, fourth: E f'^2, E f'^4.
    """
    widest = 2 * math.asin(math.sqrt(min(gap / 2, 1.0)))
    angle, weights = _angles(widest)
    one, other = (i.ravel() for i in np.meshgrid(kinks, kinks))
    bent = np.outer((one - other) ** 2 / 2, 1 / np.sin(angle) ** 2) + np.outer(one * other, 1 / (1 + np.cos(angle)))
    density = weights * np.exp(-bent) / (2 * math.pi)
    dropped = density.sum(axis=1)
    below = np.sin((widest + angle) / 2) * np.sin((widest - angle) / 2) * 2  # cos(angle) - cos(widest)
    both, squares = np.outer(slope, slope).ravel(), np.outer(square, square).ravel()
    return Pair(
        variance * max(gap * second - float(both @ (density @ below)), 0.0),
        second - float(both @ dropped),
        max(fourth - float(squares @ dropped), 0.0),
    )


def _angles(widest: float) -> tuple[Array, Array]:
    near = min(widest, _MOST)
    angle, weights = near * _SHARE, near * _WEIGHT
    if widest <= _MOST:
        return angle, weights
    far = widest - _MOST
    return np.concatenate([angle, widest - far * _SHARE]), np.concatenate([weights, far * _WEIGHT])


def _geometric(panels: int, points: int) -> tuple[Array, Array]:
    edges = np.concatenate([[0.0], 2.0 ** np.arange(1 - panels, 1)])
    x, w = np.polynomial.legendre.leggauss(points)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (x + 1)).ravel(), (half * w).ravel()


_SHARE, _WEIGHT = _geometric(20, 8)
"""Nodes and weights on [0, 1], shrinking towards 0."""
