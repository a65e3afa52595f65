"""Read a model that has no static graph: run its own `call` once on symbolic tensors, every layer of layers opened.

Whatever is written in layers, `keras.ops` and operators becomes a graph of operations, which runs as the model does and
can be tapped anywhere. It is believed only where it gives what the model itself gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np

from unvanish.keras import compat
from unvanish.keras.backends.uncompiled import uncompiled
from unvanish.keras.graph import Graph, inside, is_made_of_layers, remember, walk
from unvanish.keras.shadow import shadowed
from unvanish.keras.tracing import Watched, traced_graph, watch

_NAME = "unvanish_reading"


def symbolic_graph(model: Any, x: Any) -> Graph:
    """Return the graph of a built model for inputs like x (arrays); raise whatever the model raises on symbolic ones.

    Nothing is left on the model or its layers.
    """
    layers = [model, *inside(model)]
    with compat.no_symbolic_trace(compat.flat_layers(model)), ExitStack() as stack:
        inputs = keras.tree.map_structure(_input, x)
        reader = _Reader(model)
        for layer in {id(layer): layer for layer in layers}.values():
            own = reader.opened if is_made_of_layers(layer) else reader.noted
            stack.enter_context(shadowed(layer, symbolic_call=own(layer)))
        outputs = model(inputs, training=True)
        reader.settle()
        function = keras.Model(keras.tree.flatten(inputs), outputs, name=_NAME)
        nodes = compat.nodes_of(function)
        ends = [compat.source_of(tensor) for tensor in function.outputs]
        found, names = walk(nodes, {}, ends, reader.prefixes)
    shapes = tuple(tuple(output.shape) for output in function.outputs)
    return Graph(found, tuple(names), shapes, _Forward(function), traced=True)


class _Forward:
    """Run a functional model on inputs in the structure that the user's model takes."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def __call__(self, x: Any, *, training: bool) -> Any:
        """Return what the user's model would."""
        return self._function(keras.tree.flatten(x), training=training)


class _Reader:
    """Keep the books of one symbolic pass: in which layer of layers a call is made, and who really made a tensor."""

    def __init__(self, model: Any) -> None:
        self._inside: list[str] = []
        self._model = model
        self._made: dict[int, tuple[Any, Any]] = {}
        self._noted: list[tuple[Any, int, str]] = []
        self.prefixes: dict[int, str] = {}

    def opened(self, layer: Any) -> Callable[..., Any]:
        """Return what a layer of layers is to do on symbolic tensors: run its own code."""
        call = layer.call

        def symbolic_call(*args: Any, **kwargs: Any) -> Any:
            with self._within("" if layer is self._model else f"{layer.name}/"):
                outputs = call(*args, **kwargs)
            for tensor in keras.tree.flatten(outputs):  # the innermost is first, and knows
                self._made.setdefault(id(tensor), (tensor, compat.history_of(tensor)))
            return outputs

        return symbolic_call

    def noted(self, layer: Any) -> Callable[..., Any]:
        """Return what a leaf is to do on symbolic tensors: what it does, having noted where."""
        symbolic_call = layer.symbolic_call

        def noting(*args: Any, **kwargs: Any) -> Any:
            self._noted.append((layer, len(compat.calls_of(layer)), "".join(self._inside)))
            return symbolic_call(*args, **kwargs)

        return noting

    def settle(self) -> None:
        """Let every tensor come from the operation that made it, not from a layer that handed it on."""
        for tensor, history in self._made.values():
            compat.set_history(tensor, history)
        for layer, number, prefix in self._noted:
            self.prefixes[id(compat.calls_of(layer)[number])] = prefix

    @contextmanager
    def _within(self, name: str) -> Iterator[None]:
        self._inside.append(name)
        try:
            yield
        finally:
            self._inside.pop()


def read(model: Any, x: Any) -> None:
    """Find out how a built model's layers hang together, where no static graph says so, by running it on inputs x.

    Seeds, moving averages and everything else that a forward pass moves are put back to the bit. Raise what the model
    raises on such inputs.
    """
    if compat.has_graph(model) and all(
        compat.has_graph(layer) or not is_made_of_layers(layer) for layer in inside(model)
    ):
        return
    with uncompiled():
        seen = watch(model, x)
        try:
            found = symbolic_graph(model, x)
            agrees = _agrees(model, found, seen, x)
        except Exception:  # code that symbolic tensors do not go through: NumPy, the backend's functions, conditions
            agrees = False
    remember(model, (found if agrees else traced_graph(seen))._replace(shown=x))


def _agrees(model: Any, found: Graph, seen: Watched, x: Any) -> bool:
    """Say whether the graph gives the model's own outputs, and holds every layer that the model calls."""
    called = {id(call.layer) for call in seen.calls}
    if not called <= {id(leaf.operation) for leaf in found.leaves}:
        return False
    again = watch(model, x, found.forward)
    return same_outputs(again.outputs, seen.outputs)


def same_outputs(some: Sequence[Any], others: Sequence[Any], *, equal_nan: bool = False) -> bool:
    """Say whether two models gave the same arrays, up to rounding in float32: relative to the size of each array."""
    return len(some) == len(others) and all(
        a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6 * _size(b), equal_nan=equal_nan)
        for a, b in zip(some, others, strict=True)
    )


def _size(array: Any) -> float:
    return float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0))


def _input(array: Any) -> Any:
    """Return a symbolic input like the array, of any number of samples."""
    return keras.Input(batch_shape=(None, *np.shape(array)[1:]), dtype=keras.backend.standardize_dtype(array.dtype))
