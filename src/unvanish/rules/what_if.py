"""Forecast a network that nobody has built yet: the user's, with one thing changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from msgspec.structs import replace

from unvanish.core.network import Layer, Network
from unvanish.core.observation import Observation
from unvanish.cures.edited import redrawn, swapped
from unvanish.rules.words import times
from unvanish.theory.forecast import forecast_network

Change = Callable[[Layer], Layer]

DEEPEST = 300
"""Kernels above which no alternative is forecast: a rule answers at once, and there the verdict is clear anyway."""


def forecast_words(seen: Observation, change: Change, *, growth: bool = False) -> str:
    """Return `4.2x -> 1.0x per layer`: the forecast factor before and after; empty where theory does not say.

    change: edits one hidden layer (the output layer and what it belongs to stay). growth: the factors are of growth
    towards the input instead of shrinking.
    """
    before = None if seen.forecast is None else seen.forecast.transmission_per_layer
    if not before or len(seen.network.kernels) > DEEPEST:
        return ""
    after = _transmission(seen, changed(seen.network, change))
    if not after:
        return ""
    factors = (before, after) if growth else (1 / before, 1 / after)
    return f"{_rounded(factors[0])} -> {_rounded(factors[1])} per layer"


def changed(network: Network, change: Change) -> Network:
    """Return the network with every layer before the last kernel edited."""
    last = network.kernels[-1].name
    place = [layer.name for layer in network.layers].index(last)
    layers = tuple(change(layer) if i < place else layer for i, layer in enumerate(network.layers))
    return replace(network, layers=layers)


def with_activation(old: str, new: str) -> Change:
    """Return the change that replaces one activation by another, weights left as they are."""

    def change(layer: Layer) -> Layer:
        return swapped(layer, new) if layer.activation == old else layer

    return change


def with_gain(gain: float, *, orthogonal: bool = False) -> Change:
    """Return the change that draws every kernel anew with E w^2 = gain^2 / fan_in (orthogonal: / the larger side).

    Biases become zero. Source: He et al. 2015, eq. 10; Saxe et al. 2014 for orthogonal kernels.
    """

    return lambda layer: redrawn(layer, gain, orthogonal=orthogonal)


def both(first: Change, second: Change) -> Change:
    """Return the change that does one after the other."""
    return lambda layer: second(first(layer))


def _transmission(seen: Observation, network: Network) -> float | None:
    data = seen.data
    if data.input_second_moment is None or data.input_cross_moment is None:
        return _forecast(network, data.batch_size, None)
    return _forecast(network, data.batch_size, (data.input_second_moment, data.input_cross_moment))


@lru_cache(maxsize=32)
def _forecast(network: Network, batch_size: int, moments: tuple[float, float] | None) -> float | None:
    """Return the transmission per layer; kept, since several rules offer the same change of one network."""
    known = {} if moments is None else {"second_moment": moments[0], "cross_moment": moments[1]}
    expected = forecast_network(network, batch_size=batch_size, **known).transmission_per_layer
    return expected if expected and math.isfinite(expected) else None


def _rounded(factor: float) -> str:
    return f"{factor:.1f}x" if 0.95 <= factor < 9.95 else times(factor)
