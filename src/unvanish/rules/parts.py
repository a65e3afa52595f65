"""What a layer's transmission is made of: the activation's part and the weights' part, and how far theory agrees."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np

from unvanish.core.activations import FUNCTIONS, GRID, derivative
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile
from unvanish.rules.expected import expected_factor
from unvanish.rules.gradients import DepthProfile
from unvanish.rules.words import article, percent

APART = 0.1
"""Relative difference from which on the parts' product and the kernels' own factor are told as two quantities."""
NOT_AN_ACTIVATION = frozenset({"linear", "other", "softmax"})


class Parts(NamedTuple):
    """Hold the geometric mean per kernel of both parts; their product is the transmission per layer."""

    activation: float
    weights: float
    """Kernels, and whatever else is linear in the gradient: normalisations, pooling, dropout."""


def parts(seen: Observation, profile: Profile, found: DepthProfile) -> Parts | None:
    """Return both parts between the first and the last kernel that the slope was fitted to.

    None where a shortcut runs beside the layers (the parts of the paths do not multiply), or where a part is missing.
    """
    if any(layer.kind == "add" for layer in seen.network.layers):
        return None
    names = [layer.name for layer in profile.layers]
    if found.layers[0] not in names or found.layers[-1] not in names:
        return None
    inside = profile.layers[names.index(found.layers[0]) : names.index(found.layers[-1]) + 1]
    kernels = [layer.name for layer in seen.network.kernels]
    if not set(found.layers) <= set(kernels):
        return None
    steps = kernels.index(found.layers[-1]) - kernels.index(found.layers[0])
    activation = _log10_product([layer.activation_transmission for layer in inside[:-1]])
    weights = _log10_product([layer.weight_transmission for layer in inside[1:]])
    if activation is None or weights is None or steps < 1:
        return None
    return Parts(10 ** (activation / steps), 10 ** (weights / steps))


def hidden_activation(seen: Observation) -> str | None:
    """Return the activation that most hidden layers apply (canonical name); None when there is none."""
    hidden = [layer for layer in seen.network.layers if layer.name not in seen.network.outputs]
    found = Counter(layer.activation for layer in hidden if layer.activation not in NOT_AN_ACTIVATION)
    return found.most_common(1)[0][0] if found else None


def largest_slope(activation: str) -> float | None:
    """Return the largest derivative of a known activation; None for an unknown one."""
    return float(np.abs(derivative(activation, GRID)).max()) if activation in FUNCTIONS else None


def saturated_share(profile: Profile) -> float | None:
    """Return the largest saturated share of a layer; None where no layer can saturate."""
    return max((layer.saturated_share for layer in profile.layers if layer.saturated_share is not None), default=None)


def saturation_words(share: float | None) -> str:
    """Return the sentence about saturation; empty where nothing can saturate."""
    if share is None:
        return ""
    if share < 0.01:
        return f" No unit is saturated ({percent(share)}): this is the slope at zero, not saturation."
    return f" Up to {percent(share)} of a layer's activations are saturated."


def factor_words(seen: Observation, found: DepthProfile, split: Parts | None) -> str:
    """Return the product per layer with its forecast: `0.24 (activation) x 0.99 (weights) = 0.24 per layer; ...`."""
    if split is None:
        expected = expected_factor(seen, found)
        product = f"{found.transmission:.2f} per layer"
    else:
        expected = None if seen.forecast is None else seen.forecast.transmission_per_layer
        whole = split.activation * split.weights
        product = f"{split.activation:.2f} (activation) x {split.weights:.2f} (weights) = {whole:.2f} per layer"
        if abs(whole / found.transmission - 1) > APART:
            product += " for what arrives at each layer (a kernel's gradient follows the signal too)"
    return product if expected is None else f"{product}; forecast {expected:.2f}"


def ceiling_words(activation: str, gain: float | None) -> str:
    """Return the sentence on what an activation passes at most, beside the gain of the weights."""
    most = largest_slope(activation)
    name = article(activation).replace("_", " ")
    if most is None or most >= 1:
        return "" if gain is None else f"the weights have gain {gain:.2f} behind {name}: "
    also = "" if gain is None else f", and weights of gain {gain:.1f} do not make up for it"
    return f"{name} passes at most {_fraction(most)} of the gradient{also}: "


def median_gain(seen: Observation) -> float | None:
    """Return the median gain sqrt(fan_in * E w^2) of the hidden kernels; None without hidden kernels."""
    hidden = seen.network.kernels[1:-1] or seen.network.kernels
    gains = [math.sqrt(k.fan_in * k.kernel.second_moment) for k in hidden if k.fan_in and k.kernel is not None]
    return float(np.median(gains)) if gains else None


def _log10_product(shares: list[float | None]) -> float | None:
    known = [share for share in shares if share is not None]
    if len(known) != len(shares) or not all(share > 0 and math.isfinite(share) for share in known):
        return None
    return math.fsum(math.log10(share) for share in known)


def _fraction(number: float) -> str:
    inverse = 1 / number
    return f"1/{inverse:.0f}" if abs(inverse - round(inverse)) < 0.01 * inverse else f"{number:.2f}"
