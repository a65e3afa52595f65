"""Nodes and weights for expectations over a standard normal z, and the Hermite functions there.

Panels of Gauss-Legendre nodes, finer and finer towards one point (where an activation bends) and ending at its kinks:
right to 1e-10 for a bend a hundred times narrower than z is wide. Plain Gauss-Hermite is poor at kinks.
The Hermite functions follow from their three-term recurrence (DLMF, table 18.9.1).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

REACH = 9.0
"""|z| up to which is integrated; beyond lies a share of 1e-19. Where that share counts it is BEYOND the last kink."""
BEYOND, FARTHEST = 6.0, 38.0
TERMS = 160
"""Hermite functions of degree 0 to 159."""


class Nodes(NamedTuple):
    """Hold z and the weights of a standard normal there, which add up to 1."""

    z: Array
    weights: Array


def nodes(origin: float, scale: float, kinks: tuple[float, ...] = (), *, far: bool = False) -> Nodes:
    """Return nodes for functions of u = origin + scale * z that bend near u = 0 and have kinks at those u.

    About 600 of them. scale: positive. far: whether functions are 0 between the kinks, so that what lies beyond counts
    however little it is. The arrays are shared between calls and must not be changed.
    """
    bend, reachable = _place(origin, scale, kinks, FARTHEST if far else REACH)
    last = max((abs(kink) for kink in reachable), default=0.0) if far else 0.0
    return _nodes(bend, reachable, max(REACH, last + BEYOND))


def hermite(origin: float, scale: float, kinks: tuple[float, ...] = ()) -> Array:
    """Return He_n(z) / sqrt(n!) times the weights, shape (TERMS, nodes): `hermite @ f(u)` gives f's coefficients."""
    return _hermite(*_place(origin, scale, kinks))


def light_nodes(origin: float, scale: float) -> Nodes:
    """Return a third as many nodes, for integrals over two variables."""
    bend, _ = _place(origin, scale, ())
    return _light(round(bend, 2))


def _place(
    origin: float, scale: float, kinks: tuple[float, ...], reach: float = REACH
) -> tuple[float, tuple[float, ...]]:
    """Return where in z the function bends (coarsely when it bends slowly) and has its kinks."""
    bend = -origin / scale
    reachable = tuple(z for z in ((kink - origin) / scale for kink in kinks) if abs(z) < reach)
    if abs(bend) > REACH or scale < 2:
        return 0.0, reachable
    return (round(bend, 1) if scale < 5 else bend), reachable


@lru_cache(maxsize=256)
def _nodes(bend: float, kinks: tuple[float, ...], reach: float = REACH) -> Nodes:
    return _panels(bend, kinks, reach, step=0.5, ratio=1.6, points=8)


@lru_cache(maxsize=256)
def _light(bend: float) -> Nodes:
    return _panels(bend, (), REACH, step=0.5, ratio=2.0, points=4, finest=1e-3)


@lru_cache(maxsize=64)
def _hermite(bend: float, kinks: tuple[float, ...]) -> Array:
    """Fill the rows by the three-term recurrence of the normalised polynomials."""
    z, weights = _nodes(bend, kinks)
    rows = np.empty((TERMS, z.size))
    rows[0], rows[1] = 1.0, z
    for n in range(1, TERMS - 1):
        rows[n + 1] = (z * rows[n] - math.sqrt(n) * rows[n - 1]) / math.sqrt(n + 1)
    rows *= weights
    return rows


def _panels(
    bend: float, kinks: tuple[float, ...], reach: float, *, step: float, ratio: float, points: int, finest: float = 1e-4
) -> Nodes:
    """Return Gauss-Legendre nodes on equal panels of [-reach, reach], split geometrically towards the bend."""
    count = int(math.log(step / finest) / math.log(ratio)) + 1
    near = finest * ratio ** np.arange(count)
    equal = np.linspace(-reach, reach, round(2 * reach / step) + 1)
    edges = np.sort(np.clip(np.concatenate([equal, [bend], bend + near, bend - near, kinks]), -reach, reach))
    edges = edges[np.concatenate([[True], np.diff(edges) > 1e-12])]
    x, w = np.polynomial.legendre.leggauss(points)
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half * (x + 1)).ravel()
    weights = (half * w).ravel() * np.exp(-z * z / 2)
    return Nodes(z, weights / weights.sum())
