"""The forward signal: what one layer hands to the next, as moments over its units and over samples."""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import lru_cache
from typing import Protocol, cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from unvanish.core.network import Layer, WeightStats
from unvanish.theory.axis import Axis
from unvanish.theory.fluctuation import Pairs, apart
from unvanish.theory.moments import Moments, moments
from unvanish.theory.normalised_units import NormalisedUnits, normalised_units
from unvanish.theory.sizes import Sizes

Array = NDArray[np.float64]
Profile = tuple[Axis | None, ...] | None


class Signal(Struct, frozen=True, gc=False):
    """Hold a layer's output h: over units, E h = mean and E h^2 = q = mean^2 + variance; over pairs of samples
    E h(x) h(y) = k = q - spread (Poole et al. 2016). The spread is kept, not k: it stays exact where samples are alike.

    A network has one for each step of each layer, which is why they are structs, and no business of the collector's.
    """

    mean: float
    variance: float
    spread: float
    together: float = 1.0
    """How much the units move together from sample to sample: Var(sum of h) / sum of Var(h); 1 when independent."""
    noise: float = 0.0
    """Variance of ln q from one initialisation to the next."""
    batch: float = math.inf
    """Instances that the signal was normalised over, more the more epsilon took from it; inf when it was not."""
    across: float | None = None
    """The spread of pairs of places (theory.places); None where it is that of samples."""
    profile: Profile = None
    """How q is spread over places (theory.profile)."""
    within: float = math.inf
    """The same of units, or entries of a group."""
    pairs: Pairs = Pairs()
    """How unequally pairs of samples are alike."""
    sizes: Sizes | None = None
    """How unequally large samples are; None where they are taken to be alike."""
    made_by: tuple[str, float | None, Signal] | None = None
    """(activation, parameter, u) when h = f(u) with a Gaussian u."""

    @property
    def second(self) -> float:
        """Return q = E h^2; inf once it has overflowed."""
        return math.inf if self.variance == math.inf else self.mean * self.mean + self.variance

    @property
    def gap(self) -> float:
        """Return 1 - correlation of one unit on two samples, its mean over units taken off; in [0, 2]."""
        return gap_of(self.spread, self.variance)

    @property
    def correlation(self) -> float:
        """Return c = k / q; nan for a signal of zeros."""
        return 1 - self.spread / self.second if self.second > 0 else math.nan


def gap_of(spread: float, variance: float) -> float:
    """Return 1 - correlation of a pair that is so far apart; in [0, 2]."""
    if not variance > 0:
        return 0.0 if variance == 0 else math.nan
    gap = spread / variance
    return 0.0 if gap < 0 else min(gap, 2.0)


def merged_noise(parts: list[tuple[float, float]]) -> float:
    """Return the variance of ln(sum) from (share, variance of ln) of each part; what the least noisy has, all share.

    (Derived, to first order.)
    """
    common = min((noise for _, noise in parts), default=0.0)
    return common + math.fsum(share * share * (noise - common) for share, noise in parts)


KEPT = 32768
"""Results that are kept of what is asked for again on the way back: those of ten thousand layers."""


class Known(Moments, Hashable, Protocol):
    """Say that moments are told from others, so that what follows from them can be kept."""


def moments_of(u: Signal, activation: str, parameter: float | None) -> Known:
    """Return the Gaussian moments of the activation at this pre-activation."""
    return _moments_at(activation, parameter, u.mean, u.variance)


@lru_cache(maxsize=KEPT)
def _moments_at(activation: str, parameter: float | None, mean: float, variance: float) -> Known:
    return cast(Known, moments(activation, parameter, mean=mean, variance=variance))


def units_of(h: Signal, epsilon: float, instances: float) -> NormalisedUnits:
    """Return what a batch normalisation makes of the units of an activation's output."""
    assert h.made_by is not None
    activation, parameter, u = h.made_by
    return normalised_units(
        activation,
        parameter,
        u.mean,
        u.variance,
        u.gap,
        spread=h.spread,
        epsilon=epsilon,
        instances=instances,
        apart=apart(h.pairs, instances),
    )


def across_units(h: Signal, epsilon: float, units: int) -> NormalisedUnits:
    """Return what a layer normalisation makes of an activation's output: one sample, its units all alike in law."""
    assert h.made_by is not None
    activation, parameter, u = h.made_by
    return normalised_units(
        activation, parameter, u.mean, u.variance, 1.0, spread=h.variance, epsilon=epsilon, instances=units, apart=units
    )


@lru_cache(maxsize=1024)  # layers of one shape and initialiser are many
def weights_moments(stats: WeightStats | None) -> tuple[float, float]:
    """Return (mean, variance) of the entries; a mean that chance alone explains (4 standard errors) counts as 0."""
    if stats is None:
        return 0.0, 0.0
    if stats.mean * stats.mean * stats.size <= 16 * stats.variance:
        return 0.0, float(stats.second_moment)
    return float(stats.mean), float(stats.variance)


def affine(layer: Layer) -> tuple[WeightStats, WeightStats]:
    """Return gamma and beta of a normalisation; 1 and 0 where it has none."""
    one, zero = WeightStats(mean=1.0, variance=0.0, size=1), WeightStats(mean=0.0, variance=0.0, size=1)
    return layer.scale or one, layer.shift or zero


def kernel_noise(layer: Layer, to: float, fro: float) -> float:
    """Return Var ln(|W v|^2/|v|^2) of a random W from `fro` to `to` units: 2/to (Hanin & Nica 2020).

    Of an orthogonal one what a projection to fewer units leaves out: 2/to - 2/fro (derived).
    """
    orthogonal = layer.kernel is not None and layer.kernel.orthogonal
    return 2 / to * (max(0.0, 1 - to / fro) if orthogonal else 1.0)
