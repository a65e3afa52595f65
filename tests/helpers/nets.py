"""Networks as data: rows of layers, given as words."""

from __future__ import annotations

from itertools import pairwise

from msgspec.structs import replace

from unvanish.core.network import Edge, Layer, Network, WeightStats

WIDTH = 64


def dense(activation: str = "sigmoid", units: int = WIDTH, fan_in: int = WIDTH, gain: float = 1.0) -> Layer:
    """Return a dense layer whose kernel has sqrt(fan_in E w^2) = gain."""
    return Layer(
        name="",
        kind="dense",
        type="Dense",
        activation=activation,
        units=units,
        fan_in=fan_in,
        fan_out=units,
        kernel=WeightStats(mean=0.0, variance=gain * gain / fan_in, size=fan_in * units),
        bias=WeightStats(mean=0.0, variance=0.0, size=units),
        parameters=fan_in * units + units,
        shape=(units,),
    )


def other(kind: str, **fields: object) -> Layer:
    """Return a layer without a kernel."""
    return Layer(**({"name": "", "kind": kind, "type": kind, "shape": (WIDTH,)} | fields))  # type: ignore[arg-type]


def row(*layers: Layer) -> Network:
    """Return the layers in a row behind an input, named l0 (the input), l1, ...; the last one is the output."""
    named = [replace(layer, name=f"l{at}") for at, layer in enumerate((other("input"), *layers))]
    edges = tuple(Edge(a.name, b.name) for a, b in pairwise(named))
    return Network(name="net", framework="none", layers=tuple(named), edges=edges, outputs=(named[-1].name,))


def plain(activation: str = "sigmoid", depth: int = 4, *, gain: float = 1.0, units: int = WIDTH) -> Network:
    """Return hidden layers l1 .. l<depth> of one activation, and an output layer of one unit behind them."""
    hidden = [dense(activation, units, units, gain) for _ in range(depth)]
    return row(*hidden, dense("sigmoid", 1, units, gain))
