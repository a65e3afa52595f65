"""Gaussian moments at any variance, between ones that were worked out on a lattice of ln(variance) (derived).

A forecast asks for the moments at a variance of its own at every layer; where it never settles, as below tanh with
orthogonal kernels, each would be an integral. All of them are analytic in ln(variance), for u of mean 0 and an f whose
only kink is at 0, so that the polynomial through ten neighbours is right to 1e-9. So are those of a pair in
ln(gap / (2 - gap)), whose singularities, at correlations beyond -1 and 1, lie pi away. What is found does not depend on
what was asked for before.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from msgspec import Struct
from msgspec.structs import astuple
from numpy.typing import NDArray

from unvanish.theory.close_pairs import Pair
from unvanish.theory.general import CLOSE, HIGHEST, LEAST, LOWEST, General, close, kinks_of
from unvanish.theory.quadrature import TERMS
from unvanish.theory.series import OneSample, Sampled, is_complete, series_pair

Array = NDArray[np.float64]

STEP, NEIGHBOURS = 0.2, 10
"""Of ln(variance)."""
PAIR_STEP, GAP_STEP, PAIR_NEIGHBOURS = 2 * STEP, 0.3, 8
"""Of ln(variance) and ln(variance * gap / (2 - gap)), for pairs alike: each point is an integral over two variables."""
WIDE, WIDE_AT_A_KINK = 0.6, 6.0
"""variance * gap from which on a pair alike is integrated anew: that takes longest, and networks do not stay there.

