"""Which activation is applied to what a kernel makes: its own, or that of a layer behind it."""

from __future__ import annotations

from unvanish.core.network import Network

BETWEEN = frozenset({"batch_norm", "dropout", "group_norm", "layer_norm", "pool", "rms_norm", "scale"})
"""Kinds of layers that may stand between a kernel and its activation."""


def applied(network: Network) -> dict[str, str]:
    """Return, for each layer with a kernel, the name of the layer that its activation is a part of.

    Itself where it has an activation of its own, and where none follows before another kernel, a junction, or a place
    that several layers read. Nothing is changed.
    """
    layers = {layer.name: layer for layer in network.layers}
    targets, found = network.targets(), {}
    for layer in network.kernels:
        found[layer.name] = at = layer.name
        while layer.activation == "linear" and at not in network.outputs and len(targets.get(at, ())) == 1:
            at = targets[at][0]
            if layers[at].kind == "activation":
                found[layer.name] = at
            if layers[at].kind not in BETWEEN:
                break
    return found
