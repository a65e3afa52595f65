"""A Keras model as a float64 reference network, and the profile that such a network must give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from expected_layer import layer_profile

from unvanish.core.profile import LayerProfile
from unvanish.keras.graph import Leaf, leaves
from unvanish.testing.reference import Network, Node, Run

layers = keras.layers
LOOKS_THROUGH = keras.backend.backend() == "tensorflow"
"""Whether a cross-entropy looks through a sigmoid or softmax to its logits: Keras keeps them on TensorFlow alone."""
NORMS = {"gamma": "scale", "beta": "shift"}
WINDOWED = {
    layers.AveragePooling1D: "average_pool",
    layers.AveragePooling2D: "average_pool",
    layers.MaxPooling1D: "max_pool",
    layers.MaxPooling2D: "max_pool",
}
GLOBAL = {
    layers.GlobalAveragePooling1D: "global_average_pool",
    layers.GlobalAveragePooling2D: "global_average_pool",
    layers.GlobalMaxPooling1D: "global_max_pool",
    layers.GlobalMaxPooling2D: "global_max_pool",
}
PLAIN = {layers.InputLayer: "identity", layers.Dropout: "identity", layers.Flatten: "flatten", layers.Add: "add"}


def from_keras(model: Any) -> Network:
    """Return the reference of a built Sequential or Functional model, its weights taken to float64 as they are now.

    A node is named as the leaf that it stands for. Raise TypeError for a layer that the reference does not know.
    """
    first: dict[int, str] = {}
    nodes = []
    for leaf in leaves(model)[0]:
        owner = first.setdefault(id(leaf.operation), leaf.name)
        nodes.append(_node(leaf, None if owner == leaf.name else owner))
    return Network(nodes)


def expected_profile(model: Any, batches: Sequence[tuple[Any, Any]], loss: str) -> dict[str, LayerProfile]:
    """Return what every layer must show on these batches, by the definitions in core/profile.py."""
    network = from_keras(model)
    runs = [network.run(x, y, loss, looks_through=LOOKS_THROUGH) for x, y in batches]
    return {node.name: layer_profile(node, [run.layers[node.name] for run in runs]) for node in network.nodes.values()}


def expected_loss(model: Any, batches: Sequence[tuple[Any, Any]], loss: str) -> float:
    """Return the mean loss over the batches."""
    runs: list[Run] = [from_keras(model).run(x, y, loss, looks_through=LOOKS_THROUGH) for x, y in batches]
    return math.fsum(run.loss for run in runs) / len(runs)


def _node(leaf: Leaf, shares: str | None) -> Node:
    operation = leaf.operation
    kind, options = _operation(operation)
    activation, parameter = _activation(operation)
    weights = {
        NORMS.get(v.name, v.name): np.asarray(v.numpy(), dtype=np.float64)
        for v in getattr(operation, "trainable_variables", [])
    }
    return Node(leaf.name, kind, leaf.sources, {} if shares else weights, options, activation, parameter, shares)


def _operation(operation: Any) -> tuple[str, dict[str, Any]]:
    kind = type(operation)
    if kind in PLAIN:
        return PLAIN[kind], {}
    if kind is type((keras.Input((1,)) + keras.Input((1,)))._keras_history.operation):  # `a + b` has no public class
        return "add", {}
    if kind in (layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Softmax):
        return "identity", {}
    if kind is layers.Dense:
        return "dense", {}
    if kind in (layers.Conv1D, layers.Conv2D):
        return "conv", {"strides": operation.strides, "padding": operation.padding}
    if kind is layers.BatchNormalization:
        return "batch_norm", {"epsilon": operation.epsilon}
    if kind is layers.LayerNormalization:
        return "layer_norm", {"epsilon": operation.epsilon}
    if kind in WINDOWED:
        size = operation.pool_size if isinstance(operation.pool_size, tuple) else (operation.pool_size,)
        strides = operation.strides if isinstance(operation.strides, tuple) else (operation.strides,)
        return WINDOWED[kind], {"size": size, "strides": strides, "padding": operation.padding}
    if kind in GLOBAL:
        return GLOBAL[kind], {"keep": operation.keepdims}
    raise TypeError(f"the reference does not know {kind.__name__}")


def _activation(operation: Any) -> tuple[str, float | None]:
    """Return (name, parameter) as the user wrote them."""
    if isinstance(operation, layers.ReLU):
        settings = (operation.max_value, float(operation.negative_slope), float(operation.threshold))
        return {(None, 0.0, 0.0): "relu", (6, 0.0, 0.0): "relu6"}[settings], None
    if isinstance(operation, layers.LeakyReLU):
        return "leaky_relu", float(operation.negative_slope)
    if isinstance(operation, layers.ELU):
        return "elu", float(operation.alpha)
    if isinstance(operation, layers.Softmax):
        return "softmax", None
    function = getattr(operation, "activation", None)
    return ("linear" if function is None else function.__name__), None
