"""A Keras model as a float64 reference network, and the profile that such a network must give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from unvanish.core.profile import LayerProfile
from unvanish.keras.graph import Leaf, leaves
from unvanish.testing.reference import LayerPass, Network, Node, Run, activations

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
    return {node.name: _profile(node, [run.layers[node.name] for run in runs]) for node in network.nodes.values()}


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


def _profile(node: Node, seen: list[LayerPass]) -> LayerProfile:
    if not node.sources:  # an input is not tapped
        return LayerProfile(name=node.name)
    owned = ["kernel"] if "kernel" in node.weights else sorted(node.weights)
    gradient = _rms_norm([[s.d_weights[name] for name in owned] for s in seen]) if owned else None
    weight = _rms_norm([[node.weights[name] for name in owned]]) if owned else None
    size = sum(node.weights[name].size for name in owned)
    after = None if seen[0].d_output is None else _rms_norm([[s.d_output] for s in seen])
    inside = _rms_norm([[s.d_preactivation] for s in seen])
    entering = _rms_norm([s.d_inputs for s in seen])
    moments = [_moments(s.preactivation) for s in seen]
    q, k = (math.fsum(m[i] for m in moments) / len(moments) for i in (0, 1))
    return LayerProfile(
        name=node.name,
        gradient_norm=gradient,
        gradient_rms=None if gradient is None else gradient / math.sqrt(size),
        gradient_zero_share=_zero_share([[s.d_weights[name] for name in owned] for s in seen]) if owned else None,
        reached=True if owned else None,
        weight_norm=weight,
        weight_rms=None if weight is None else weight / math.sqrt(size),
        preactivation_second_moment=q,
        output_second_moment=math.fsum(float(np.mean(s.output**2)) for s in seen) / len(seen),
        correlation=_over(k, q),
        saturated_share=_saturated(node, seen),
        dead_share=_dead(node, seen),
        output_gradient_norm=after,
        preactivation_gradient_norm=inside,
        preactivation_gradient_rms=inside / math.sqrt(seen[0].preactivation.size),
        input_gradient_norm=entering,
        transmission=_over(entering, after),
        activation_transmission=_over(inside, after),
        weight_transmission=_over(entering, inside),
    )


def _over(numerator: float, denominator: float | None) -> float | None:
    return numerator / denominator if denominator else None


def _rms_norm(batches: Sequence[Sequence[Any]]) -> float:
    """Return the root mean square over batches of the norm of all arrays of a batch together."""
    squares = [sum(float(np.sum(array * array)) for array in arrays) for arrays in batches]
    return math.sqrt(math.fsum(squares) / len(squares))


def _moments(z: np.ndarray) -> tuple[float, float]:
    """Return (q, k) from the matrix of all inner products."""
    rows = z.reshape(len(z), -1)
    products = rows @ rows.T
    pairs = len(z) * (len(z) - 1)
    return float(np.trace(products)) / rows.size, float(np.sum(products - np.diag(np.diag(products)))) / (
        pairs * rows.shape[1]
    )


def _zero_share(batches: Sequence[Sequence[np.ndarray]]) -> float:
    """Return the share of entries that are zero in every batch."""
    flat = np.array([np.concatenate([array.ravel() for array in arrays]) for arrays in batches])
    return float(np.mean(np.all(flat == 0, axis=0)))


def _saturated(node: Node, seen: list[LayerPass]) -> float | None:
    if node.activation in ("linear", "relu", "relu6", "softmax"):
        return None
    largest = np.max(np.abs(activations.slope(node.activation, np.linspace(-20, 20, 40001), node.parameter)))
    return float(np.mean([np.mean(np.abs(s.slopes) < 0.01 * largest) for s in seen]))


def _dead(node: Node, seen: list[LayerPass]) -> float | None:
    if node.activation not in ("relu", "relu6"):
        return None
    rows = np.concatenate([s.output.reshape(-1, s.output.shape[-1]) for s in seen])
    return float(np.mean(np.all(rows == 0, axis=0)))
