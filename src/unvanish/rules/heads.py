"""The output layer, its activation and its range, against what the loss takes and the labels are.

Shared by GF904 and the rules that ask whether an output is constant by its very form.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from unvanish.core.network import Layer
from unvanish.core.observation import Observation
from unvanish.rules.words import short

CATEGORICAL = frozenset({"categorical_crossentropy", "sparse_categorical_crossentropy"})
CROSSENTROPY = CATEGORICAL | {"binary_crossentropy"}
SQUARED = frozenset({"mean_squared_error", "mean_absolute_error"})
RANGES: dict[str, tuple[float, float]] = {
    "elu": (-1.0, math.inf),
    "erf": (-1.0, 1.0),
    "exponential": (0.0, math.inf),
    "hard_sigmoid": (0.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "log_sigmoid": (-math.inf, 0.0),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "softplus": (0.0, math.inf),
    "softsign": (-1.0, 1.0),
    "sparse_plus": (0.0, math.inf),
    "sparse_sigmoid": (0.0, 1.0),
    "squareplus": (0.0, math.inf),
    "tanh": (-1.0, 1.0),
}
"""Activation -> the smallest and the largest number that it can give; every other one reaches both ways."""
SQUASHED = 1.0
"""Largest output of an activation that makes no logits: a softmax over ten classes gives at most e^2 / (e^2 + 9) = 0.45
of logits between -1 and 1."""
_PASSED = frozenset({"dropout", "flatten"})
_PLAIN = frozenset({"dense", "conv", "activation", "batch_norm", "layer_norm", "group_norm", "rms_norm", "add"})


class Head(NamedTuple):
    """Hold the layer whose activation makes the output."""

    layer: Layer
    activation: str
    units: int | None

    @property
    def range(self) -> tuple[float, float]:
        """Return the smallest and the largest output."""
        return RANGES.get(self.activation, (-math.inf, math.inf))


def head(seen: Observation) -> Head | str:
    """Return the head, or the reason why it is not known: several outputs, or an operation that is not recognised."""
    if len(seen.network.outputs) != 1:
        return f"the network has {len(seen.network.outputs)} outputs"
    layer = seen.network.layer(seen.network.outputs[0])
    while layer.kind in _PASSED:
        before = seen.network.sources(layer.name)
        if len(before) != 1:
            return f"what {short(layer.name)} reads is not known"
        layer = seen.network.layer(before[0])
    if layer.kind not in _PLAIN or layer.activation == "other":
        return f"the output {short(layer.name)} is not a recognised operation"
    width = seen.loss.units or layer.units or (layer.shape[-1] if layer.shape else None)
    return Head(layer, layer.activation, width)


def squashed_before(seen: Observation, found: Head) -> Layer | None:
    """Return the layer that squashes what the head's own softmax or sigmoid then reads as logits; None where none does.

    Between them nothing may have weights: a head of its own kernel, or a normalisation, makes logits again.
    """
    if found.activation not in ("sigmoid", "softmax") or found.layer.kind != "activation":
        return None
    layer = found.layer
    while (before := seen.network.sources(layer.name)) and len(before) == 1:
        layer = seen.network.layer(before[0])
        if layer.kind in _PASSED or (layer.kind == "activation" and layer.activation == "linear"):
            continue
        small = RANGES.get(layer.activation, (-math.inf, math.inf))[1] <= SQUASHED
        return layer if small and layer.kind in _PLAIN else None
    return None


def constant_form(seen: Observation) -> str:
    """Return why output or loss are constant whatever the weights are, in words; empty when they are not."""
    found = head(seen)
    if isinstance(found, str) or found.units != 1:
        return ""
    if found.activation == "softmax":
        return f"the output {short(found.layer.name)} is a softmax over one unit: always 1, whatever the weights"
    if seen.loss.kind in CATEGORICAL:
        return f"the loss compares classes, and {short(found.layer.name)} has one unit: always the right class, loss 0"
    return ""
