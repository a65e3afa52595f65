"""The forecast: what theory expects of a network at its initialisation, in the terms in which a probe measures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from unvanish.core.forecast import Forecast, LayerForecast
from unvanish.core.network import Network
from unvanish.theory.bands import depth_at
from unvanish.theory.cotangent import Cotangent, kernel_gradient
from unvanish.theory.critical import with_critical_gains
from unvanish.theory.recursion import Pass, walk
from unvanish.theory.signal import Signal

Array = NDArray[np.float64]

_DECADE = math.log(10)
_NORMS = ("batch_norm", "layer_norm")


def forecast_network(
    network: Network, *, batch_size: int = 32, second_moment: float = 1 / 3, cross_moment: float = 1 / 4
) -> Forecast:
    """Return what mean-field theory expects of the network's gradients, from its graph and its weights' moments.

    batch_size: samples over which the loss is the mean (and batch normalisation normalises). second_moment,
    cross_moment: q0 = mean of x^2 over features and samples, k0 = mean of x(s) x(t) over pairs of samples; the default
    is that of U(0, 1). The network is not changed. A number that overflows is inf, a gradient of exactly zero has the
    logarithm -inf, and what cannot be said is None.
    """
    batch_size = max(batch_size, 1)
    passes = walk(network, batch_size, _entering(second_moment, cross_moment))
    kernels = [at for at in passes.values() if at.layer.kernel is not None]
    gradients = _gradients(kernels, batch_size)
    known = {at.layer.name: float(log.mean()) for at, log in zip(kernels, gradients, strict=True)}
    factor = _per_layer(kernels)
    return Forecast(
        log10_first_over_last=_number(known[kernels[0].layer.name]) if len(kernels) > 1 else None,
        log10_sd=_sd(kernels, gradients),
        transmission_per_layer=_number(factor),
        safe_depth=depth_at(factor),
        depth_scale=_depth_scale(factor),
        layers=with_critical_gains(network, [_layer(at, known.get(name)) for name, at in passes.items()]),
        not_modelled=tuple(name for name, at in passes.items() if not at.modelled and not at.fused),
    )


def _entering(second: float, cross: float) -> Signal:
    """Return the input's signal; the mean that features share is taken to be what different samples share."""
    second = second if second > 0 else 0.0
    cross = min(max(cross, 0.0), second)
    return Signal(math.sqrt(cross), second - cross, second - cross)


def _gradients(kernels: list[Pass], batch_size: int) -> list[Array]:
    """Return log10 of each kernel's gradient norm over the last kernel's, for every value of the loss end.

    The mean of a logarithm lies half its variance below the logarithm of the mean.
    """
    squares = []
    for at in kernels:
        if at.d_before is None:
            squares.append(np.array([-np.inf]))
            continue
        log = kernel_gradient(at.d_before, at.arriving, at.layer, at.inside, batch_size)
        squares.append(log - _noise(at) / 2)
    with np.errstate(invalid="ignore"):
        return [(log - squares[-1]) / (2 * _DECADE) for log in squares]


def _noise(at: Pass) -> float:
    """Return the variance of ln |dL/dW|^2 from one initialisation to the next: the cotangent's and the signal's."""
    noise = (at.d_before.noise if at.d_before is not None else 0.0) + at.arriving.noise
    return noise if math.isfinite(noise) else 0.0


def _sd(kernels: list[Pass], gradients: list[Array]) -> float | None:
    """Return the standard deviation of log10(first/last): finite width (Hanin & Nica 2020), and the loss end's."""
    if len(kernels) < 2 or not np.all(np.isfinite(gradients[0])):
        return None
    first = kernels[0].d_before
    width = first.noise + first.echo if first is not None else math.nan
    return _number(math.sqrt(width / (2 * _DECADE) ** 2 + float(gradients[0].var())))


def _per_layer(kernels: list[Pass]) -> float:
    """Return the geometric mean of the factors by which |dL/du| changes between hidden kernels, towards the input.

    Kernels with an exactly zero cotangent (behind a zero-initialised one) are left out. With fewer than two hidden
    kernels the output kernel counts too. nan where there is nothing to compare.
    """
    logs = [float(at.d_before.log.mean()) if at.d_before is not None else math.nan for at in kernels]
    chains = ([log for log in part if math.isfinite(log)] for part in (logs[1:-1], logs[:-1], logs))
    chain = next((chain for chain in chains if len(chain) > 1), None)
    if chain is None:
        return math.nan
    return math.exp(min((chain[0] - chain[-1]) / (2 * (len(chain) - 1)), 700.0))


def _depth_scale(factor: float) -> float | None:
    if math.isnan(factor):
        return None
    return math.inf if factor == 1 else 1 / abs(math.log(factor))


def _layer(at: Pass, gradient: float | None) -> LayerForecast:
    layer = at.layer
    kernel = layer.kernel
    signal = at.before
    activation, weight = _factor(at.d_before, at.d_leaving), _factor(at.d_arriving, at.d_before)
    if layer.kind == "add" and weight is not None:
        weight *= math.sqrt(len(at.sources))
    splits = layer.kind in ("dense", "conv", "activation")
    return LayerForecast(
        name=layer.name,
        second_moment=_number(signal.second),
        correlation=_number(signal.correlation),
        transmission=None if activation is None or weight is None else activation * weight,
        activation_transmission=activation if splits else None,
        weight_transmission=weight if splits else None,
        log10_gradient_norm=None if gradient is None else _number(gradient),
        gain=None if kernel is None else math.sqrt((layer.fan_in or 0) * kernel.second_moment),
    )


def _factor(inner: Cotangent | None, outer: Cotangent | None) -> float | None:
    """Return |inner| / |outer|, the root of the mean square; None where the outer one is zero or unknown."""
    if inner is None or outer is None or not np.all(np.isfinite(outer.log)):
        return None
    with np.errstate(over="ignore"):
        return _number(float(np.sqrt(np.exp(inner.log - outer.log).mean())))


def _number(x: float) -> float | None:
    return None if math.isnan(x) else x
