"""PyTorch modules as nodes of the float64 reference network, their weights as they are now."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from unvanish.testing.reference import Node

ACTIVATIONS: dict[type, tuple[str, Any]] = {
    nn.ReLU: ("relu", None),
    nn.ReLU6: ("relu6", None),
    nn.Sigmoid: ("sigmoid", None),
    nn.Tanh: ("tanh", None),
    nn.SiLU: ("silu", None),
    nn.Mish: ("mish", None),
    nn.SELU: ("selu", None),
    nn.Softplus: ("softplus", None),
    nn.Softsign: ("softsign", None),
    nn.Hardsigmoid: ("hard_sigmoid", None),
    nn.Hardswish: ("hard_silu", None),
    nn.Hardtanh: ("hard_tanh", None),
    nn.LeakyReLU: ("leaky_relu", "negative_slope"),
    nn.ELU: ("elu", "alpha"),
    nn.Softmax: ("softmax", None),
}
POOLS = {
    nn.MaxPool1d: "max_pool",
    nn.MaxPool2d: "max_pool",
    nn.AvgPool1d: "average_pool",
    nn.AvgPool2d: "average_pool",
}


def node(name: str, module: nn.Module, *sources: str, shares: str | None = None) -> Node:
    """Return the node of a leaf module. Raise TypeError for one that the reference does not know."""
    operation, options, weights = _operation(module)
    activation, parameter = _activation(module)
    return Node(name, operation, sources, {} if shares else weights, options, activation, parameter, shares)


def plain(name: str, operation: str, *sources: str, activation: str = "linear") -> Node:
    """Return a node without weights."""
    return Node(name, operation, sources, {}, {}, activation)


def chain(model: nn.Sequential) -> list[Node]:
    """Return the nodes of a sequence of leaf modules, named as they are, after an `input`."""
    nodes, channels, flat = [plain("input", "identity")], 0, False
    for name, module in model.named_children():
        nodes.append(node(name, module, nodes[-1].name))
        if isinstance(module, nn.Linear) and flat:  # PyTorch flattens channels first, the reference last
            kernel = nodes[-1].weights["kernel"]
            by_channel = kernel.reshape(channels, -1, kernel.shape[-1])
            nodes[-1].weights["kernel"] = by_channel.swapaxes(0, 1).reshape(kernel.shape)
            flat = False
        channels = getattr(module, "out_channels", channels)
        flat = flat or isinstance(module, nn.Flatten)
    return nodes


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def _named(**weights: torch.Tensor | None) -> dict[str, np.ndarray]:
    return {name: _numpy(weight) for name, weight in weights.items() if weight is not None}


def _operation(module: Any) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    kind = type(module)
    if kind in ACTIVATIONS or kind is nn.GELU:
        return "identity", {}, {}
    if kind is nn.Linear:
        weights = _named(kernel=module.weight, bias=module.bias)
        return "dense", {}, {**weights, "kernel": weights["kernel"].T}
    if kind in (nn.Conv1d, nn.Conv2d):
        weights = _named(kernel=module.weight, bias=module.bias)
        kernel = np.moveaxis(weights["kernel"], (0, 1), (-1, -2))
        return "conv", {"strides": module.stride, "padding": _padding(module.padding)}, {**weights, "kernel": kernel}
    if kind in (nn.BatchNorm1d, nn.BatchNorm2d):
        return "batch_norm", {"epsilon": module.eps}, _named(scale=module.weight, shift=module.bias)
    if kind is nn.LayerNorm:
        return "layer_norm", {"epsilon": module.eps}, _named(scale=module.weight, shift=module.bias)
    if kind in POOLS:
        axes = int(kind.__name__[-2])
        size, strides = _tuple(module.kernel_size, axes), _tuple(module.stride, axes)
        return POOLS[kind], {"size": size, "strides": strides, "padding": _padding(_tuple(module.padding, axes))}, {}
    if kind is nn.AdaptiveAvgPool2d:
        return "global_average_pool", {"keep": True}, {}
    if kind is nn.Flatten:
        return "flatten", {}, {}
    raise TypeError(f"the reference does not know {kind.__name__}")


def _activation(module: Any) -> tuple[str, float | None]:
    if isinstance(module, nn.GELU):
        return ("gelu_tanh" if module.approximate == "tanh" else "gelu"), None
    name, parameter = ACTIVATIONS.get(type(module), ("linear", None))
    return name, None if parameter is None else float(getattr(module, parameter))


def _padding(padding: Any) -> str:
    return "valid" if padding == "valid" or not any(_tuple(padding, 1)) else "same"


def _tuple(value: Any, axes: int) -> Any:
    return value if isinstance(value, tuple | str) else (value,) * axes
