"""A described network as a real one: PyTorch in float64, its weights drawn with the moments that the record tells."""

from __future__ import annotations

import math
from typing import Any

import torch

from unvanish.core.activations import derivative, value
from unvanish.core.network import Layer, Network, WeightStats

F = torch.nn.functional


class Activation(torch.autograd.Function):
    """Our own f and f' of core.activations, whose agreement with PyTorch's is tested elsewhere."""

    @staticmethod
    def forward(ctx: Any, u: Any, name: str, parameter: float | None) -> Any:
        ctx.save_for_backward(u)
        ctx.told = name, parameter
        return torch.from_numpy(value(name, u.numpy(), parameter))

    @staticmethod
    def backward(ctx: Any, d: Any) -> Any:
        (u,) = ctx.saved_tensors
        return d * torch.from_numpy(derivative(ctx.told[0], u.numpy(), ctx.told[1])), None, None


class Drawn:
    """Weights of one initialisation of a network, and what it computes. Channels come last."""

    def __init__(self, network: Network, seed: int) -> None:
        self.network = network
        self.random = torch.Generator().manual_seed(seed)
        self.weights = {layer.name: self._weights(layer) for layer in network.layers}

    def log10_gradients(self, batch: int) -> list[float]:
        """Return log10 of each kernel's gradient norm over the last one's, on U(0, 1) inputs and random labels."""
        outputs = self.outputs(self._inputs(batch))
        if outputs.shape[1] == 1:
            labels = torch.randint(0, 2, outputs.shape, generator=self.random).double()
            loss = F.binary_cross_entropy_with_logits(outputs, labels)
        else:
            labels = torch.randint(0, outputs.shape[1], (batch,), generator=self.random)
            loss = F.cross_entropy(outputs, labels)
        kernels = [self.weights[layer.name]["kernel"] for layer in self.network.kernels]
        gradients = torch.autograd.grad(loss, kernels)
        norms = [math.log10(n) if (n := float(g.norm())) > 0 else -math.inf for g in gradients]
        return [norm - norms[-1] for norm in norms]

    def outputs(self, x: Any) -> Any:
        values: dict[str, Any] = {}
        for layer in self.network.layers:
            given = [values[name] for name in self.network.sources(layer.name)] or [x]
            values[layer.name] = self._call(layer, given, self.weights[layer.name])
        return values[self.network.outputs[0]]

    def _inputs(self, batch: int) -> Any:
        first = next((layer for layer in self.network.layers if layer.kind == "embedding"), None)
        shape = (batch, *self.network.layers[0].shape)
        if first is not None and first.table is not None:
            return torch.randint(0, first.table.size // (first.units or 1), shape, generator=self.random)
        return torch.rand(shape, generator=self.random, dtype=torch.float64)

    def _weights(self, layer: Layer) -> dict[str, Any]:
        units, fan_in = layer.units or 1, layer.fan_in or 1
        found = {}
        if layer.kernel is not None:
            kernel = self._drawn(layer.kernel, (units, fan_in))
            found["kernel"] = self._shaped(layer, kernel).requires_grad_()
        if layer.recurrent_kernel is not None:
            found["again"] = self._drawn(layer.recurrent_kernel, (units, units)).requires_grad_()
        if layer.table is not None:
            found["table"] = self._drawn(layer.table, (layer.table.size // units, units))
        if layer.bias is not None:
            found["bias"] = self._drawn(layer.bias, (units,))
        return found

    def _drawn(self, stats: WeightStats, shape: tuple[int, ...]) -> Any:
        normal = torch.randn(shape, generator=self.random, dtype=torch.float64)
        if stats.orthogonal:
            tall = normal if shape[0] >= shape[1] else normal.T
            basis = torch.linalg.qr(tall)[0] * math.sqrt(max(shape) * stats.variance)
            return (basis if shape[0] >= shape[1] else basis.T).contiguous()
        return stats.mean + normal * math.sqrt(stats.variance)

    def _shaped(self, layer: Layer, kernel: Any) -> Any:
        if layer.kind != "conv":
            return kernel
        axes = len(layer.shape) - 1
        field = (layer.fan_out or 1) // (layer.units or 1)
        size = round(field ** (1 / axes))
        return kernel.reshape(layer.units, -1, *[size] * axes)

    def _call(self, layer: Layer, given: list[Any], own: dict[str, Any]) -> Any:
        h = given[0]
        match layer.kind:
            case "dense":
                return self._activated(h @ own["kernel"].T + own["bias"], layer)
            case "conv":
                return self._activated(self._convolved(h, layer, own["kernel"]) + own["bias"], layer)
            case "activation":
                return self._activated(h, layer)
            case "batch_norm":
                return _normalised(h, tuple(range(h.ndim - 1)), layer)
            case "layer_norm":
                return _normalised(h, (-1,), layer)
            case "rms_norm":
                return h / (h.square().mean(-1, keepdim=True) + layer.epsilon).sqrt()
            case "group_norm":
                groups = h.reshape(len(h), -1, layer.groups, h.shape[-1] // (layer.groups or 1))
                return _normalised(groups, (1, 3), layer).reshape(h.shape)
            case "dropout":
                kept = torch.rand(h.shape, generator=self.random, dtype=torch.float64) < layer.keep
                return h * kept / layer.keep
            case "add":
                return sum(given[1:], given[0])
            case "scale":
                assert layer.scale is not None
                return h * layer.scale.mean
            case "flatten":
                return h.reshape(len(h), -1)
            case "pool":
                return _pooled(h, layer)
            case "embedding":
                return own["table"][h]
            case "recurrent":
                return self._through_time(h, layer, own)
        return h

    def _activated(self, u: Any, layer: Layer) -> Any:
        linear = layer.activation in ("linear", "softmax") or layer.name == self.network.outputs[0]
        return u if linear else _applied(u, layer.activation, layer.activation_parameter)

    def _convolved(self, h: Any, layer: Layer, kernel: Any) -> Any:
        size, axes = kernel.shape[-1], kernel.ndim - 2
        x = h.movedim(-1, 1)
        pads, stride = [], 1
        for before, after in zip(h.shape[1:-1], layer.shape[:-1], strict=True):
            stride = next(s for s in range(1, before + 1) if after in (-(-before // s), (before - size) // s + 1))
            same = after == -(-before // stride)
            missing = max((after - 1) * stride + size - before, 0) if same else 0
            pads = [missing // 2, missing - missing // 2, *pads]
        convolution = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
        return convolution(F.pad(x, pads), kernel, stride=stride).movedim(1, -1)

    def _through_time(self, h: Any, layer: Layer, own: dict[str, Any]) -> Any:
        state, states = torch.zeros(len(h), layer.units or 1, dtype=torch.float64), []
        for step in h.unbind(1):
            state = _applied(step @ own["kernel"].T + state @ own["again"].T + own["bias"], layer.state or "", None)
            states.append(state)
        return torch.stack(states, 1) if len(layer.shape) > 1 else state


def _applied(u: Any, name: str, parameter: float | None) -> Any:
    if name in ("relu", "linear"):
        return F.relu(u) if name == "relu" else u
    return Activation.apply(u, name, parameter)


def _normalised(h: Any, axes: tuple[int, ...], layer: Layer) -> Any:
    centred = h - h.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + layer.epsilon).sqrt()


def _pooled(h: Any, layer: Layer) -> Any:
    space = h.shape[1:-1]
    if len(layer.shape) == 1:
        flat = h.reshape(len(h), -1, h.shape[-1])
        return flat.mean(1) if layer.reduction == "average" else flat.amax(1)
    size = space[0] // (layer.shape[0] or 1)
    kinds = {"average": (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d), "max": (F.max_pool1d, F.max_pool2d, F.max_pool3d)}
    return kinds[layer.reduction or ""][len(space) - 1](h.movedim(-1, 1), size).movedim(1, -1)
