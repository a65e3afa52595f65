"""Gaussian moments of an activation without a closed form, each by the way that is right for it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from msgspec import field
from msgspec.structs import astuple

from unvanish.core.activations import derivative
from unvanish.theory import close_pairs
from unvanish.theory.close_pairs import Pair, PairMoments
from unvanish.theory.kinked_pairs import Kinked, steps_of
from unvanish.theory.series import OneSample, Sampled, is_complete, series_pair

KINKS: dict[str, tuple[float, ...]] = {
    "celu": (0.0,),
    "elu": (0.0,),
    "hard_silu": (-3.0, 3.0),
    "selu": (0.0,),
    "softsign": (0.0,),
    "sparse_plus": (-1.0, 1.0),
}
"""Where f or a derivative jumps, of those that are not linear between (see kinked_pairs)."""
POLYNOMIALS = frozenset({"hard_silu", "sparse_plus"})
"""Of these those that do not bend but at their kinks."""
CLOSE = 0.12
"""Gap up to which pairs are alike, and 2 - gap up to which they are opposite: 0.88^160 = 1e-9."""
LEAST = 1e-14
"""Gap below which u and w are the same."""
LOWEST, HIGHEST, FAR = 1e-8, 1e8, 1e9
"""Variances beyond which an activation is two straight lines, but for those that are flat; a u of theirs."""
MOST = 20_000
"""Gaps that are remembered."""


class General(OneSample, frozen=True, eq=False, gc=False, kw_only=True):
    """Give the moments of one sample, and those of a pair by a function of them and the gap; see moments.Moments.

    As many are remembered as layers have a variance of their own: full collections are not to walk through them all.
    """

    pairs: Callable[[OneSample, float], Pair]
    known: dict[float, PairMoments] = field(default_factory=dict)
    """Those that were worked out: layers ask for them forward and backward."""

    def pair(self, gap: float) -> PairMoments:
        """Return the moments of a pair."""
        found = self.known.get(gap)
        if found is None:
            if math.isnan(gap):
                return PairMoments(math.nan, math.nan, math.nan)
            of = Pair(0.0, self.slope_second, self.slope_fourth)
            if gap != 0:
                of = self.pairs(self, min(max(gap, 0.0), 2.0))
            if len(self.known) > MOST:
                self.known.clear()
            found = PairMoments(of.spread, of.slope, of.slope_square / (self.slope_second**2 or math.nan))
            self.known[gap] = found
        return found


def kinks_of(name: str, parameter: float) -> tuple[float, ...]:
    """Return where f or a derivative jumps."""
    return steps_of(name, parameter) or KINKS.get(name, ())


def integrated(name: str, parameter: float, mean: float, variance: float) -> General:
    """Return the moments for u ~ N(mean, variance), the variance above 0 and finite."""
    kinks = kinks_of(name, parameter)
    sampled = Sampled(name, parameter, mean, variance, kinks)
    one = sampled.moments()
    of = Kinked.of(name, parameter, mean, variance, second=one.slope_second, fourth=one.slope_fourth)
    lines = of or _straight(name, parameter, mean, variance, one)
    if lines is not None:
        return General(*astuple(one), pairs=lambda _, gap: lines.pair(gap))

    def directly(one: OneSample, gap: float) -> Pair:
        return close(name, parameter, mean, variance, gap, one)

    if any(kink != mean for kink in kinks):  # polynomials on panels that end elsewhere for each u: the longer way
        return General(*astuple(one), pairs=directly)
    squares = sampled.coefficients() ** 2
    complete = is_complete(squares)

    def pairs(one: OneSample, gap: float) -> Pair:
        if complete or CLOSE < gap < 2 - CLOSE:
            return series_pair(squares, gap, variance=one.variance, complete=complete)
        return directly(one, gap)

    return General(*astuple(one), pairs=pairs)


def close(name: str, parameter: float, mean: float, variance: float, gap: float, one: OneSample) -> Pair:
    """Return the moments of a pair that is alike, or opposite, integrated over both."""
    if gap < LEAST:
        return Pair(variance * gap * one.slope_second, one.slope_second, one.slope_fourth)
    gap = min(gap, 2 - LEAST)
    return close_pairs.pair(
        name, parameter, mean, variance, gap, kinks_of(name, parameter), bends=name not in POLYNOMIALS
    )


def _straight(name: str, parameter: float, mean: float, variance: float, one: OneSample) -> Kinked | None:
    """Return the two straight lines that meet at u = 0 that f is for tiny, or huge, u; None between, or where flat.

    Right to sqrt(variance) for a tiny one, to its inverse for a huge one.
    """
    if LOWEST <= variance <= HIGHEST or (variance < LOWEST and mean != 0):
        return None
    side = FAR * (1 if variance > 1 else FAR**-2)
    below, above = (float(derivative(name, np.array([u]), parameter)[0]) for u in (-side, side))
    if not (abs(below) + abs(above) > 1 / FAR):
        return None
    jumps = np.array([above - below]), np.array([above**2 - below**2])
    return Kinked(variance, np.array([-mean / math.sqrt(variance)]), *jumps, one.slope_second, one.slope_fourth)
