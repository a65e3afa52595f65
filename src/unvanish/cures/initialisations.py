"""Which initialisation goes with which activation."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

from unvanish.core.network import Layer, Network
from unvanish.cures.anatomy import PLAIN, has, hidden_kernels

SIGMOIDS = frozenset({"sigmoid", "hard_sigmoid"})
"""Activations without a useful critical gain of their own: their mean is not zero, their slope at most 1/4."""
LOOKS_LINEAR = frozenset({"relu", "gelu", "gelu_tanh", "silu", "softplus", "leaky_relu"})
"""Activations with f(u) - f(-u) = u, up to a factor (Balduzzi et al. 2017)."""
SHIPPED_GAIN: dict[str, tuple[float, str]] = {
    "relu": (2**0.5, "he_normal"),
    "leaky_relu": (2**0.5, "he_normal"),
    "elu": (1.0, "lecun_normal"),
    "selu": (1.0, "lecun_normal"),
    "tanh": (1.0, "lecun_normal"),
    "softsign": (1.0, "lecun_normal"),
    "erf": (1.0, "lecun_normal"),
    "linear": (1.0, "lecun_normal"),
    "gelu": (2**0.5, "he_normal"),
    "gelu_tanh": (2**0.5, "he_normal"),
    "silu": (2**0.5, "he_normal"),
    "mish": (2**0.5, "he_normal"),
}
"""Activation -> the gain of the shipped initialiser nearest to its critical gain, and that initialiser's name."""
SAME_GAIN = 0.1
"""Relative difference below which another gain is no change."""


def gain_of(layers: tuple[Layer, ...]) -> float | None:
    """Return the median of sqrt(fan_in E w^2) over kernel layers; None without any."""
    gains = [math.sqrt(layer.fan_in * layer.kernel.second_moment) for layer in layers if layer.kernel and layer.fan_in]
    return statistics.median(gains) if gains else None


def has_gain(network: Network, gain: float) -> bool:
    """Say whether the hidden kernels have this gain already, within SAME_GAIN."""
    found = gain_of(hidden_kernels(network))
    return found is not None and abs(found / gain - 1) < SAME_GAIN


def may_look_linear(network: Network) -> bool:
    """Say whether a looks-linear initialisation fits: plain dense layers in a row, of even widths, all of them trained.

    Nothing may lie between them: a norm, a dropout or a branch would break the mirrored pairs. No hidden layer may be
    narrower than the one before it: the map is an isometry no more (256-128-64-32-16 leaves an output norm of .04).
    """
    kernels = network.kernels
    if any(layer.kind not in PLAIN or layer.shares for layer in network.layers) or len(kernels) < 2:
        return False
    row = all(len(network.sources(layer.name)) <= 1 for layer in network.layers)
    even = all(layer.units is not None and layer.units % 2 == 0 for layer in kernels[:-1])
    widths = [layer.units or 0 for layer in kernels[:-1]]
    wide = all(before <= behind for before, behind in pairwise(widths))
    return (
        row and even and wide and all(layer.trainable for layer in kernels) and not has(network, frozenset({"other"}))
    )
