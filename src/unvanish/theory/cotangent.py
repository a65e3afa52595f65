"""The backward signal: squared cotangents dL/dh, from the loss to the input (Schoenholz et al. 2017, section 4).

Totals are kept over all units (and places) of one sample, so that a kernel passes |dL/dx|^2 = n_in Var(w) |dL/du|^2,
dense and convolution alike, as logarithms, since a thousand layers of 0.25 are beyond any float.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unvanish.core.network import Layer
from unvanish.theory.finite_batch import Shifts
from unvanish.theory.geometry import Pooled, receptive_field
from unvanish.theory.normalised_units import NormalisedUnits
from unvanish.theory.signal import (
    Signal,
    across_units,
    activation_noise,
    affine,
    kernel_noise,
    merged_noise,
    moments_of,
    units_of,
    weights_moments,
)
from unvanish.theory.trunk import Trunk, level, through_block

Array = NDArray[np.float64]


class Cotangent(NamedTuple):
    """Hold dL/dh of one layer's output. Arrays have one entry for each value of the loss end's batch-mean residual."""

    log: Array
    """ln of E |dL/dh|^2 of one sample, in units of the loss end's."""
    alike: Array
    """|sum over samples|^2 / sum over samples of | |^2: 1 when independent, the batch size when equal, 0 after a batch
    normalisation."""
    places: float = 1.0
    """The same over the places of a convolution's output."""
    together: float = 1.0
    """The same over the units of one sample."""
    noise: float = 0.0
    """Variance of `log` from one initialisation to the next, because of what happens on the way back."""
    single: float = 0.0
    """Share of |dL/dh|^2 that goes with the square of one random number: what a residual trunk gathered along h."""
    degrees: int = 1
    """Outputs of the network, each of which draws its own such number."""
    common: float = 1.0
    """Mean squared cosine between two samples' dL/dh, whatever its sign: 1 when they differ by a factor only."""
    response: float = 0.0
    """d ln(|dL/dW|^2 / |dL/dW_out|^2) / d ln q, with q the second moment of this output."""
    echo: float = 0.0
    """Variance of the same logarithm because of what happened to the signal on the way forward, above this."""
    trunk: Trunk | None = None
    """The cotangent of the last add on the way here; None when there was none."""
    at_trunk: bool = False
    """Whether nothing lies between that add and this."""
    pull: float = 0.0
    """c of trunk: what a branch that ends in an activation hands on in step; at that activation's input c / gain."""
    follows: float = 0.0
    """rho of trunk."""
    bent: float = 0.0
    """|sum over units of dL/df E f' z|^2 / |dL/du|^2, beyond that of independent units."""
    along: float = 1.0
    """n times the share of dL/dh that a normalisation whose output is h takes out, twice, less 1 (see moments)."""
    over_batch: NormalisedUnits | None = None
    """Of a batch normalisation that this is the input of, when an activation made that input."""
    over_units: NormalisedUnits | None = None
    """The same of a layer normalisation."""
    chosen: Signal | None = None
    """The pre-activation where a maximum pool has taken its input's largest values: only there is a cotangent."""


def merged(parts: list[Cotangent], h: Signal, units: int) -> Cotangent:
    """Return the sum of the cotangents of all layers that read one output h of so many units.

    They are uncorrelated but for what the branches of a residual network pull in step (trunk).
    """
    if len(parts) == 1:
        return parts[0]
    logs = np.stack([part.log for part in parts])
    log = np.logaddexp.reduce(logs, axis=0)
    with np.errstate(invalid="ignore"):
        shares = np.where(log > -np.inf, np.exp(logs - log), 1 / len(parts))
    weights = [float(share) for share in shares.mean(axis=1)]

    def mean(numbers: Iterable[float]) -> float:
        return math.fsum(share * number for share, number in zip(weights, numbers, strict=True))

    together, single = mean(part.together for part in parts), mean(part.single for part in parts)
    trunk = parts[0].trunk
    if trunk is not None and all(part.trunk is trunk for part in parts) and 0 < h.second < math.inf:
        pull, follows = sum(part.pull for part in parts), max(part.follows for part in parts)
        apart = log
        log, trunk = through_block(trunk, pull, follows, apart, units, h)
        gain = max(float(np.expm1(log - apart).mean()), 0.0)
        together, single = trunk.sums, (single + gain) / (1 + gain)
    return Cotangent(
        log=log,
        alike=np.sum([share * part.alike for share, part in zip(shares, parts, strict=True)], axis=0),
        places=mean(part.places for part in parts),
        together=together,
        noise=merged_noise([(share, part.noise) for share, part in zip(weights, parts, strict=True)]),
        single=single,
        degrees=max(part.degrees for part in parts),
        common=mean(part.common for part in parts),
        response=sum(part.response for part in parts),
        echo=merged_noise([(1.0, part.echo) for part in parts]),
        trunk=trunk,
    )


