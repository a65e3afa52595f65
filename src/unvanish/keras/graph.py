"""The leaf operations of a Keras model in forward order, and what feeds each of them."""

from __future__ import annotations

from typing import Any, NamedTuple

from unvanish.errors import UnsupportedError
from unvanish.keras import compat

Source = tuple[int, int, int]
"""(id of the operation, node index, tensor index) of a symbolic tensor."""


class Leaf(NamedTuple):
    """One call of one leaf operation: a layer used twice gives two leaves."""

    name: str
    operation: Any
    call: int
    """0 for the first call of the operation in a forward pass, 1 for the second, ..."""
    sources: tuple[str, ...]


def leaves(model: Any) -> tuple[list[Leaf], tuple[str, ...]]:
    """Return the leaves in the order in which Keras runs them, and the names that give the model's outputs.

    Nested models are opened; their layers are named `outer/inner`. Raise UnsupportedError for a model that has no
    static graph (a subclassed one).
    """
    if not compat.has_graph(model):
        raise UnsupportedError(
            f"the model {model.name!r} has no static graph to read",
            found=f"a subclassed model ({type(model).__name__}); Sequential and Functional models can be read",
            hint="build the same network with keras.Sequential or keras.Model(inputs, outputs)",
        )
    found: list[Leaf] = []
    outputs = _walk(model, None, "", found, {})
    return found, tuple(outputs)


def _walk(model: Any, feeds: list[str] | None, prefix: str, found: list[Leaf], calls: dict[int, int]) -> list[str]:
    """Append the leaves of one (nested) model; `feeds` names what feeds its inputs. Return the names of its outputs."""
    nodes, inputs, outputs = compat.graph_of(model)
    names: dict[Source, str] = {}
    if feeds is not None:
        names.update(zip(inputs, feeds, strict=True))
    for node in nodes:
        operation = node.operation
        produced = compat.produced_by(node)
        if compat.is_input(operation) and feeds is not None:
            continue
        sources = tuple(names[source] for source in compat.sources_of(node))
        if compat.has_graph(operation):
            results = _walk(operation, list(sources), f"{prefix}{operation.name}/", found, calls)
        else:
            call = calls.get(id(operation), 0)
            calls[id(operation)] = call + 1
            name = _unique(f"{prefix}{operation.name}", found)
            found.append(Leaf(name, operation, call, sources))
            results = [name] * len(produced)
        names.update(zip(produced, results, strict=True))
    return [names[source] for source in outputs]


def _unique(name: str, found: list[Leaf]) -> str:
    taken = {leaf.name for leaf in found}
    if name not in taken:
        return name
    number = 2
    while f"{name}:{number}" in taken:
        number += 1
    return f"{name}:{number}"
