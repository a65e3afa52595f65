"""Forecast a network that nobody has built yet: the user's, with one thing changed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from msgspec.structs import replace

from unvanish.core.forecast import Forecast
from unvanish.core.network import Layer, Network
from unvanish.core.observation import Observation
from unvanish.cures.edited import redrawn, swapped
from unvanish.rules.gradients import KERNEL_GRADIENTS, depth_profile
from unvanish.rules.signal import signal_profile
from unvanish.rules.words import times
from unvanish.theory.bands import healthy_factor
from unvanish.theory.factors import gradient_factor, signal_factor
from unvanish.theory.forecast import forecast_network
from unvanish.theory.loss_read import as_read

Change = Callable[[Layer], Layer]

DEEPEST = 300
"""Kernels above which no alternative is forecast: a rule answers at once, and there the verdict is clear anyway."""


class WhatIf(NamedTuple):
    """Hold the forecast factor per layer of one quantity, without and with a change."""

    of_signal: bool
    """Of the forward signal; else of the kernels' gradients."""
    before: float
    after: float
    left: str
    """What theory expects to be outside the healthy band after the change; empty when nothing is."""


def forecast_words(seen: Observation, change: Change, *, growth: bool = False) -> str:
    """Return `4.2x -> 1.0x per layer`: the forecast factor before and after; empty where theory does not say.

    It is the factor of what is sick: of the kernels' gradients, or where they are not and the forward signal is, of
    that (`signal 1.4x -> 1.0x per layer`). change, growth: as in `what_if`.
    """
    found = what_if(seen, change, growth=growth)
    if found is None:
        return ""
    of = "signal " if found.of_signal else ""
    words = f"{of}{_rounded(found.before)} -> {_rounded(found.after)} per layer"
    return f"{words}, {found.left}" if found.left else words


def what_if(seen: Observation, change: Change, *, growth: bool = False) -> WhatIf | None:
    """Return the forecast of what is sick, before and after a change; None where theory does not say.

    change: edits one hidden layer (the output layer and what it belongs to stay). growth: the factors are of growth
    instead of shrinking, as they are told.
    """
    if seen.forecast is None or len(seen.network.kernels) > DEEPEST:
        return None
    of_signal = _is_of_signal(seen, growth=growth)
    layers = _layers(seen)
    other = changed(seen.network, change)
    before = _factor(seen.forecast, seen.network, layers, of_signal=of_signal)
    after = _factor(_forecast_of(seen, other), other, layers, of_signal=of_signal)
    if before is None or after is None:
        return None
    beside = _factor(_forecast_of(seen, other), other, layers, of_signal=not of_signal)
    left = _left(len(seen.network.kernels), after, beside, of_signal=of_signal)
    return WhatIf(of_signal, before, after, left) if growth else WhatIf(of_signal, 1 / before, 1 / after, left)


def _left(depth: int, after: float, beside: float | None, *, of_signal: bool) -> str:
    """Return what theory expects to stay sick: the factor that is told, or the other of gradient and signal."""
    band = healthy_factor(depth)
    if not 1 / band <= after <= band:
        return f"still outside {times(band)}"
    if beside is None or 1 / band <= beside <= band:
        return ""
    other, how = "gradient" if of_signal else "signal", "shrinks" if beside < 1 else "grows"
    return f"but the {other} {how} {_rounded(max(beside, 1 / beside))}"


def _is_of_signal(seen: Observation, *, growth: bool) -> bool:
    """Say whether the forward signal is sick and the gradients are not."""
    gradients, signal = depth_profile(seen), signal_profile(seen)
    if signal is None or not (signal.swells if growth else signal.fades):
        return False
    return isinstance(gradients, str) or not (gradients.explodes if growth else gradients.vanishes)


def _layers(seen: Observation) -> tuple[str, ...]:
    """Return the kernels to which the measured line was fitted; none where it was fitted to something else."""
    found = depth_profile(seen)
    return () if isinstance(found, str) or found.source != KERNEL_GRADIENTS else found.layers


def _factor(expected: Forecast, network: Network, layers: tuple[str, ...], *, of_signal: bool) -> float | None:
    found = signal_factor(expected, network) if of_signal else gradient_factor(expected, network, layers)
    return found if found and math.isfinite(found) else None


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


def _forecast_of(seen: Observation, network: Network) -> Forecast:
    data, network = seen.data, as_read(network, seen.loss)
    if data.input_second_moment is None or data.input_cross_moment is None:
        return _forecast(network, data.batch_size, None)
    return _forecast(network, data.batch_size, (data.input_second_moment, data.input_cross_moment))


@lru_cache(maxsize=32)
def _forecast(network: Network, batch_size: int, moments: tuple[float, float] | None) -> Forecast:
    """Return the forecast; kept, since several rules offer the same change of one network."""
    known = {} if moments is None else {"second_moment": moments[0], "cross_moment": moments[1]}
    return forecast_network(network, batch_size=batch_size, **known)


def _rounded(factor: float) -> str:
    return f"{factor:.1f}x" if 0.95 <= factor < 9.95 else times(factor)