def branching(d: Cotangent, h: Signal) -> Cotangent:
    """Return the cotangent of a sum h as it is handed on to the summands, which may meet again."""
    known = d.trunk is not None and d.trunk.log is d.log
    return d._replace(trunk=d.trunk if known else Trunk.at(d.log, d.together, h), at_trunk=True, pull=0.0, follows=0.0)


def scaled(d: Cotangent, factor: float) -> Cotangent:
    """Return the cotangent with its square multiplied by the factor."""
    return d._replace(log=d.log + ln(factor))


def back_through_activation(
    d: Cotangent, u: Signal, activation: str, parameter: float | None, units: int, batch_size: int
) -> Cotangent:
    """Return dL/du = f'(u) dL/df: the square times E f'^2, two samples' product times E f'(u) f'(w)."""
    u = d.chosen or u
    of = moments_of(u, activation, parameter)
    factor = of.slope_second + Shifts.over(of, u.batch).slope_second
    kept = of.slope_pair(u.gap) / of.slope_second if of.slope_second > 0 else 0.0
    together = of.slope**2 / of.slope_second if of.slope_second > 0 else 0.0
    norm = d.over_batch or d.over_units
    if norm is not None:
        factor = norm.through / norm.passed if norm.passed > 0 else 0.0
        kept, together = (norm.alike, together) if d.over_batch is not None else (kept, norm.alike)
    lean = of.slope_tilt**2 / of.slope_second if of.slope_second > 0 else 0.0
    return Cotangent(
        log=d.log + ln(factor),
        alike=1 + (d.alike - 1) * kept,
        places=1 + (d.places - 1) * kept,
        together=1 + (d.together - 1) * together,
        noise=d.noise + _mask_noise(d, of.slope_kurtosis, of.slope_kurtosis_pair(u.gap), batch_size) / max(units, 1),
        single=d.single,
        degrees=d.degrees,
        common=d.common * min(abs(kept), 1.0) ** 2,
        response=of.elasticity * d.response + (of.slope_along - 1) / 2,
        echo=d.echo + d.response**2 * activation_noise(of, units) * _left(d, units, batch_size),
        trunk=d.trunk,
        pull=of.slope_tilt if d.at_trunk else 0.0,
        follows=of.elasticity if d.at_trunk else 0.0,
        bent=lean * (d.together - 1),
        along=2 * of.slope_along - 1 + lean * (float(d.alike.mean()) * d.places - 1),
    )


def back_through_kernel(d: Cotangent, h: Signal, layer: Layer, inside: float, batch_size: int) -> Cotangent:
    """Return dL/dx = W^T dL/du: the square times n_in E w^2 (a common mean counts as often as d's units agree).

    h: the kernel's input. f'(W h) knows of W: E f'(u) W is along h, and where h has a mean over its units that makes a
    sum over the units of dL/df reappear in dL/dx.
    """
    mean, variance = weights_moments(layer.kernel)
    taps, square = (layer.fan_in or 1), mean * mean
    bent = variance * max(d.bent, -1.0)
    weight = variance + square * d.together + bent / taps
    channels = max(taps / receptive_field(layer), 1.0)
    fresh = _left(d, layer.units or 1, batch_size)
    return d._replace(
        log=d.log + ln(taps * inside * weight),
        together=(channels * square * d.together + variance + bent * level(h) ** 2) / weight if weight > 0 else 1.0,
        noise=d.noise + kernel_noise(layer, channels, layer.units or 1) * fresh,
        echo=d.echo + d.response**2 * kernel_noise(layer, layer.units or 1, layer.fan_in or 1) * fresh,
        at_trunk=False,
        pull=math.sqrt(taps * inside * variance) * d.pull,
        bent=0.0,
        along=1.0,
        over_batch=None,
        over_units=None,
        chosen=None,
    )


def back_through_batch_norm(d: Cotangent, h: Signal, layer: Layer, instances: float) -> Cotangent:
    """Return dL/dh through (h - mean) / sd over the batch: it loses its own mean and its part along the output.

    Ioffe & Szegedy 2015, section 3; Yang et al. 2019 for the wide limit; the denominator is one batch's variance.
    """
    scale, _ = affine(layer)
    epsilon, n = layer.epsilon or 0.0, instances
    if n <= 1:
        return d._replace(log=np.full_like(d.log, -np.inf))
    units = units_of(h, epsilon, n) if h.made_by is not None else None
    factor = units.passed if units is not None else _inverse(h.spread, epsilon, 3.0, d.along, n)
    left = np.maximum(1 - d.alike * d.places / n, 0.0)
    with np.errstate(divide="ignore"):
        log = d.log + ln(scale.second_moment * factor) + np.log(left)
    return Cotangent(
        log,
        np.zeros_like(d.alike),
        noise=d.noise,
        degrees=d.degrees,
        common=d.common,
        response=-1.0,
        echo=d.echo,
        over_batch=units,
    )