An elu below He's initialisation stays at 4.8.
"""
_FIRST = math.log(LOWEST) - STEP * NEIGHBOURS
_ROWS = math.ceil((math.log(HIGHEST) - math.log(LOWEST)) / STEP) + 2 * NEIGHBOURS
_PAIR_ROWS = _ROWS // 2
_FIRST_GAP = math.log(LEAST / 2 * LOWEST) - GAP_STEP * 2 * PAIR_NEIGHBOURS
_COLUMNS = math.ceil(-2 * _FIRST_GAP / GAP_STEP) + 1
_LOGARITHMS = [OneSample.__struct_fields__.index(name) for name in ("variance", "slope_second")]
"""Those that are held by their logarithm, since they grow like powers of the variance."""
_ONE = len(OneSample.__struct_fields__)


class Lattice:
    """Hold what was worked out for one activation."""

    def __init__(self, name: str, parameter: float) -> None:
        """Start with nothing."""
        self._of, self._kinks = (name, parameter), kinks_of(name, parameter)
        self._wide = WIDE_AT_A_KINK if self._kinks else WIDE
        self._rows = np.empty((_ROWS, _ONE + 3 * TERMS))
        self._known = np.zeros(_ROWS, dtype=bool)
        self._complete = np.zeros(_ROWS, dtype=bool)
        self._ready: dict[int, bool] = {}
        self._pairs = np.empty((_PAIR_ROWS, _COLUMNS, 3))
        self._known_pairs = np.zeros((_PAIR_ROWS, _COLUMNS), dtype=bool)
        self._ready_pairs: dict[tuple[int, int], Array] = {}

    def at(self, variance: float) -> General:
        """Return the moments at u ~ N(0, variance), the variance between LOWEST and HIGHEST."""
        x = (math.log(variance) - _FIRST) / STEP
        base, weights = _between(x, NEIGHBOURS)
        if base not in self._ready:
            for i in range(base, base + NEIGHBOURS):
                self._work_out(i)
            self._ready[base] = bool(self._complete[base : base + NEIGHBOURS].all())
        numbers = _unpacked(weights.dot(self._rows[base : base + NEIGHBOURS, :_ONE]))
        return General(*numbers, pairs=_Pairs(self, base, weights, x, variance))

    def pair(self, of: _Pairs, one: OneSample, gap: float) -> Pair:
        """Return the moments of a pair at one of its variances."""
        complete = self._ready[of.base]
        if complete or CLOSE < gap < 2 - CLOSE:
            coefficients = of.weights.dot(self._rows[of.base : of.base + NEIGHBOURS, _ONE:])
            squares = coefficients.reshape(3, TERMS) ** 2
            return series_pair(squares, gap, variance=one.variance, complete=complete)
        if not LEAST <= gap <= CLOSE or of.variance * gap > self._wide:
            return close(*self._of, 0.0, of.variance, gap, one)
        spread, slope, square = self._shares(of.x * STEP / PAIR_STEP, math.log(of.variance * gap / (2 - gap)))
        second = one.slope_second
        return Pair(spread * of.variance * gap * second, slope * second, square * one.slope_fourth)

    def _shares(self, x: float, apart: float) -> list[float]:
        """Return the moments of a pair alike, as shares of what they are for gap 0.

        apart: ln(variance * gap / (2 - gap)), which changes least from layer to layer.
        """
        row, across = _between(x, PAIR_NEIGHBOURS)
        column, along = _between((apart - _FIRST_GAP) / GAP_STEP, PAIR_NEIGHBOURS)
        if (row, column) not in self._ready_pairs:
            block = (slice(row, row + PAIR_NEIGHBOURS), slice(column, column + PAIR_NEIGHBOURS))
            for i, j in np.argwhere(~self._known_pairs[block]):
                self._work_out_pair(row + int(i), column + int(j))
            self._ready_pairs[row, column] = self._pairs[block].reshape(PAIR_NEIGHBOURS, -1)
        found = across.dot(self._ready_pairs[row, column]).reshape(PAIR_NEIGHBOURS, -1)
        shares: list[float] = along.dot(found).tolist()
        return shares

    def _work_out(self, i: int) -> None:
        if self._known[i]:
            return
        sampled = Sampled(*self._of, 0.0, _variance(i), self._kinks)
        coefficients = sampled.coefficients()
        row = self._rows[i]
        row[:_ONE] = astuple(sampled.moments())
        row[_LOGARITHMS] = np.log(row[_LOGARITHMS])
        row[_ONE:] = coefficients.ravel()
        self._complete[i], self._known[i] = is_complete(coefficients**2), True

    def _work_out_pair(self, i: int, j: int) -> None:
        at = round(i * PAIR_STEP / STEP)
        self._work_out(at)
        one, variance = OneSample(*_unpacked(self._rows[at, :_ONE])), _variance(at)
        odds = math.exp(_FIRST_GAP + GAP_STEP * j) / variance
        gap = 2 * odds / (1 + odds)
        found = close(*self._of, 0.0, variance, gap, one)
        second, fourth = one.slope_second, one.slope_fourth
        shares = found.spread / (variance * gap * second), found.slope / second, found.slope_square / fourth
        self._pairs[i, j] = shares
        self._known_pairs[i, j] = True


class _Pairs(Struct, frozen=True, eq=False, gc=False):
    """Give the moments of pairs at one variance: what they cost is spent when, and as often as, they are asked for."""

    lattice: Lattice
    base: int
    """The first of its neighbours, and their weights."""
    weights: Array
    x: float
    variance: float

    def __call__(self, one: OneSample, gap: float) -> Pair:
        return self.lattice.pair(self, one, gap)


@lru_cache(maxsize=64)
def lattice(name: str, parameter: float) -> Lattice:
    """Return the lattice of an activation; it fills as it is used."""
    return Lattice(name, parameter)


def _variance(i: int) -> float:
    return math.exp(_FIRST + STEP * i)


def _unpacked(row: Array) -> list[float]:
    """Return the numbers of OneSample."""
    numbers: list[float] = row.tolist()
    for i in _LOGARITHMS:
        numbers[i] = math.exp(numbers[i])
    return numbers


def _between(x: float, count: int) -> tuple[int, Array]:
    """Return the first of the neighbours of x on the whole numbers, and their weights (Lagrange's, barycentric)."""
    whole = math.floor(x)
    base = whole - count // 2 + 1
    if x == whole:
        return base, (_COUNTING[count] == whole - base).astype(np.float64)
    weights: Array = _SIGNED[count] / (x - base - _COUNTING[count])
    weights /= sum(weights.tolist())
    return base, weights


_COUNTING = {n: np.arange(float(n)) for n in (NEIGHBOURS, PAIR_NEIGHBOURS)}
_SIGNED = {n: np.array([(-1.0) ** i * math.comb(n - 1, i) for i in range(n)]) for n in (NEIGHBOURS, PAIR_NEIGHBOURS)}
