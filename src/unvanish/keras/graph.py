"""The leaf operations of a Keras model in forward order, and what feeds each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import keras

from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.backends.uncompiled import uncompiled
from unvanish.keras.between import Between

Source = tuple[int, int, int]
"""(id of the operation, node index, tensor index) of a symbolic tensor."""


class Leaf(NamedTuple):
    """One call of one leaf operation: a layer used twice gives two leaves."""

    name: str
    operation: Any
    call: int
    """0 for the first call of the operation in a forward pass, 1 for the second, ..."""
    sources: tuple[str, ...]
    shape: tuple[int | None, ...] = ()
    """Of the (first) output, without the batch axis."""
    factor: Any = None
    """What a product multiplies its one source by: a number, an array, a variable; None for other operations."""


class Graph(NamedTuple):
    """Hold how the leaves of one model hang together."""

    leaves: list[Leaf]
    outputs: tuple[str, ...]
    """Names of the leaves that give the model's outputs."""
    shapes: tuple[tuple[int | None, ...], ...] = ()
    """Of the model's outputs, batch axis included."""
    forward: Any = None
    """The same computation with every operation as a leaf that can be tapped; None where the model is that itself."""
    traced: bool = False
    """Whether this is one forward pass, for want of a static graph."""
    notes: tuple[str, ...] = ()
    """What could not be found out, in words."""
    shown: Any = None
    """Inputs (arrays) that it was read on; None where the graph is static."""


_READ: WeakKeyDictionary[Any, Graph] = WeakKeyDictionary()
"""What was found out about models that had to be read by a forward pass."""


def graph(model: Any) -> Graph:
    """Return the graph of a model that has a static one, or of one that was read before.

    Nested models and layers that are made of layers are opened; what is inside is named `outer/inner`. Raise
    UnsupportedError for a subclassed model of which nothing but its class is known yet.
    """
    if model in _READ:
        return _READ[model]
    if not compat.has_graph(model):
        raise UnsupportedError(
            f"the model {model.name!r} has no static graph to read",
            found=f"a subclassed model ({type(model).__name__}) that was not run on data yet",
            hint="an example of what it takes, unvanish.forecast(model, input=x); unvanish.check(model, x, y) has one",
        )
    return _static(model)


def remember(model: Any, found: Graph) -> None:
    """Keep what a forward pass found out about the model, for as long as the model lives."""
    _READ[model] = found


def leaves(model: Any) -> tuple[list[Leaf], tuple[str, ...]]:
    """Return the leaves in the order in which Keras runs them, and the names that give the model's outputs.

    Raise UnsupportedError as `graph` does.
    """
    found = graph(model)
    return found.leaves, found.outputs


def forward(model: Any) -> Callable[..., Any]:
    """Return what computes the model's outputs from its inputs, called as (x, training=...), leaf by leaf."""
    found = _READ.get(model)
    run: Callable[..., Any] = model if found is None or found.forward is None else found.forward
    return uncompiled()(run)


def walk(
    nodes: list[Any], feeds: dict[Source, str], outputs: list[Source], prefixes: dict[int, str]
) -> tuple[list[Leaf], list[str]]:
    """Return the leaves of a graph's nodes, nested models opened, and the names of its outputs.

    feeds: names of what feeds its inputs, where that is no input layer. prefixes: id of a node -> what its name begins
    with.
    """
    found: list[Leaf] = []
    return found, _walk(nodes, feeds, outputs, "", found, {}, prefixes)


def _static(model: Any) -> Graph:
    nodes, _, outputs = compat.graph_of(model)
    found, names = walk(nodes, {}, outputs, {})
    return Graph(found, tuple(names), tuple(tuple(output.shape) for output in model.outputs))


def _walk(
    nodes: list[Any],
    names: dict[Source, str],
    outputs: list[Source],
    prefix: str,
    found: list[Leaf],
    calls: dict[int, int],
    prefixes: dict[int, str],
) -> list[str]:
    """Append the leaves of one (nested) graph; `names` begins with what feeds it. Return the names of its outputs."""
    nested = bool(names)
    for node in nodes:
        operation = node.operation
        produced = compat.produced_by(node)
        if compat.is_input(operation) and nested:
            continue
        sources = tuple(names[source] for source in compat.sources_of(node) if names[source])
        if compat.has_graph(operation):
            inner, inputs, inner_outputs = compat.graph_of(operation)
            feeds = dict(zip(inputs, sources, strict=True))
            within = f"{prefix}{operation.name}/"
            results = _walk(inner, feeds, inner_outputs, within, found, calls, prefixes)
        elif not any(compat.is_float(tensor) for tensor in node.output_tensors) and not compat.is_input(operation):
            results = [sources[0] if sources else ""] * len(produced)  # a mask, an index: no gradient goes through
        else:
            call = calls.get(id(operation), 0)
            calls[id(operation)] = call + 1
            name = unique(f"{prefix}{prefixes.get(id(node), '')}{operation.name}", found)
            found += unfolded(Leaf(name, operation, call, sources, _shape(node), compat.factor_of(node)))
            results = [name] * len(produced)
        names.update(zip(produced, results, strict=True))
    return [names[source] for source in outputs]


def _shape(node: Any) -> tuple[int | None, ...]:
    tensors = node.output_tensors
    return tuple(tensors[0].shape[1:]) if tensors else ()


def unique(name: str, found: list[Leaf]) -> str:
    """Return the name, with `:2`, `:3`, ... behind it where it is taken already."""
    taken = {leaf.name for leaf in found}
    if name not in taken:
        return name
    number = 2
    while f"{name}:{number}" in taken:
        number += 1
    return f"{name}:{number}"


_JOINED = {"concat": "concatenate", "mul": "multiply", "sum": "add"}


def unfolded(leaf: Leaf) -> list[Leaf]:
    """Return a Bidirectional as its two recurrent layers and what joins them; any other leaf as it is."""
    layer = leaf.operation
    if not isinstance(layer, keras.layers.Bidirectional) or not compat.is_keras_own(layer):
        return [leaf]
    names = [f"{leaf.name}/{part.name}" for part in (layer.forward_layer, layer.backward_layer)]
    parts = zip(names, (layer.forward_layer, layer.backward_layer), strict=True)
    each = [Leaf(name, part, leaf.call, leaf.sources, _half(leaf, part)) for name, part in parts]
    kind = _JOINED.get(layer.merge_mode, "other")
    return [*each, Leaf(leaf.name, Between(kind, part_of=type(layer).__name__), 0, tuple(names), leaf.shape)]


def _half(leaf: Leaf, part: Any) -> tuple[int | None, ...]:
    units = getattr(part, "units", None)
    return leaf.shape if units is None else (*leaf.shape[:-1], units)


def inside(model: Any) -> Iterator[Any]:
    """Yield the layers of the model that a forward pass calls as layers: those inside an opened one, not in a leaf."""
    for layer in compat.children(model):
        yield layer
        if is_made_of_layers(layer):
            yield from inside(layer)


def is_made_of_layers(layer: Any) -> bool:
    """Say whether the layer is to be opened: a model, or a layer of the user's own that holds other layers.

    Layers that Keras itself makes of layers (a recurrent layer of its cell, attention of its projections) are not.
    """
    if isinstance(layer, keras.Model):
        return True
    return not compat.is_keras_own(layer) and bool(compat.children(layer))
