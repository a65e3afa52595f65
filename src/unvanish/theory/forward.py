"""What each kind of layer does to the forward signal."""

from __future__ import annotations

import math

from msgspec.structs import replace

from unvanish.core.network import Layer
from unvanish.theory.finite_batch import Shifts
from unvanish.theory.fluctuation import apart, mixed
from unvanish.theory.geometry import Pooled, largest_of, places, receptive_field
from unvanish.theory.moments import Moments
from unvanish.theory.signal import (
    Profile,
    Signal,
    affine,
    gap_of,
    kernel_noise,
    merged_noise,
    moments_of,
    units_of,
    weights_moments,
)
from unvanish.theory.sizes import Sizes, curves


def through_kernel(h: Signal, layer: Layer, inside: float, apart: float | None = None) -> Signal:
    """Return the pre-activation W h + b: q_u = n_in Var(w) q_h + Var(b) (Poole et al. 2016, eq. 3).

    A kernel whose mean is not 0 adds mean * sum(h) to every unit alike (derived: the sum is n_in E h, and it varies
    between samples by n_in * together * spread). inside: share of a convolution's taps that are not on the padding.
    apart: the spread of two places in h; None where they are as two samples.
    """
    mean, variance = weights_moments(layer.kernel)
    shift, noise = weights_moments(layer.bias)
    units, fan_in = layer.units or 1, layer.fan_in or 1
    taps, square = fan_in * inside, mean * mean
    kept = taps * variance
    own, spread, across = kept * h.second, kept * h.spread, None if apart is None else kept * apart
    whole, together = own + noise, 1.0
    share = own / whole if whole > 0 else 0.0
    if mean:
        weight = variance + square * h.together
        together = (units * square * h.together + variance) / weight if weight > 0 else 1.0
        common = taps * square * h.together
        shift, whole, spread = taps * mean * h.mean + shift, whole + common * h.spread, spread + common * h.spread
        across = None if apart is None or across is None else across + common * apart
    drawn = kernel_noise(layer, units, fan_in)
    return Signal(
        mean=shift,
        variance=whole,
        spread=spread,
        together=together,
        noise=share * share * h.noise + drawn,
        across=across,
        pairs=h.pairs.through_kernel(drawn / 2, receptive_field(layer)),
        sizes=h.sizes,
    )


def through_activation(
    u: Signal,
    activation: str,
    parameter: float | None,
    units: int,
    *,
    pair: Signal | None = None,
    profile: Profile = None,
) -> Signal:
    """Return f(u) (Poole et al. 2016, eq. 3 and 5); a u that is not Gaussian is taken as one of the same moments.

    pair: u with two places in place of two samples, where more than their spread differs. profile: of f(u).
    """
    of, gap = moments_of(u, activation, parameter), u.gap
    shifts = Shifts.of(of, u.batch, u.within, gap)
    told = of.pair(gap)
    spread = told.spread + shifts.spread
    elasticity = of.elasticity if math.isfinite(of.elasticity) else 1.0
    sizes, more, level = None, 0.0, 0.0
    if u.sizes is not None and (curve := curves(activation, parameter)).runs_away:
        sizes = u.sizes.through_activation(curve, 2 * u.pairs.drawn, units)
        level, more = u.sizes.rise(curve)
    across = None
    if pair is not None:
        across = through_activation(pair, activation, parameter, units).spread
    elif u.across is not None:
        apart = gap_of(u.across, u.variance)
        across = of.pair(apart).spread + Shifts.of(of, u.batch, u.within, apart).spread + more
    return Signal(
        mean=of.mean + shifts.mean + level,
        variance=of.variance + shifts.variance + more,
        spread=spread + more,
        together=_coherent(u.together, of),
        noise=elasticity * elasticity * u.noise + activation_noise(of, units),
        across=across,
        profile=profile,
        pairs=u.pairs.through_activation(slide(told.slope, u.spread, spread), units),
        sizes=sizes,
        made_by=(activation, parameter, u if u.made_by is None else replace(u, made_by=None)),
    )


def slide(slope_pair: float, before: float, spread: float) -> float:
    """Return the power with which f tells a pair of samples apart that is less alike than others: 1 for a linear f.

    slope_pair: E f'(u) f'(w) of the pair. before, spread: what it has apart before f and behind it. Derived in
    theory.fluctuation.
    """
    return min(slope_pair * before / spread, 1.0) if 0 < spread < math.inf else 1.0


def through_batch_norm(h: Signal, layer: Layer, instances: float) -> Signal:
    """Return the normalised signal: unit variance over the batch (Ioffe & Szegedy 2015, algorithm 1).

    The values of a unit add up to 0, so that E h(x) h(y) = -q / (instances - 1) (derived).
    """
    scale, shift = affine(layer)
    if instances <= 1:
        return Signal(shift.mean, shift.variance, 0.0)
    epsilon = layer.epsilon or 0.0
    if h.made_by is None:
        batch = h.spread * (1 - 1 / instances)
        kept = batch / (batch + epsilon) if batch + epsilon > 0 else 0.0
    else:
        kept = units_of(h, epsilon, instances).second
    worth = apart(h.pairs, instances)
    variance = scale.second_moment * kept
    spread = variance * instances / (instances - 1)
    batch = worth / kept if h.made_by is None and kept > 0 else math.inf
    sizes = None
    if h.made_by is None and places(layer) == 1 and shift.second_moment == 0 and 0 < variance < math.inf:
        sizes = Sizes.alike(instances, variance) if h.sizes is None else h.sizes.normalised(variance)
    return Signal(
        shift.mean,
        variance + shift.variance,
        spread,
        batch=batch,
        pairs=h.pairs.normalised(instances),
        sizes=sizes,
    )


