"""What each kind of layer does to the backward signal, towards the input."""

from __future__ import annotations

import math

import numpy as np
from msgspec.structs import replace

from unvanish.core.network import Layer
from unvanish.theory.cotangent import Cotangent, behind_norm, ln, nothing, scaled
from unvanish.theory.draws import Draws
from unvanish.theory.finite_batch import Shifts
from unvanish.theory.fluctuation import apart as worth_of
from unvanish.theory.forward import activation_noise, slide
from unvanish.theory.geometry import Pooled, receptive_field
from unvanish.theory.places import apart, kept_places, left_by_batch_norm, left_within
from unvanish.theory.signal import (
    Profile,
    Signal,
    across_units,
    affine,
    gap_of,
    kernel_noise,
    moments_of,
    units_of,
    weights_moments,
)
from unvanish.theory.sizes import curves, through_norm, through_slopes
from unvanish.theory.trunk import level


def back_through_activation(
    d: Cotangent,
    u: Signal,
    activation: str,
    parameter: float | None,
    units: int,
    batch_size: int,
    profile: Profile = None,
) -> Cotangent:
    """Return dL/du = f'(u) dL/df: the square times E f'^2, two samples' product times E f'(u) f'(w).

    profile: of dL/du.
    """
    u = d.chosen or u
    of, gap = moments_of(u, activation, parameter), u.gap
    second, told = of.slope_second, of.pair(gap)
    factor = second + Shifts.of(of, u.batch, u.within).slope_second
    kept = together = lean = 0.0
    if second > 0:
        kept, together, lean = told.slope / second, of.slope**2 / second, of.slope_tilt**2 / second
    pair = kept
    norm = d.over_batch or d.over_units
    if norm is not None:
        factor = norm.through / norm.passed if norm.passed > 0 else 0.0
        kept, together = (norm.alike, together) if d.over_batch is not None else (kept, norm.alike)
    gathered, gain = None, 0.0
    if u.sizes is not None and (curve := curves(activation, parameter)).runs_away:
        gathered, gain = through_slopes(d.gathered, u.sizes, curve)
    alike = d.alike.nearer_to_one(kept)
    other = kept
    if u.across is not None and norm is None:
        other = of.pair(gap_of(apart(u), u.variance)).slope / (second or 1.0)
    mask = _mask_noise(d, of.slope_kurtosis, told.slope_kurtosis, batch_size)
    return Cotangent(  # as far as `echo` by place: Python passes more than fifteen names by way of a dictionary
        d.log.plus(ln(factor) + gain),
        alike,
        d.pairs * pair * slide(told.slope, u.spread, told.spread),
        kept_places(d, alike, other),
        1 + (d.within - 1) * other,
        profile,
        1 + (d.together - 1) * together,
        d.noise + mask / max(units, 1),
        d.single,
        d.degrees,
        d.common * min(abs(kept), 1.0) ** 2,
        of.elasticity * d.response + (of.slope_along - 1) / 2,
        d.echo + d.response**2 * activation_noise(of, units) * _left(d, units, batch_size),
        trunk=d.trunk,
        pull=of.slope_tilt * d.branch if d.at_trunk else 0.0,
        follows=of.elasticity if d.at_trunk else 0.0,
        bent=lean * (d.together - 1),
        along=of.slope_along,
        level=lean * (d.alike.mean * d.places - 1),
        in_step=lean * (d.within - 1),
        gathered=gathered,
    )


def back_through_kernel(
    d: Cotangent, h: Signal, layer: Layer, inside: float, both: float, batch_size: int, profile: Profile = None
) -> Cotangent:
    """Return dL/dx = W^T dL/du: the square times n_in E w^2 (a common mean counts as often as d's units agree).

    h: the kernel's input. inside, both: of a convolution's taps (theory.profile). profile: of dL/dx. f'(W h) knows of
    W: E f'(u) W is along h, and where h has a mean over its units that makes a sum over the units of dL/df reappear in
    dL/dx.
    """
    mean, variance = weights_moments(layer.kernel)
    units, taps, common = layer.units or 1, layer.fan_in or 1, mean * mean * d.together
    bent = variance * max(d.bent, -1.0)
    weight = variance + common + bent / taps
    channels = max(taps / receptive_field(layer), 1.0)
    fresh, drawn = _left(d, units, batch_size), kernel_noise(layer, channels, units)
    shared = common / weight if weight > 0 else 0.0
    together = channels * common + variance + bent * level(h) ** 2
    return Cotangent(
        d.log.plus(ln(taps * inside * weight)),
        d.alike,
        d.pairs,
        1 + (d.places - 1) * both,
        1 + (d.within - 1) * both,
        profile,
        together / weight if weight > 0 else 1.0,
        d.noise + drawn * fresh,
        shared + (1 - shared) * d.single,
        d.degrees,
        d.common + (1 - d.common) * drawn / 2,
        d.response,
        d.echo + d.response**2 * kernel_noise(layer, units, taps) * fresh,
        onto=d.onto,
        trunk=d.trunk,
        branch=d.branch,
        pull=math.sqrt(taps * inside * variance) * d.pull,
        follows=d.follows,
        gathered=d.gathered,
        one_place=d.one_place,
    )


