"""Networks built twice from one description: as the record that theory reads, and as a real float64 network."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from unvanish.core.network import Edge, Layer, Network, WeightStats
from unvanish.testing import reference
from unvanish.testing.reference.network import OPERATIONS

Array = Any
INITIAL: dict[str, Callable[[int, int], float]] = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
    "torch": lambda fan_in, fan_out: 1 / (3 * fan_in),
}
"""Variance of one weight."""


def stats(array: Array, *, orthogonal: bool = False) -> WeightStats:
    return WeightStats(mean=float(array.mean()), variance=float(array.var()), size=array.size, orthogonal=orthogonal)


def is_orthogonal(kernel: Array) -> bool:
    flat = kernel.reshape(-1, kernel.shape[-1])
    gram = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
    return bool(gram[0, 0] > 0 and np.allclose(gram, gram[0, 0] * np.eye(len(gram)), rtol=0, atol=1e-9 * gram[0, 0]))


class Build:
    """Add layers one after the other; each method returns the layer's name. `source=` reads another than the last."""

    def __init__(self, shape: Sequence[int] = (20,), seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.layers = [Layer(name="input", kind="input", type="Input", shape=tuple(shape))]
        self.edges: list[Edge] = []
        self.nodes = [reference.Node("input", "identity")]

    @property
    def last(self) -> str:
        return self.layers[-1].name

    def dense(
        self, units: int, activation: str = "linear", init: Any = "glorot", bias: float = 0.0, **more: Any
    ) -> str:
        shape = self._source(more).shape
        kernel = self._kernel((shape[-1], units), shape[-1], units, init)
        fans = {"fan_in": shape[-1], "fan_out": units}
        return self._with_kernel("dense", kernel, shape[:-1], fans, {}, bias, {"activation": activation, **more})

    def conv(
        self,
        units: int,
        activation: str = "linear",
        init: Any = "he",
        size: int = 3,
        stride: int = 1,
        padding: str = "same",
        **more: Any,
    ) -> str:
        *space, channels = self._source(more).shape
        field = size ** len(space)
        kernel = self._kernel((*[size] * len(space), channels, units), field * channels, field * units, init)
        shape = tuple(-(-n // stride) if padding == "same" else (n - size) // stride + 1 for n in space)
        options = {"strides": [stride] * len(space), "padding": padding}
        fans = {"fan_in": field * channels, "fan_out": field * units}
        return self._with_kernel("conv", kernel, shape, fans, options, 0.0, {"activation": activation, **more})

    def activation(self, name: str, **more: Any) -> str:
        return self._add("activation", "identity", self._source(more).shape, more | {"activation": name})

    def batch_norm(self, epsilon: float = 1e-3, **more: Any) -> str:
        return self._norm("batch_norm", epsilon, more)

    def layer_norm(self, epsilon: float = 1e-3, **more: Any) -> str:
        return self._norm("layer_norm", epsilon, more)

    def dropout(self, keep: float, **more: Any) -> str:
        options = {"keep": keep, "seed": int(self.rng.integers(1 << 30))}
        return self._add("dropout", "dropout", self._source(more).shape, more | {"keep": keep}, options=options)

    def add(self, *sources: str) -> str:
        return self._add("add", "add", self._at(sources[0]).shape, {"sources": sources})

    def flatten(self, **more: Any) -> str:
        return self._add("flatten", "flatten", (math.prod(self._source(more).shape),), more)

    def pool(self, size: int | None, reduction: str, **more: Any) -> str:
        *space, channels = self._source(more).shape
        more |= {"reduction": reduction}
        if size is None:
            return self._add("pool", f"global_{reduction}_pool", (channels,), more)
        options = {"size": [size] * len(space), "strides": [size] * len(space), "padding": "valid"}
        return self._add("pool", f"{reduction}_pool", (*[n // size for n in space], channels), more, options=options)

    def other(self, **more: Any) -> str:
        return self._add("other", "identity", self._source(more).shape, more)

    def network(self) -> Network:
        layers, edges = tuple(self.layers), tuple(self.edges)
        return Network(name="net", framework="numpy", layers=layers, edges=edges, outputs=(self.last,))

    def run(self, x: Array, y: Array, loss: str = "binary_crossentropy") -> dict[str, reference.LayerPass]:
        return reference.Network(self.nodes).run(x, y, loss).layers

    def _kernel(self, shape: tuple[int, ...], fan_in: int, fan_out: int, init: Any) -> Array:
        if callable(init):
            return init(shape)
        if init == "orthogonal":
            matrix = np.linalg.qr(self.rng.standard_normal((max(shape), min(shape))))[0]
            return matrix if shape[0] >= shape[1] else matrix.T
        variance = INITIAL[init](fan_in, fan_out) if isinstance(init, str) else init * init / fan_in
        return self.rng.uniform(-1, 1, shape) * math.sqrt(3 * variance)

    def _with_kernel(
        self,
        kind: str,
        kernel: Array,
        space: Sequence[int],
        fans: dict[str, int],
        options: dict[str, Any],
        bias: float,
        more: dict[str, Any],
    ) -> str:
        units = kernel.shape[-1]
        b = self.rng.standard_normal(units) * bias
        known = {"kernel": stats(kernel, orthogonal=is_orthogonal(kernel)), "bias": stats(b), **fans}
        return self._add(kind, kind, (*space, units), more | known, {"kernel": kernel, "bias": b}, options)

    def _norm(self, kind: str, epsilon: float, more: dict[str, Any]) -> str:
        shape = self._source(more).shape
        one, zero = np.ones(shape[-1]), np.zeros(shape[-1])
        known = {"epsilon": epsilon, "scale": stats(one), "shift": stats(zero)}
        return self._add(kind, kind, shape, more | known, {"scale": one, "shift": zero}, {"epsilon": epsilon})

    def _add(
        self,
        kind: str,
        operation: str,
        shape: Sequence[int],
        fields: dict[str, Any],
        weights: dict[str, Array] | None = None,
        options: dict[str, Any] | None = None,
    ) -> str:
        fields = {"units": shape[-1], "name": f"{kind}_{len(self.layers)}", **fields}
        sources = list(fields.pop("sources", None) or [fields.pop("source", None) or self.last])
        self.layers.append(Layer(kind=kind, type=kind, shape=tuple(shape), **fields))
        self.edges += [Edge(source, self.last) for source in sources]
        activation, parameter = fields.get("activation", "linear"), fields.get("activation_parameter")
        self.nodes.append(
            reference.Node(self.last, operation, sources, weights or {}, options or {}, activation, parameter)
        )
        return self.last

    def _source(self, more: dict[str, Any]) -> Layer:
        return self._at(more["source"]) if "source" in more else self.layers[-1]

    def _at(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)


def stack(
    depth: int,
    activation: str,
    init: Any = "glorot",
    block: str = "plain",
    width: int = 64,
    outputs: int = 1,
    bias: float = 0.0,
) -> Callable[[Build], None]:
    """Return what builds `depth` hidden blocks and a head (sigmoid for one output, softmax for more)."""

    def build(net: Build) -> None:
        for number in range(depth):
            trunk = net.last
            fused = block in ("plain", "dropout", "residual")
            net.dense(width, activation if fused else "linear", init, bias)
            if block.endswith("_before"):
                getattr(net, block.removesuffix("_before"))()
            if not fused:
                net.activation(activation)
            if block.endswith("_after"):
                getattr(net, block.removesuffix("_after"))()
            if block == "dropout":
                net.dropout(0.7)
            if block == "residual" and number:
                net.add(trunk, net.last)
        net.dense(outputs, "sigmoid" if outputs == 1 else "softmax")

    return build


def measured(build: Callable[[Build], None], seeds: int, *, shape: Sequence[int] = (20,), batch: int = 32) -> Any:
    """Return (the networks, their passes) of that many initialisations, each on fresh U(0, 1) inputs, random labels."""
    networks, passes = [], []
    for seed in range(seeds):
        net = Build(shape, seed)
        build(net)
        rng = np.random.default_rng(10_000 + seed)
        x, units = rng.random((batch, *shape)), net.layers[-1].units
        if units == 1:
            y, loss = rng.integers(0, 2, (batch, 1)).astype(float), "binary_crossentropy"
        else:
            y, loss = np.eye(units)[rng.integers(0, units, batch)], "categorical_crossentropy"
        networks.append(net.network())
        passes.append(net.run(x, y, loss))
    return networks, passes


def gradient_norm(seen: reference.LayerPass) -> float:
    return float(np.linalg.norm(seen.d_weights["kernel"]))


def _dropout(x: Array, *, keep: float, seed: int) -> Any:
    mask = (np.random.default_rng(seed).random(x.shape) < keep) / keep
    return x * mask, lambda d: ([d * mask], {})


@pytest.fixture(autouse=True)
def dropout_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the reference a dropout, which it does not have: its masks are drawn from the seed in the options."""
    monkeypatch.setitem(OPERATIONS, "dropout", _dropout)


@pytest.fixture(scope="session")
def networks() -> SimpleNamespace:
    """Return the builders above: Build, stack, measured, gradient_norm, and `of` for a network at once."""

    def of(build: Callable[[Build], None], shape: Sequence[int] = (20,), seed: int = 0) -> Network:
        net = Build(shape, seed)
        build(net)
        return net.network()

    return SimpleNamespace(Build=Build, stack=stack, measured=measured, gradient_norm=gradient_norm, of=of)
