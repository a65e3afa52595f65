"""Which layers of a network a cure may touch: the hidden ones, never the head."""

from __future__ import annotations

from collections import Counter

from unvanish.core.network import Layer, Network

NOT_AN_ACTIVATION = frozenset({"linear", "other", "softmax"})
PLAIN = frozenset({"input", "dense", "activation", "flatten"})
"""Kinds that a looks-linear network is made of."""
NORMS = frozenset({"batch_norm", "group_norm", "layer_norm", "rms_norm"})
EDITED = frozenset({"dense", "conv"})
"""Kinds of kernel layers that the cures know how to edit."""


def head(network: Network) -> frozenset[str]:
    """Return the names of the output layers: from an output backwards, up to and with the first kernel of each path."""
    found: set[str] = set()
    waiting = list(network.outputs or (network.layers[-1].name,))
    kernels = {layer.name for layer in network.kernels}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name not in kernels:
            waiting += network.sources(name)
    return frozenset(found)


def hidden(network: Network) -> tuple[Layer, ...]:
    """Return the layers in front of the head that are not frozen, each shared one once."""
    ends = head(network)
    return tuple(
        layer for layer in network.layers if layer.name not in ends and layer.shares is None and layer.trainable
    )


def hidden_kernels(network: Network) -> tuple[Layer, ...]:
    """Return the dense and convolution layers in front of the head, in forward order."""
    return tuple(layer for layer in hidden(network) if layer.kernel is not None and layer.kind in EDITED)


def recurrent(network: Network) -> tuple[Layer, ...]:
    """Return the recurrent layers that training moves, each shared one once, in forward order."""
    return tuple(
        layer for layer in network.layers if layer.kind == "recurrent" and layer.trainable and layer.shares is None
    )


def activation_of(network: Network) -> tuple[str, float | None] | None:
    """Return the activation that most hidden layers apply, with its parameter; None when there is none."""
    found = Counter((layer.activation, layer.activation_parameter) for layer in _applying(network))
    return found.most_common(1)[0][0] if found else None


def applying(network: Network, activation: str) -> tuple[str, ...]:
    """Return the names of the hidden layers that apply this activation."""
    return tuple(layer.name for layer in _applying(network) if layer.activation == activation)


def has(network: Network, kinds: frozenset[str]) -> bool:
    """Say whether a layer of one of these kinds is among the hidden ones."""
    ends = head(network)
    return any(layer.kind in kinds for layer in network.layers if layer.name not in ends)


def _applying(network: Network) -> tuple[Layer, ...]:
    kinds = EDITED | {"activation"}
    return tuple(
        layer for layer in hidden(network) if layer.kind in kinds and layer.activation not in NOT_AN_ACTIVATION
    )
