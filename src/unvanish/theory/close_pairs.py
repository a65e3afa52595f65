"""Moments of f over a pair (u, w), integrated directly over its middle (u + w)/2 and half its difference (derived).

The two are independent: N(mean, S^2) and N(0, D^2), S^2 = variance (1 - gap/2), D^2 = variance gap/2. Panels end
wherever f, at u or at w, has a kink, and get wider geometrically away from where it bends. That holds for every gap,
also where a Hermite series would need thousands of terms: pairs alike, and bends narrow against the spread of u.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from unvanish.core.activations import derivative, value

Array = NDArray[np.float64]

REACH = 8.0
"""Standard deviations up to which is integrated; beyond lies a share of 1e-15."""
SHARPEST = 0.4
"""D from which on the bends of a smooth f need panels of their own in the difference."""
MOST = 40
"""Panels at most on each side of a bend."""
_GAUSSIAN = np.array([0.0, 2.0, 4.5, REACH])
_MIDDLE = np.array([-REACH, -5.0, -3.0, -1.5, 0.0, 1.5, 3.0, 5.0, REACH])
_NEAR = np.array([0.0, 2.0, 4.5, REACH])
_POINTS = np.polynomial.legendre.leggauss(8)
_HALF, _OF_HALF = (of[7:] for of in np.polynomial.hermite_e.hermegauss(14))


class Pair(Struct, frozen=True, gc=False):
    """Hold three moments of a pair; there is one for each layer, as of the other structs of moments."""

    spread: float
    """E (f(u) - f(w))^2 / 2 = E f^2 - E f(u) f(w)."""
    slope: float
    """E f'(u) f'(w)."""
    slope_square: float
    """E f'(u)^2 f'(w)^2."""


class PairMoments(Struct, frozen=True, gc=False):
    """Hold the same as moments.Moments give it: with a ratio where a plain moment would underflow."""

    spread: float
    """E f^2 - E f(u) f(w), without cancellation."""
    slope: float
    """E f'(u) f'(w)."""
    slope_kurtosis: float
    """E f'(u)^2 f'(w)^2 / (E f'^2)^2."""


def pair(
    name: str, parameter: float, mean: float, variance: float, gap: float, kinks: tuple[float, ...], *, bends: bool
) -> Pair:
    """Return the moments of a pair of correlation 1 - gap, to about 1e-9 of E f^2, E f'^2, E f'^4 and of the spread.

    kinks: where f or f' jumps. bends: whether it is more than a polynomial between them.
    """
    middle, apart = math.sqrt(variance * (1 - gap / 2)), math.sqrt(variance * gap / 2)
    ladder = _ladder(abs(mean) + REACH * (middle + apart)) if bends else np.zeros(0)
    s, weight = _nodes(_middles(mean, middle, apart, kinks, ladder)[None, :])
    s, weight = s[0], weight[0] * np.exp(-(((s[0] - mean) / middle) ** 2) / 2) / (middle * math.sqrt(2 * math.pi))
    sharp = bends and apart > SHARPEST
    bent = np.array([*kinks, 0.0] if sharp else kinks)  # beyond its reach f bends only slowly
    split = np.abs(s[:, None] - bent).min(axis=1, initial=math.inf) < REACH * apart + sharp
    near = ladder[np.abs(ladder) <= 2 * REACH * apart + 1]
    breaks = np.concatenate([kinks, near]) if sharp else bent
    found = np.zeros(3)
    for rows, nodes in ((~split, _whole), (split, _split)):
        if rows.any():
            d, weights = nodes(s[rows], breaks, apart)
            u, w = s[rows, None] + d, s[rows, None] - d
            change = value(name, u, parameter) - value(name, w, parameter)
            both = derivative(name, u, parameter) * derivative(name, w, parameter)
            sums = [np.sum(weights * of, axis=1) for of in (change * change / 2, both, both * both)]
            found += np.stack(sums) @ weight[rows]
    return Pair(*found.tolist())


def _whole(_s: Array, _breaks: Array, apart: float) -> tuple[Array, Array]:
    """Return nodes and weights of half the difference where f does not bend: Gauss-Hermite's; d and -d are alike."""
    return apart * _HALF[None, :], _OF_HALF[None, :] / _OF_HALF.sum()


def _split(s: Array, breaks: Array, apart: float) -> tuple[Array, Array]:
    """Return those on panels that end where u or w has a kink."""
    edges = np.empty((s.size, _GAUSSIAN.size + breaks.size))
    edges[:, : _GAUSSIAN.size] = _GAUSSIAN * apart
    edges[:, _GAUSSIAN.size :] = np.minimum(np.abs(breaks - s[:, None]), REACH * apart)
    d, weights = _nodes(np.sort(edges, axis=1))
    return d, weights * np.exp(-((d / apart) ** 2) / 2) * (2 / (apart * math.sqrt(2 * math.pi)))


def _ladder(far: float) -> Array:
    """Return where panels end for functions that bend at u = 0 over a distance of about 1."""
    count = max(math.ceil(math.log2(far)), 0)
    steps = 2.0 ** np.arange(max(count - MOST, 0), count)
    return np.concatenate([-steps[::-1], [0.0], steps])


def _middles(mean: float, middle: float, apart: float, kinks: tuple[float, ...], ladder: Array) -> Array:
    """Return the edges of the panels of (u + w)/2: finer, on the scale of the difference, where two kinks meet."""
    met = {(i + j) / 2 for i, j in itertools.combinations_with_replacement(kinks, 2) if abs(i - j) < 2 * REACH * apart}
    near = [at + sign * apart * _NEAR for at in met for sign in (-1, 1)]
    low, high = mean - REACH * middle, mean + REACH * middle
    edges = np.sort(np.clip(np.concatenate([mean + middle * _MIDDLE, ladder, *near]), low, high))
    return edges[np.diff(edges, prepend=-math.inf) > 0]  # np.unique loads a part of numpy that nothing else here needs


def _nodes(edges: Array) -> tuple[Array, Array]:
    """Return Gauss-Legendre nodes and weights on the panels of each row."""
    x, w = _POINTS
    half = np.diff(edges)[:, :, None] / 2
    rows = len(edges)
    return (edges[:, :-1, None] + half * (x + 1)).reshape(rows, -1), (half * w).reshape(rows, -1)
