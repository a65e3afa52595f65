"""What a residual branch adds to its trunk's cotangent in step with the signal, not at random (derived).

A branch F = f(W h) that ends in an activation has the Jacobian f'(W h) W, whose slope knows of W: along the trunk's
signal h the Jacobian gives f'(u) u, which goes with F itself. So the cotangent d gains a part k h^ besides a random
one, h^ being the unit vector along h: k = c a + rho (d.F/|h| - M a), with a = d.1^ the cotangent's part along all units
alike, c = gain * E f' z, M = E F / |h| a unit, rho = E f f' u / E f^2. With b = d.h^ and r = |h + F| / |h|

    d.F/|h| = r b - b0,    b0 = d.h^ at the block's input = p a + s b,    a -> a + x k,    b -> b0 + k

where x = 1^.h^, and p and s follow from d = a 1^ + (the rest along h + F). For a homogeneous f (relu) b |h| is
conserved, as Euler's theorem demands: the gradient of such a network comes to grow as fast as its signal does, in
proportion to the one random number d.h at the loss end.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from unvanish.theory.chi_square import chi_square
from unvanish.theory.draws import Draws, mean
from unvanish.theory.signal import Signal

Array = NDArray[np.float64]


class Trunk(Struct, frozen=True, gc=False):
    """Hold the cotangent d of a trunk, in units of one unit's share of |d|^2: n a^2, n b^2, n a b over |d|^2."""

    log: Draws
    """ln |d|^2."""
    sums: float
    """n a^2 / |d|^2: 1 for independent units."""
    onto: float
    """n b^2 / |d|^2."""
    both: float
    """n a b / |d|^2."""
    second: float
    """q of the trunk's signal."""
    mean: float
    """Its mean over units."""

    def product(self, first: _Pair, second: _Pair) -> float:
        """Return n times the mean product of two numbers linear in a and b, over |d|^2."""
        cross = first.of_a * second.of_b + first.of_b * second.of_a
        return first.of_a * second.of_a * self.sums + cross * self.both + first.of_b * second.of_b * self.onto

    @classmethod
    def at(cls, log: Draws, sums: float, onto: float, signal: Signal) -> Trunk:
        """Return the trunk of a cotangent; onto: 1 where it knows nothing of the signal."""
        return cls(log, sums, onto, level(signal), signal.second, signal.mean)


def single_draw(share: float, degrees: int) -> tuple[float, float]:
    """Return mean and variance of ln(1 - share + share * chi^2/degrees): of a |d|^2 that goes with one random square.

    degrees: independent outputs, each of which draws its own.
    """
    if share == 0:
        return 0.0, 0.0
    logs = np.log1p(share * (chi_square(degrees, 64) - 1))
    return float(logs.mean()), float(logs.var())


def level(signal: Signal) -> float:
    """Return x = mean / sqrt(q) of a signal."""
    return signal.mean / math.sqrt(signal.second) if 0 < signal.second < math.inf else 0.0


def through_block(trunk: Trunk, pull: float, follows: float, log: Array, units: int, h: Signal) -> Trunk:
    """Return the trunk at the block's input.

    pull: c, summed over the branches. follows: rho. log: ln of the sum of the parts' squares, as if independent. h: the
    signal at the block's input.
    """
    x, behind, root = level(h), trunk.mean / math.sqrt(trunk.second), math.sqrt(h.second)
    ratio, shift = math.sqrt(trunk.second) / root, (trunk.mean - h.mean) / root
    s = (1 - x * x) / (max(1 - behind * behind, 1e-6) * ratio)
    p = x - behind * s
    k_a, k_b = pull - follows * (shift + p), follows * (ratio - s)
    before, kick = _Pair(p, s), _Pair(k_a, k_b)
    size = np.exp(np.minimum(trunk.log.array - log, 0.0))
    random = 1 - size
    added = size * (2 * trunk.product(kick, before) + trunk.product(kick, kick)) - random * (kick != _Pair(0.0, 0.0))
    whole = np.maximum(1 + added / units, 0.1)
    keep, rest = mean(size / whole), mean(random / whole)
    sums, onto = _Pair(1 + x * k_a, x * k_b), _Pair(p + k_a, s + k_b)
    return Trunk(
        log=Draws(log + np.log(whole)),
        sums=min(keep * trunk.product(sums, sums) + rest * (1 - x * x), float(units)),
        onto=min(max(keep * trunk.product(onto, onto), 0.0), float(units)),
        both=keep * trunk.product(sums, onto),
        second=h.second,
        mean=h.mean,
    )


class _Pair(Struct, frozen=True, gc=False):
    """The number a * of_a + b * of_b."""

    of_a: float
    of_b: float