def back_through_batch_norm(d: Cotangent, h: Signal, layer: Layer, instances: float) -> Cotangent:
    """Return dL/dh through (h - mean) / sd over the batch: it loses its own mean and its part along the output.

    Ioffe & Szegedy 2015, section 3; Yang et al. 2019 for the wide limit; the denominator is one batch's variance.
    """
    scale, _ = affine(layer)
    epsilon, n = layer.epsilon or 0.0, instances
    if n <= 1:
        return nothing(d)
    units = units_of(h, epsilon, n) if h.made_by is not None else None
    worth = worth_of(h.pairs, n)
    factor = units.passed if units is not None else inverse(h.spread, epsilon, (d.along + d.level) * worth / n, worth)
    left = np.maximum(1 - d.alike.array * d.places / n, 0.0)
    with np.errstate(divide="ignore"):
        log = d.log.array + ln(scale.second_moment * factor) + np.log(left)
    gathered, gain = d.gathered, 0.0
    if gathered is not None and h.sizes is not None:
        gathered, gain = through_norm(gathered, h.sizes)
    alike, at_places = left_by_batch_norm(d, layer, left)
    return Cotangent(
        Draws(log + gain),
        alike,
        pairs=d.pairs,
        places=at_places,
        within=left_within(d, layer, left),
        noise=d.noise,
        degrees=d.degrees,
        common=d.common,
        response=-1.0,
        echo=d.echo,
        over_batch=units,
        gathered=gathered,
    )


def back_through_layer_norm(d: Cotangent, h: Signal, layer: Layer) -> Cotangent:
    """Return dL/dh through (h - mean) / sd over the units: it loses its mean and its part along the output."""
    scale, _ = affine(layer)
    n, epsilon = layer.units or 1, layer.epsilon or 0.0
    units = across_units(h, epsilon, n) if h.made_by is not None else None
    factor = units.passed if units is not None else inverse(h.variance, epsilon, d.along + d.bent, n)
    left = max(1 - (d.together + 1) / n, 0.0)  # W^T dL/du has no part along x, as dL/du has none along u = W x
    return behind_norm(scaled(d, scale.second_moment * factor * left), units, together=0.0)


def back_through_dropout(d: Cotangent, keep: float, units: int, batch_size: int) -> Cotangent:
    """Return dL/dh of a dropout: the square grows by 1/keep, two samples' product stays; each has its own mask."""
    if not keep > 0:
        return nothing(d)
    return Cotangent(
        log=d.log.plus(-math.log(keep)),
        alike=d.alike.nearer_to_one(keep),
        pairs=d.pairs * keep,
        places=1 + (d.places - 1) * keep,
        within=1 + (d.within - 1) * keep,
        together=1 + (d.together - 1) * keep,
        noise=d.noise + 3 * (1 / keep - 1) / (max(units, 1) * batch_size),
        single=d.single,
        degrees=d.degrees,
        common=d.common * keep * keep,
        response=d.response,
        echo=d.echo,
        trunk=d.trunk,
        at_trunk=d.at_trunk,
        branch=d.branch,
        pull=d.pull,
        follows=d.follows,
        gathered=d.gathered,
    )


def back_through_pool(d: Cotangent, leaving: Signal, pool: Pooled) -> Cotangent:
    """Return dL/dh of a pool: a mean hands every place 1/n of it, a maximum hands all of it to the largest place."""
    d = replace(d, over_batch=None, over_units=None)
    if not pool.average:
        return replace(d, chosen=leaving.made_by[2] if leaving.made_by is not None else None)
    return replace(scaled(d, 1 / pool.places), places=d.places * pool.places, within=d.within * pool.places)


def inverse(variance: float, epsilon: float, along: float, n: float, taken: int = 1) -> float:
    """Return E[1/(V + epsilon)] over samples of n Gaussian values, less the part along the normalised ones.

    V = chi^2 / n of n - taken degrees, independent of the normalised values. variance: of the population. along: that
    part, in 1/n.
    """
    total = variance + epsilon
    if not total > 0:
        return 0.0
    r = variance / total
    x, y = (taken * r + 2 * r * r) / n, r * along / n
    return (1 + x + x * x) / (1 + y + 2 * y * y) / total


def _left(d: Cotangent, units: int, batch_size: int) -> float:
    """Return which share of one sample's fluctuation is left in the batch's: all of it where directions are common."""
    return min(d.common + (1 - d.common) * (1 / batch_size + 1 / max(units, 1)), 1.0)


def _mask_noise(d: Cotangent, kurtosis: float, pair: float, batch_size: int) -> float:
    """Return units * Var ln sum f'^2 d^2 (Hanin & Nica 2020): 3 (E f'^4/(E f'^2)^2 - 1) where directions are common."""
    apart = 3 * (kurtosis - 1) / batch_size + (1 - 1 / batch_size) * (pair - 1)
    noise = d.common * 3 * (pair - 1) + (1 - d.common) * apart
    return max(noise, 0.0) if noise == noise else 0.0
