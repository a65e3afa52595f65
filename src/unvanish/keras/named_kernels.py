"""The kernels of a model by the names of their layers, in forward order."""

from __future__ import annotations

from typing import Any

from unvanish.keras import compat
from unvanish.keras.graph import leaves
from unvanish.keras.kinds import kernel_of


def kernels_by_name(model: Any) -> dict[str, Any]:
    """Return the kernel of each layer that has one, named as `describe` names it.

    Of a model whose forward pass is not known as a graph: in the order in which its layers were made, by their paths.
    """
    if compat.has_graph(model):
        named = [(leaf.name, leaf.operation) for leaf in leaves(model)[0]]
    else:
        named = [(getattr(layer, "path", None) or layer.name, layer) for layer in compat.flat_layers(model)[1:]]
    found: dict[str, Any] = {}
    seen: set[int] = set()
    for name, operation in named:
        kernel = kernel_of(operation) if getattr(operation, "built", True) else None
        if kernel is not None and id(kernel) not in seen:
            seen.add(id(kernel))
            found[name] = kernel
    return found
