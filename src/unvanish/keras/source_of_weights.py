"""How edits of the weights are written in the source of a model: initializers, and a line that measures."""

from __future__ import annotations

from typing import Any

from unvanish.core.edit import CarryState, Edit, Redraw, RedrawRecurrence, UnitVariance
from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.expressions import Raw
from unvanish.keras.graph import Leaf, leaves
from unvanish.keras.kinds import kind_of
from unvanish.keras.mirrors import layouts
from unvanish.keras.operation import initializers
from unvanish.keras.recurrence import carrying, gates


def initializers_of(model: Any, edits: tuple[Edit, ...]) -> dict[int, Raw]:
    """Return, by the id of a layer, the expressions of initializers that its configuration does not have, or not short.

    Raise UnsupportedError for layers whose configuration has no place for them.
    """
    found, outputs = leaves(model)
    named = {leaf.name: leaf for leaf in found}
    raw: dict[int, Raw] = {}
    for edit in edits:
        if isinstance(edit, Redraw):
            mirrored = layouts(found, outputs, edit) if edit.scheme == "looks_linear" else {}
            for name in edit.layers:
                if edit.scheme == "centred_orthogonal":
                    raw[id(named[name].operation)] = {"**": f"centred({edit.gain:g})"}
                elif edit.scheme == "looks_linear":
                    raw[id(named[name].operation)] = {"kernel_initializer": mirrored[name].expression}
                elif edit.scheme == "orthogonal" and kind_of(named[name].operation) == "recurrent":
                    raise UnsupportedError(
                        "the model's source cannot be written",
                        found=f"an input kernel of {name!r} with an orthogonal block for each gate",
                        hint="orthogonal-recurrence is about the recurrent one",
                    )
                elif edit.word and initializers(named[name].operation, edit).get("kernel_initializer") == edit.word:
                    raw[id(named[name].operation)] = {"kernel_initializer": f'"{edit.word}"'}
        elif isinstance(edit, RedrawRecurrence | CarryState):
            for name in edit.layers:
                told = (
                    _recurrence(named[name], edit) if isinstance(edit, RedrawRecurrence) else _gate(named[name], edit)
                )
                raw[id(named[name].operation)] = {**raw.get(id(named[name].operation), {}), **told}
    return raw


def scaling_of(model: Any, edits: tuple[Edit, ...]) -> list[str]:
    """Return the line that measures on a `batch`; nothing where no edit does. Raise UnsupportedError for some."""
    named = {leaf.name: leaf.operation for leaf in leaves(model)[0]}
    wanted = [named[name] for edit in edits if isinstance(edit, UnitVariance) for name in edit.layers]
    if not wanted:
        return []
    places = {id(layer): place for place, layer in enumerate(model.layers)}
    for layer in wanted:
        if id(layer) not in places or len(compat.calls_of(layer)) != 1:
            raise UnsupportedError(
                "the model's source cannot be written",
                found=f"a scale that is measured in front of {layer.name!r}, which is shared or in a nested model",
                hint="cure.fresh(seed) has such weights",
            )
    told = tuple(sorted(places[id(layer)] for layer in wanted))
    return [f"unit_variance(model, [model.layers[i] for i in {told}], batch)"]


def _recurrence(leaf: Leaf, edit: RedrawRecurrence) -> Raw:
    _require(leaf, "recurrent_initializer")
    if gates(leaf.operation) > 1:
        told = "" if edit.gain == 1.0 else f"{edit.gain:g}"
        return {"recurrent_initializer": f"OrthogonalBlocks({told})"}
    shipped = f"keras.initializers.Orthogonal(gain={edit.gain:g})"
    return {"recurrent_initializer": '"orthogonal"' if edit.gain == 1.0 else shipped}


def _gate(leaf: Leaf, edit: CarryState) -> Raw:
    config = _require(leaf, "bias_initializer")
    usual = config["bias_initializer"]
    if (usual.get("class_name") if isinstance(usual, dict) else usual) not in ("Zeros", "zeros"):
        raise UnsupportedError(
            "the model's source cannot be written",
            found=f"biases of {leaf.name!r} that begin elsewhere than at zero, and one gate of them edited",
            hint="bias_initializer='zeros'",
        )
    told = {"bias_initializer": f"OpenGate({edit.bias:g}, {carrying(leaf.operation)}, {gates(leaf.operation)})"}
    return {**told, "unit_forget_bias": "False"} if "unit_forget_bias" in config else told


def _require(leaf: Leaf, name: str) -> dict[str, Any]:
    """Return the configuration of a layer, which has such an entry. Raise UnsupportedError where it has none."""
    config: dict[str, Any] = leaf.operation.get_config()
    if name not in config:
        raise UnsupportedError(
            "the model's source cannot be written",
            found=f"{leaf.name!r} ({type(leaf.operation).__name__}) takes no {name}",
            hint="SimpleRNN, LSTM and GRU layers do",
        )
    return config
