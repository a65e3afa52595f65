"""Watch one forward pass of a model on real data: which leaf layers it calls, in which order, and what feeds each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.keras.between import BEFORE, Between, explain
from unvanish.keras.graph import Graph, Leaf, inside, is_made_of_layers, unfolded, unique
from unvanish.keras.probe import restored
from unvanish.keras.shadow import shadowed

_ROWS = 4
"""Samples on which values are compared."""
Array = NDArray[Any]


class Call(NamedTuple):
    """Hold one call of a leaf layer; values are those of the first samples."""

    name: str
    layer: Any
    inputs: list[Array]
    outputs: list[Array]
    shape: tuple[int | None, ...]


class Watched(NamedTuple):
    """Hold one forward pass."""

    calls: list[Call]
    inputs: list[Array]
    outputs: list[Array]
    shapes: tuple[tuple[int | None, ...], ...]


def watch(model: Any, x: Any, forward: Any = None) -> Watched:
    """Run the model (or another forward pass through its layers) in training mode on x, and put back what that moved.

    Raise what the model raises on such inputs.
    """
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
    calls: list[Call] = []
    path: list[str] = []
    with restored(model), ExitStack() as stack:
        for layer in {id(layer): layer for layer in inside(model)}.values():
            watcher = _opened(layer, path) if is_made_of_layers(layer) else _noted(layer, path, calls)
            stack.enter_context(shadowed(layer, call=watcher))
        outputs = keras.tree.flatten((forward or model)(tensors, training=True))
    shapes = tuple((None, *output.shape[1:]) for output in outputs)
    return Watched(calls, _values(tensors), _values(outputs), shapes)


def traced_graph(seen: Watched) -> Graph:
    """Return the graph that one forward pass shows; where it does not show what feeds a layer, the layer before it."""
    found: list[Leaf] = []
    notes: list[str] = []
    counts: dict[int, int] = {}
    known: list[tuple[str, Array]] = []
    for number, values in enumerate(seen.inputs):
        name = unique("input" if len(seen.inputs) == 1 else f"input_{number}", found)
        found.append(Leaf(name, Between("input"), 0, (), tuple(values.shape[1:])))
        known.append((name, values))
    for call in seen.calls:
        sources = tuple(_source(values, known, found, notes, call.name) for values in call.inputs) or _last(known)
        name = unique(call.name, found)
        number = counts.get(id(call.layer), 0)
        counts[id(call.layer)] = number + 1
        found += unfolded(Leaf(name, call.layer, number, sources, call.shape))
        known += [(name, values) for values in call.outputs]
    outputs = tuple(_source(values, known, found, notes, "the output") for values in seen.outputs)
    return Graph(found, outputs, seen.shapes, traced=True, notes=tuple(dict.fromkeys(notes)))


def _source(values: Array, known: list[tuple[str, Array]], found: list[Leaf], notes: list[str], wanted_by: str) -> str:
    """Return the name of what made these values, having added the operations in between."""
    made = explain(values, known)
    if isinstance(made, str):
        return made
    if made is None:
        last = known[-1][0]
        notes.append(f"what feeds {wanted_by} is not made by a layer: taken to follow {last}")
        return last
    for step in made:
        sources = tuple(found[-1].name if source == BEFORE else source for source in step.sources)
        name = unique(step.operation.name, found)
        found.append(Leaf(name, step.operation, 0, sources, tuple(values.shape[1:])))
    known.append((found[-1].name, values))
    return found[-1].name


def _last(known: list[tuple[str, Array]]) -> tuple[str, ...]:
    return (known[-1][0],) if known else ()


def _noted(layer: Any, path: list[str], calls: list[Call]) -> Callable[..., Any]:
    call = layer.call

    def noting(*args: Any, **kwargs: Any) -> Any:
        name = "".join(path) + layer.name
        output = call(*args, **kwargs)
        shape = getattr(keras.tree.flatten(output)[0], "shape", (None,))
        calls.append(Call(name, layer, _values(args), _values(output), tuple(shape[1:])))
        return output

    return noting


def _opened(layer: Any, path: list[str]) -> Callable[..., Any]:
    call = layer.call

    def opening(*args: Any, **kwargs: Any) -> Any:
        with _within(path, f"{layer.name}/"):
            return call(*args, **kwargs)

    return opening


@contextmanager
def _within(path: list[str], name: str) -> Iterator[None]:
    path.append(name)
    try:
        yield
    finally:
        path.pop()


def _values(tensors: Any) -> list[Array]:
    """Return the first samples of each tensor, as arrays."""
    flat = [t for t in keras.tree.flatten(tensors) if keras.ops.is_tensor(t) and len(t.shape)]
    return [np.asarray(keras.ops.convert_to_numpy(tensor[:_ROWS])) for tensor in flat]
