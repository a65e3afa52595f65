"""The forecast: what theory expects of a network at its initialisation, in the terms in which a probe measures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unvanish.core.forecast import Forecast, LayerForecast
from unvanish.core.network import Network
from unvanish.theory.cotangent import Cotangent
from unvanish.theory.draws import means, stacked
from unvanish.theory.gradients import gradient_norms, per_step, spread_of_first, transmission_per_layer
from unvanish.theory.output_gradient import log10_output_gradient
from unvanish.theory.recursion import Pass, applies, walk
from unvanish.theory.safe_depth import safe_depth
from unvanish.theory.signal import Signal, moments_of

Readers = dict[str, list[Pass]]
"""Layer name -> the layers that read its output."""

NORMS = frozenset({"batch_norm", "group_norm", "layer_norm", "rms_norm"})
"""Kinds that divide the gain of what they read out again, whether or not the theory has a recursion for them."""
_LOOKED_THROUGH = frozenset({"activation", "dropout", "flatten", "pool"}) | NORMS


def forecast_network(
    network: Network, *, batch_size: int = 32, second_moment: float = 1 / 3, cross_moment: float = 1 / 4
) -> Forecast:
    """Return what mean-field theory expects of the network's gradients, from its graph and its weights' moments.

    batch_size: samples over which the loss is the mean (and batch normalisation normalises). second_moment,
    cross_moment: q0 = mean of x^2 over features and samples, k0 = mean of x(s) x(t) over pairs of samples; the default
    is that of U(0, 1). The network is not changed. A number that overflows is inf, a gradient of exactly zero has the
    logarithm -inf, and what cannot be said is None.
    """
    batch_size, entering = max(batch_size, 1), entering_signal(second_moment, cross_moment)
    passes = walk(network, batch_size, entering)
    kernels = [at for at in passes.values() if at.layer.kernel is not None]
    norms = gradient_norms(kernels, batch_size)
    known = dict(zip([at.layer.name for at in kernels], means(norms), strict=True))
    readers: Readers = {name: [] for name in passes}
    for at in passes.values():
        for source in at.sources:
            readers[source.layer.name].append(at)
    activations = _factors([(at.d_before, at.d_leaving) for at in passes.values()])
    weights = _factors([(at.d_arriving, at.d_before) for at in passes.values()])
    factor = transmission_per_layer(kernels)
    gradient = per_step(known.values())
    return Forecast(
        log10_first_over_last=_number(known[kernels[0].layer.name]) if len(kernels) > 1 else None,
        log10_sd=spread_of_first(kernels, norms),
        transmission_per_layer=_number(factor),
        gradient_factor_per_layer=None if math.isnan(gradient) else float(10.0 ** min(gradient, 300.0)),
        safe_depth=safe_depth(network, list(known.values()), batch_size, entering),
        depth_scale=_depth_scale(factor),
        log10_output_gradient=log10_output_gradient(network, passes, batch_size),
        layers=tuple(
            _layer(at, readers, known.get(at.layer.name), activation, weight)
            for at, activation, weight in zip(passes.values(), activations, weights, strict=True)
        ),
        not_modelled=tuple(
            name
            for name, at in passes.items()
            if (not at.modelled and not at.fused) or at.layer.shares is not None  # gradients of its calls add up
        ),
    )


def entering_signal(second: float, cross: float) -> Signal:
    """Return the input's signal; the mean that features share is taken to be what different samples share."""
    if not (second >= 0 and math.isfinite(cross)):
        return Signal(math.nan, math.nan, math.nan)
    cross = min(max(cross, 0.0), second)
    return Signal(math.sqrt(cross), second - cross, second - cross)


def _depth_scale(factor: float) -> float | None:
    if math.isnan(factor):
        return None
    return math.inf if factor == 1 else 1 / abs(math.log(factor))


def _layer(
    at: Pass, readers: Readers, gradient: float | None, activation: float | None, weight: float | None
) -> LayerForecast:
    layer, signal = at.layer, at.before
    activation = None if at.fused else activation
    if layer.kind == "add" and weight is not None:
        weight *= math.sqrt(len(at.sources))
    splits = layer.kind in ("dense", "conv", "activation")
    kernel = layer.kernel if layer.modelled else None  # another kind of layer does not pass things on by its gain
    return LayerForecast(
        name=layer.name,
        second_moment=_number(signal.second),
        correlation=_number(signal.correlation),
        transmission=None if activation is None or weight is None else activation * weight,
        activation_transmission=activation if splits else None,
        weight_transmission=weight if splits else None,
        log10_gradient_norm=None if gradient is None else _number(gradient),
        gain=None if kernel is None else math.sqrt((layer.fan_in or 0) * kernel.second_moment),
        critical_gain=None if kernel is None else _critical_gain(at, readers),
    )


def _critical_gain(at: Pass, readers: Readers) -> float | None:
    """Return 1 / the transmission of the activation on this kernel: gain^2 E f'^2 = chi = 1 (Poole et al. 2016, eq. 4).

    Its own, or that of the layer which reads it. None where a normalisation reads it: that takes the gain out again.
    """
    passed = 1.0
    while True:
        layer = at.layer
        if layer.kind in NORMS or at.fused:
            return None
        if applies(layer) != "linear":
            passed *= math.sqrt(moments_of(at.before, applies(layer), layer.activation_parameter).slope_second)
        following = readers[layer.name]
        if len(following) != 1 or following[0].layer.kind not in _LOOKED_THROUGH:
            return 1 / passed if 0 < passed < math.inf else None
        at = following[0]


def _factors(steps: Sequence[tuple[Cotangent | None, Cotangent | None]]) -> list[float | None]:
    """Return |inner| / |outer| of each step, the root of the mean square; None where the outer is zero or unknown.

    All at once: numpy takes as long for one.
    """
    known = [(inner.log, outer.log) for inner, outer in steps if inner is not None and outer is not None]
    if not known:
        return [None] * len(steps)
    inner, outer = stacked([one for one, _ in known]), stacked([other for _, other in known])
    with np.errstate(over="ignore", invalid="ignore"):
        ratios = np.sqrt(np.exp(inner - outer).mean(axis=1))
    finite = np.isfinite(outer.mean(axis=1))
    found = iter(
        [_number(ratio) if said else None for ratio, said in zip(ratios.tolist(), finite.tolist(), strict=True)]
    )
    return [None if inner is None or outer is None else next(found) for inner, outer in steps]


def _number(x: float) -> float | None:
    return None if math.isnan(x) else float(x)