def back_through_layer_norm(d: Cotangent, h: Signal, layer: Layer) -> Cotangent:
    """Return dL/dh through (h - mean) / sd over the units: it loses its mean and its part along the output."""
    scale, _ = affine(layer)
    n, epsilon = layer.units or 1, layer.epsilon or 0.0
    units = across_units(h, epsilon, n) if h.made_by is not None else None
    factor = units.passed if units is not None else _inverse(h.variance, epsilon, 3.0, d.along, n)
    left = max(
        1 - (d.together + 1) / n, 0.0
    )  # W^T dL/du has no part along x either, since dL/du has none along u = W x
    return scaled(d, scale.second_moment * factor * left)._replace(
        together=0.0,
        response=-1.0,
        at_trunk=False,
        pull=0.0,
        follows=0.0,
        bent=0.0,
        along=1.0,
        over_batch=None,
        over_units=units,
    )


def back_through_dropout(d: Cotangent, keep: float, units: int, batch_size: int) -> Cotangent:
    """Return dL/dh of a dropout: the square grows by 1/keep, two samples' product stays; each has its own mask."""
    if not keep > 0:
        return d._replace(log=np.full_like(d.log, -np.inf))
    return Cotangent(
        log=d.log - math.log(keep),
        alike=1 + (d.alike - 1) * keep,
        places=1 + (d.places - 1) * keep,
        together=1 + (d.together - 1) * keep,
        noise=d.noise + 3 * (1 / keep - 1) / (max(units, 1) * batch_size),
        single=d.single,
        degrees=d.degrees,
        common=d.common * keep * keep,
        response=d.response,
        echo=d.echo,
        trunk=d.trunk,
        at_trunk=d.at_trunk,
        pull=d.pull,
        follows=d.follows,
    )


def back_through_pool(d: Cotangent, leaving: Signal, pool: Pooled) -> Cotangent:
    """Return dL/dh of a pool: a mean hands every place 1/n of it, a maximum hands all of it to the largest place."""
    d = d._replace(over_batch=None, over_units=None)
    if not pool.average:
        return d._replace(chosen=leaving.made_by[2] if leaving.made_by is not None else None)
    return scaled(d, 1 / pool.places)._replace(places=d.places * pool.places)


def kernel_gradient(d: Cotangent, h: Signal, layer: Layer, inside: float, batch_size: int) -> Array:
    """Return ln |dL/dW|^2 of the batch-mean loss: n_in T (q/B + (1 - 1/B) k * ...), T the pre-activation's square.

    Written as n_in T (spread + alike * k) / B, which is n_in [D q/B + (1 - 1/B) O k] with O = D (alike - 1)/(B - 1)
    (derived). d: of the pre-activation. h: the kernel's input.
    """
    k = h.second - h.spread
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.log(np.maximum(h.spread + d.alike * d.places * k, 0.0))
        return np.asarray(d.log + ln((layer.fan_in or 1) * inside / batch_size) + inner, dtype=np.float64)


def _inverse(variance: float, epsilon: float, kurtosis: float, along: float, n: float) -> float:
    """Return E[1/(V + epsilon)] over samples of size n, less the part along the normalised values (normalised_units).

    variance: of the population. kurtosis: of the values. along: twice the part's share times n, less 1.
    """
    total = variance + epsilon
    if not total > 0:
        return 0.0
    r = variance / total
    x, y = (r + r * r * (kurtosis - 1)) / n, r * along / n
    return (1 + x + x * x) / (1 + y + 2 * y * y) / total


def gradient_noise(d: Cotangent, h: Signal, layer: Layer) -> float:
    """Return the variance that |dL/dW|^2 has beyond that of d and h: it is one sum over pairs of samples (derived).

    Of the part that adds up over samples, units * (1 - common) directions are new; in the other part a pair's two
    products have random signs.
    """
    coherent = np.maximum(d.alike * d.places * (h.second - h.spread), 0.0)
    total = coherent + h.spread
    with np.errstate(invalid="ignore", divide="ignore"):
        share = float(np.where(total > 0, coherent / total, 1.0).mean())
    units = max(layer.units or 1, 1)
    own = 2 * share**2 * (1 - d.common) / units
    return own + 2 * (1 - share) ** 2 * (d.common + 1 / units) / max(layer.fan_in or 1, 1)


def _left(d: Cotangent, units: int, batch_size: int) -> float:
    """Return which share of one sample's fluctuation is left in the batch's: all of it where directions are common."""
    return min(d.common + (1 - d.common) * (1 / batch_size + 1 / max(units, 1)), 1.0)


def ln(x: float) -> float:
    """Return the natural logarithm; -inf of zero, nan of what has none."""
    return math.log(x) if x > 0 else (-math.inf if x == 0 else math.nan)


def _mask_noise(d: Cotangent, kurtosis: float, pair: float, batch_size: int) -> float:
    """Return units * Var ln sum f'^2 d^2 (Hanin & Nica 2020): 3 (E f'^4/(E f'^2)^2 - 1) where directions are common."""
    apart = 3 * (kurtosis - 1) / batch_size + (1 - 1 / batch_size) * (pair - 1)
    noise = d.common * 3 * (pair - 1) + (1 - d.common) * apart
    return max(noise, 0.0) if noise == noise else 0.0
