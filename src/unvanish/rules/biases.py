"""Biases that lie so low that a ReLU behind them is off whatever its layer reads. Used by GF202."""

from __future__ import annotations

import math
from typing import NamedTuple

from unvanish.core.network import Layer
from unvanish.core.observation import Observation


class LowBias(NamedTuple):
    """Hold a bias at the start, and the rest of the pre-activation that it is added to."""

    layer: str
    mean: float
    rest: float
    """RMS of the pre-activation without the bias: sqrt(q - E b^2), the two being independent (Poole et al. 2016)."""


def low_bias(seen: Observation, name: str) -> LowBias | None:
    """Return the bias that outweighs all else the activation of that layer reads; None where none does.

    The bias is the layer's own, or that of the one that feeds it; of a normalisation it is the shift.
    """
    profile = next((layer for layer in seen.profiles[0].layers if layer.name == name), None)
    owner = _owner(seen, seen.network.layer(name))
    if owner is None or profile is None or profile.preactivation_second_moment is None:
        return None
    bias = owner.bias or owner.shift
    if bias is None or not bias.mean < 0:
        return None
    rest = math.sqrt(max(profile.preactivation_second_moment - bias.second_moment, 0.0))
    return LowBias(owner.name, bias.mean, rest) if -bias.mean >= rest else None


def _owner(seen: Observation, layer: Layer) -> Layer | None:
    """Return the layer whose bias the activation reads: itself, or its only source."""
    if layer.bias is not None or layer.shift is not None:
        return layer
    before = seen.network.sources(layer.name)
    return seen.network.layer(before[0]) if len(before) == 1 else None
