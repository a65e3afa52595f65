"""Carry out a prescription on a copy of a Sequential or Functional model; the model itself is only read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from unvanish.core.edit import (
    AddNorm,
    AddResidual,
    Edit,
    OfOptimizer,
    OfWeights,
    Redraw,
    StandardiseInputs,
    SwapActivation,
)
from unvanish.errors import UnsupportedError, UsageError
from unvanish.keras import compat
from unvanish.keras.counterparts import settle
from unvanish.keras.graph import Leaf, is_made_of_layers, leaves
from unvanish.keras.in_place import second
from unvanish.keras.kinds import kernel_of, kind_of
from unvanish.keras.operation import Operation
from unvanish.keras.rebuild import rebuilt
from unvanish.keras.remade import Reseed
from unvanish.keras.standardise import layer_of


class Operated:
    """Hold a rebuilt model, and which of its layers was made from which of the original."""

    def __init__(self, model: Any, made: dict[int, Any]) -> None:
        """made: id of an original layer -> the new one."""
        self.model, self.made = model, made


def operated(model: Any, edits: Sequence[Edit] = (), reseed: Reseed | None = None) -> Operated:
    """Return a new, uncompiled model with the edits; without any it computes what the model does, given its weights.

    Everything else is kept: names, nesting, sharing, regularisers, dropout, dtypes, what is frozen. The weights are new
    ones of each layer's initializer; a `Redraw` changes the declared initializers where Keras ships them (`draw` gives
    the values of all edits of weights), edits of the optimizer change nothing here. reseed: see `remade`. The model is
    not changed.

    Of a subclassed model, which cannot be rebuilt, it is another one of its class, with what can be changed in place.

    Raise UnsupportedError for layers that cannot be made a second time, and for edits that do not fit; UsageError for a
    layer that is not there.
    """
    if not compat.has_graph(model):
        return _settled(model, *second(model, edits))
    require_rebuildable(model)
    found, outputs = leaves(model)
    work = {id(leaf.operation): Operation() for leaf in found}
    front = None
    for edit in edits:
        if isinstance(edit, StandardiseInputs):
            front = layer_of(edit)
        elif not isinstance(edit, OfOptimizer | OfWeights | SwapActivation | AddNorm | AddResidual):
            raise UnsupportedError(
                f"the edit {type(edit).__name__} is not known to Keras' surgery",
                found=repr(edit),
                hint="one of unvanish.core.edit",
            )
        for name in getattr(edit, "layers", ()):
            leaf = _leaf(model, found, name)
            planned = work[id(leaf.operation)]
            if isinstance(edit, SwapActivation):
                _require_activation(leaf)
                planned.activation = (edit.activation, edit.parameter)
            elif isinstance(edit, Redraw):
                planned.redraw = edit
            elif isinstance(edit, AddNorm):
                _require_outer_activation(leaf, edit)
                planned.norm = edit
                planned.follower = _follower(leaf, found, outputs)
            elif isinstance(edit, AddResidual):
                planned.residual = True
                planned.follower = _follower(leaf, found, outputs)
    wanted = {key for key, planned in work.items() if planned.wanted}
    new, made = rebuilt(model, {key: work[key] for key in wanted}, reseed, front)
    lost = [leaf.name for leaf in found if id(leaf.operation) in wanted - made.keys()]
    if lost:
        raise UnsupportedError(
            f"the layer {lost[0]!r} is inside another layer and cannot be changed from outside",
            found="only layers of Sequential and Functional models, nested ones included, can be rebuilt",
            numbers={"layers": len(lost)},
            hint="change it where that layer is made",
        )
    return _settled(model, new, made)


def _settled(model: Any, new: Any, made: dict[int, Any]) -> Operated:
    settle(model, made)
    return Operated(new, made)


def require_rebuildable(model: Any) -> None:
    """Raise UnsupportedError for a model whose layers hold models without a static graph."""
    unknown = [layer for layer in compat.flat_layers(model) if isinstance(layer, keras.Model)]
    for part in unknown:
        if not compat.has_graph(part):
            raise UnsupportedError(
                f"the model {part.name!r} cannot be rebuilt",
                found=f"a subclassed model ({type(part).__name__}): what it does stands in its own code alone",
                numbers={"can be rebuilt": "Sequential and Functional models"},
                hint="change its class by hand, or write it with keras.Model(inputs, outputs)",
            )


def _leaf(model: Any, found: list[Leaf], name: str) -> Leaf:
    for leaf in found:
        if leaf.name == name:
            return leaf
    raise UsageError(
        f"the model {model.name!r} has no layer {name!r}",
        found=f"layers: {', '.join(leaf.name for leaf in found)}",
        hint="take the names from unvanish.check(model, x, y).network",
    )


def _require_activation(leaf: Leaf) -> None:
    kind = kind_of(leaf.operation)
    own = kind in ("dense", "conv") and hasattr(leaf.operation, "activation")
    if not own and kind != "activation":
        raise UnsupportedError(
            f"the activation of {leaf.name!r} cannot be exchanged",
            found=f"a layer of the kind {kind}",
            hint="name dense, convolution and activation layers",
        )


def _require_outer_activation(leaf: Leaf, edit: AddNorm) -> None:
    """Raise UnsupportedError for what would go before an activation that is applied between two steps in time."""
    if edit.before and kind_of(leaf.operation) == "recurrent":
        raise UnsupportedError(
            f"nothing can be put before the activation of {leaf.name!r}",
            found="a recurrent layer, which applies it at every step",
            hint="put it behind the layer: before=False",
        )


def _follower(leaf: Leaf, found: list[Leaf], outputs: tuple[str, ...]) -> Any:
    """Return the activation operation that alone reads what leaves this kernel layer; None where there is none."""
    if kernel_of(leaf.operation) is None or is_made_of_layers(leaf.operation):
        raise UnsupportedError(
            f"nothing can be put behind {leaf.name!r}",
            found=f"a layer of the kind {kind_of(leaf.operation)}, without a kernel",
            hint="name dense and convolution layers",
        )
    readers = [other for other in found if leaf.name in other.sources]
    alone = len(readers) == 1 and leaf.name not in outputs
    return readers[0].operation if alone and kind_of(readers[0].operation) == "activation" else None
