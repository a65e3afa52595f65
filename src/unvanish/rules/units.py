"""Which hidden layers can saturate, how much they are, and what that costs the gradient. Shared by GF201 and GF902."""

from __future__ import annotations

import math
from typing import NamedTuple

from unvanish.core.network import Layer
from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile, Profile
from unvanish.rules.parts import largest_slope
from unvanish.rules.words import percent

BOTH_WAYS = frozenset({"erf", "hard_sigmoid", "hard_tanh", "sigmoid", "softsign", "sparse_sigmoid", "tanh"})
"""Activations that go flat on both sides."""
APPLIED = frozenset({"activation", "conv", "dense"})
"""Kinds of layers whose activation is applied to a pre-activation that was seen."""
BLOCKING = 0.9
"""Saturated share from which on a layer passes less than sqrt(1 - share) = 0.32 of its largest slope: half a decade,
a third of what may be lost over the whole depth. As for dead units (GF202), a tenth of the units is left."""


class Saturating(NamedTuple):
    """Hold one hidden layer that can saturate."""

    name: str
    kernels: tuple[str, ...]
    """The layer itself, or the kernel layers before it."""
    share: float
    lost: float
    """Decades that its slopes cost the gradient, against the largest slope everywhere."""


def can_saturate(seen: Observation) -> tuple[Layer, ...]:
    """Return the hidden layers that go flat on both sides; outputs and gates (read by a product alone) left out."""
    outputs = set(seen.network.outputs)
    return tuple(
        layer
        for layer in seen.network.layers
        if layer.activation in BOTH_WAYS
        and layer.kind in APPLIED
        and layer.name not in outputs
        and not _gate(seen, layer.name)
    )


def saturating(seen: Observation, profile: Profile) -> tuple[Saturating, ...]:
    """Return those layers as one probe saw them, in forward order; what was not measured is left out."""
    found = {layer.name: layer for layer in profile.layers}
    measured: list[Saturating] = []
    for layer in can_saturate(seen):
        numbers = found.get(layer.name)
        if numbers is not None and numbers.saturated_share is not None:
            kernels = (layer.name,) if layer.kernel is not None else seen.network.sources(layer.name)
            share = numbers.saturated_share
            measured.append(Saturating(layer.name, kernels, share, _lost(layer.activation, numbers, share)))
    return tuple(measured)


def at_the_end(seen: Observation, started: float | None) -> str:
    """Return ` after 125 steps (44 % at step 0)`: when the told share was seen; empty where one probe is all."""
    first, last = seen.profiles[0], seen.profiles[-1]
    if last.step == first.step:
        return ""
    return f" after {last.step} step{'s' if last.step != 1 else ''}" + (
        "" if started is None else f" ({percent(started)} at step {first.step})"
    )


def _lost(activation: str, numbers: LayerProfile, share: float) -> float:
    """Return what was measured; else what the share says: a saturated unit passes at most 1 % of the largest slope."""
    largest = largest_slope(activation)
    passed = numbers.activation_transmission
    if passed is None or not largest:
        return -0.5 * math.log10(1 - share + share * 1e-4)
    return -math.log10(passed / largest) if passed > 0 else math.inf


def _gate(seen: Observation, name: str) -> bool:
    targets = [seen.network.layer(edge.target).kind for edge in seen.network.edges if edge.source == name]
    return bool(targets) and all(kind == "multiply" for kind in targets)
