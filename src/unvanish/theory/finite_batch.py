"""Moments of f(u) where u was normalised over a batch: its samples lie on a sphere, and are not quite Gaussian.

Over N samples sum u = 0 and sum u^2 = N give u the fourth cumulants -6/(N + 1) (one sample) and about -2/(N + 1) (two
samples, u u w w). To first order in them an expectation moves by its fourth Hermite coefficient, and that of a pair by
the product of the second ones (Edgeworth's expansion; derived).
"""

from __future__ import annotations

import math
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace


class Degrees(Struct, frozen=True, gc=False):
    """Hold E g He_n(z) for u = mean + sd * z: how strongly f, f^2 and f'^2 bend."""

    value_second: float
    """E f He2."""
    value_fourth: float
    """E f He4."""
    square_fourth: float
    """E f^2 He4."""
    slope_square_fourth: float
    """E f'^2 He4."""


class Gaussian(Protocol):
    """Give the moments that are shifted (see moments.Moments)."""

    @property
    def mean(self) -> float:
        """E f."""

    @property
    def degrees(self) -> Degrees:
        """How f bends."""


class Shifts(Struct, frozen=True, gc=False):
    """Hold by how much the moments of a Gaussian u are to be moved."""

    mean: float = 0.0
    variance: float = 0.0
    spread: float = 0.0
    slope_second: float = 0.0

    @classmethod
    def of(cls, of: Gaussian, batch: float, within: float, gap: float = 1.0) -> Shifts:
        """Return the shifts below a normalisation over the batch, or over the units of one sample.

        Over units two samples of correlation 1 - gap are both on a sphere: all of the shift where they are alike is
        common to both, and nothing is where they are not.
        """
        if math.isinf(within):
            return NONE if math.isinf(batch) else cls.over(of, batch)
        found = cls.over(of, within)
        return replace(found, spread=found.variance * min(gap, 1.0))

    @classmethod
    def over(cls, of: Gaussian, instances: float) -> Shifts:
        """Return the shifts for that many instances a batch; none for an infinite number."""
        if math.isinf(instances):
            return cls()
        share, bend = 1 / (4 * (instances + 1)), of.degrees
        variance = share * (2 * of.mean * bend.value_fourth - bend.square_fourth)
        return cls(
            mean=-share * bend.value_fourth,
            variance=variance,
            spread=variance + 2 * share * bend.value_second**2,
            slope_second=-share * bend.slope_square_fourth,
        )


NONE = Shifts()
