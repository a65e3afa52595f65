"""What a loss makes of the output layer: logits that a cross-entropy reads are behind its own sigmoid or softmax."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.network import Network
from unvanish.core.observation import LossInfo

APPLIED = {
    "binary_crossentropy": "sigmoid",
    "categorical_crossentropy": "softmax",
    "sparse_categorical_crossentropy": "softmax",
}
"""Loss -> what it applies to logits itself."""


def as_read(network: Network, loss: LossInfo) -> Network:
    """Return the network with the activation that its loss applies; the same network where that applies none.

    Of a network with several outputs, or one that ends in a layer with an activation, nothing is changed.
    """
    applied = APPLIED.get(loss.kind) if loss.from_logits else None
    names = network.outputs or tuple(layer.name for layer in network.layers[-1:])
    if applied is None or len(names) != 1:
        return network
    head = network.layer(names[0])
    if head.kind not in ("dense", "conv") or head.activation != "linear":
        return network
    layers = tuple(replace(layer, activation=applied) if layer is head else layer for layer in network.layers)
    return replace(network, layers=layers)
