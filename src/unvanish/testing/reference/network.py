"""A directed graph of nodes in float64: forward, loss, and the exact gradient of everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unvanish.testing.reference import activations
from unvanish.testing.reference.losses import HEADS_WITH_LOGITS, LOGITS, LOSSES
from unvanish.testing.reference.operations import (
    Array,
    PullBack,
    Result,
    Weights,
    add,
    batch_norm,
    conv,
    dense,
    flatten,
    identity,
    layer_norm,
)
from unvanish.testing.reference.pooling import average_pool, global_average_pool, global_max_pool, max_pool

OPERATIONS: dict[str, Callable[..., Result]] = {
    "add": add,
    "average_pool": average_pool,
    "batch_norm": batch_norm,
    "conv": conv,
    "dense": dense,
    "flatten": flatten,
    "global_average_pool": global_average_pool,
    "global_max_pool": global_max_pool,
    "identity": identity,
    "layer_norm": layer_norm,
    "max_pool": max_pool,
}


@dataclass(frozen=True)
class Node:
    """Describe one layer: an operation on the outputs of its sources, then an activation."""

    name: str
    operation: str
    """A key of OPERATIONS."""
    sources: Sequence[str] = ()
    """Names of earlier nodes; empty for an input."""
    weights: Weights = field(default_factory=dict)
    """kernel and bias (dense, conv), scale and shift (normalisations); not changed."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """strides and padding (conv), size too (pools), epsilon (normalisations), keep (global pools)."""
    activation: str = "linear"
    parameter: float | None = None
    """Slope of leaky_relu, alpha of elu; None for Keras' default."""
    shares: str | None = None
    """Name of an earlier node whose weights this one uses too."""


@dataclass
class LayerPass:
    """Hold what one node showed. `d_` is dL/d of the batch-mean loss, in the shape of what it belongs to."""

    preactivation: Array
    output: Array
    slopes: Array | None
    """f'(preactivation); None for softmax."""
    d_weights: Weights = field(default_factory=dict)
    """Summed over all nodes that share the weights, kept at the first."""
    d_inputs: list[Array] = field(default_factory=list)
    """Through this node alone, one for each source."""
    d_preactivation: Array | None = None
    d_output: Array | None = None
    """Summed over all nodes that read the output; None for a head whose loss is computed from its logits."""


@dataclass(frozen=True)
class Run:
    """Hold one forward and backward pass."""

    loss: Any
    """A float; complex in a complex step."""
    layers: dict[str, LayerPass]


class Network:
    """Run nodes, given in an order in which every node follows its sources; the last one is the output."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        """Keep the nodes. Raise ValueError when a source does not come earlier."""
        self.nodes = {node.name: node for node in nodes}
        seen: set[str] = set()
        for node in nodes:
            if not seen.issuperset(node.sources):
                raise ValueError(f"node {node.name!r}: its sources {list(node.sources)} must come before it")
            seen.add(node.name)

    def run(self, x: Array | Mapping[str, Array], y: Array, loss: str, *, looks_through: bool = True) -> Run:
        """Return the loss and all gradients on one batch.

        x: one array for all inputs, or one for each input node by name. y: labels, of the shape of the output; class
        numbers for a sparse cross-entropy. loss: a key of losses.LOSSES. looks_through: whether a cross-entropy is
        computed from the logits behind a sigmoid or a softmax, as on TensorFlow, or from the probabilities.
        """
        layers, pulls = self._forward(x)
        head = list(self.nodes.values())[-1]
        seen = layers[head.name]
        from_logits = LOGITS.get(loss) if looks_through and head.activation in HEADS_WITH_LOGITS else None
        of, start = (seen.output, LOSSES[loss]) if from_logits is None else (seen.preactivation, from_logits)
        value, gradient = start(of, np.asarray(y, dtype=np.float64))
        if np.iscomplexobj(value):
            return Run(value, layers)
        if from_logits is None:
            seen.d_output = gradient
        else:
            seen.d_preactivation = gradient
        self._backward(layers, pulls)
        return Run(float(value), layers)

    def _forward(self, x: Array | Mapping[str, Array]) -> tuple[dict[str, LayerPass], dict[str, PullBack]]:
        layers: dict[str, LayerPass] = {}
        pulls: dict[str, PullBack] = {}
        for node in self.nodes.values():
            inputs = [layers[source].output for source in node.sources]
            if not inputs:
                inputs = [_float(x[node.name] if isinstance(x, Mapping) else x)]
            owner = self.nodes[node.shares or node.name]
            weights = {name: _float(weight) for name, weight in owner.weights.items()}
            z, pulls[node.name] = OPERATIONS[node.operation](*inputs, **weights, **node.options)
            slopes = None if np.iscomplexobj(z) else activations.slope(node.activation, z, node.parameter)
            layers[node.name] = LayerPass(z, activations.apply(node.activation, z, node.parameter), slopes)
        return layers, pulls

    def _backward(self, layers: dict[str, LayerPass], pulls: dict[str, PullBack]) -> None:
        """Fill in the gradients, from the head, whose own gradient is there, to the inputs."""
        for node in reversed(self.nodes.values()):
            seen = layers[node.name]
            if seen.d_preactivation is None:
                if seen.d_output is None:  # nothing on the way to the loss reads it
                    continue
                seen.d_preactivation = activations.pull_back(
                    node.activation, seen.preactivation, node.parameter, seen.d_output
                )
            seen.d_inputs, d_weights = pulls[node.name](seen.d_preactivation)
            _add(layers[node.shares or node.name].d_weights, d_weights)
            for source, d in zip(node.sources, seen.d_inputs, strict=False):  # an input node has no source
                read = layers[source]
                read.d_output = d if read.d_output is None else read.d_output + d


def _float(array: Array) -> Array:
    array = np.asarray(array)
    return array if np.iscomplexobj(array) else array.astype(np.float64)


def _add(total: Weights, more: Weights) -> None:
    for name, gradient in more.items():
        total[name] = total[name] + gradient if name in total else gradient