def through_layer_norm(h: Signal, layer: Layer) -> Signal:
    """Return (h - mean over units) / sd over units, scaled and shifted (Ba et al. 2016, eq. 4)."""
    scale, shift = affine(layer)
    below = h.variance + (layer.epsilon or 0.0)
    factor = scale.second_moment / below if below > 0 else 0.0
    kept = (h.variance + (layer.epsilon or 0.0)) / h.variance if h.made_by is None and h.variance > 0 else math.inf
    within = (layer.units or 1) * kept
    return Signal(shift.mean, h.variance * factor + shift.variance, h.spread * factor, within=within, pairs=h.pairs)


def through_dropout(h: Signal, keep: float) -> Signal:
    """Return the signal after a dropout: E h^2 grows by 1/keep, two samples' product stays (Schoenholz 2017, s. 5)."""
    more = h.second * (1 / keep - 1) if keep > 0 else 0.0
    spread = h.spread + more
    pairs = h.pairs.scaled((h.spread / spread) ** 2) if spread > 0 else h.pairs
    return replace(h, variance=h.variance + more, spread=spread, pairs=pairs, made_by=None)


def through_pool(h: Signal, pool: Pooled, units: int = 1) -> Signal:
    """Return the pooled signal.

    A mean over n places divides the spread by n, and has as mean square what two places have in common and an n-th of
    the rest; of places of several sizes (padding) that lies below the square of their mean size. The largest is that
    of n Gaussians of the same moments. The largest f(u) is f of the largest u, as activations rise (derived).
    """
    spread = h.spread if h.spread > 0 else 0.0 * h.spread
    apart = spread if h.across is None else max(h.across, 0.0)
    if pool.average:
        second = max(h.second - apart * (1 - 1 / pool.places), 0.0)  # below mean^2 where places are of several sizes
        spread = min(spread / pool.places, second)
        variance = min(max(second - h.mean * h.mean, spread), second)
        mean = h.mean if second - variance >= h.mean * h.mean else math.copysign(math.sqrt(second - variance), h.mean)
        return Signal(mean, variance, spread, h.together, h.noise)
    if h.made_by is not None:
        activation, parameter, u = h.made_by
        return replace(through_activation(through_pool(u, pool), activation, parameter, units), noise=h.noise)
    rise, share = largest_of(round(pool.places))
    return Signal(
        h.mean + rise * math.sqrt(apart), h.variance - apart * (1 - share), spread * share, h.together, h.noise
    )


def added(signals: list[tuple[Signal, int]]) -> Signal:
    """Return the sum of signals, each with how often it enters (derived); different ones are taken as uncorrelated."""
    if len(signals) == 1 and signals[0][1] == 1:
        return signals[0][0]
    variance = math.fsum(h.variance * n * n for h, n in signals)
    spread = math.fsum(h.spread * n * n for h, n in signals)
    shares = [(h.variance * n * n / variance if variance > 0 else 0.0, h) for h, n in signals]
    told = [(h.spread * n * n / spread if spread > 0 else 0.0, h.pairs) for h, n in signals]
    return Signal(
        mean=math.fsum(h.mean * n for h, n in signals),
        variance=variance,
        spread=spread,
        together=math.fsum(share * h.together for share, h in shares) or 1.0,
        noise=merged_noise([(share, h.noise) for share, h in shares]),
        pairs=mixed(told),
    )


def averaged(signals: list[tuple[Signal, float]]) -> Signal:
    """Return the signal of layers laid side by side, each with its share of the units."""
    mean = math.fsum(share * h.mean for h, share in signals)
    second = math.fsum(share * h.second for h, share in signals)
    spread = math.fsum(share * h.spread for h, share in signals)
    return Signal(mean, max(second - mean * mean, 0.0), spread, noise=max(h.noise for h, _ in signals))


def activation_noise(of: Moments, units: int) -> float:
    """Return Var ln(mean of f^2 over units) beyond what u's own length explains (derived).

    (kappa - 1 - 2 elasticity^2)/n of Gaussian units: their length varies by 2/n, and f^2 follows with its elasticity.
    """
    fresh = (of.kurtosis - 1 - 2 * of.elasticity * of.elasticity) / max(units, 1)
    return fresh if fresh > 0 and math.isfinite(fresh) else 0.0


def _coherent(together: float, of: Moments) -> float:
    return 1 + (together - 1) * of.slope**2 / of.slope_second if of.slope_second > 0 else 1.0
