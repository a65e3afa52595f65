"""Make a second model of a subclassed one, and carry out on it what needs no other architecture.

What such a model does stands in its own code alone: layers cannot be put between its layers. Its class can be asked for
another of its kind, and what that begins with, what its layers apply and how it is stepped can be changed.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from unvanish.core.edit import Edit, OfOptimizer, OfWeights, SwapActivation
from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.graph import Graph, Leaf, graph, remember
from unvanish.keras.kinds import kind_of
from unvanish.keras.operation import activation_of
from unvanish.keras.reading import read, same_outputs


def second(model: Any, edits: Sequence[Edit] = ()) -> tuple[Any, dict[int, Any]]:
    """Return another model of the same class, built, and id of a layer of the original -> the one in its place.

    Its activations are edited; edits of weights and of the optimizer are left to others. Its weights are those that its
    own constructor draws, seeds that are written there included. It is believed only where it has the same layers and,
    given the same weights, gives the same outputs. The model, which was read before, is not changed.

    Raise UnsupportedError where its class cannot make another one, and for edits that need another architecture.
    """
    for edit in edits:
        if not isinstance(edit, OfOptimizer | OfWeights | SwapActivation):
            raise UnsupportedError(
                f"the model {model.name!r} cannot be rebuilt",
                found=f"a subclassed model ({type(model).__name__}), and an edit that puts layers between its own",
                hint="change its class by hand, or write it with keras.Model(inputs, outputs)",
            )
    known = graph(model)
    if known.shown is None:
        raise _impossible(model, "its inputs are not known")
    inputs = keras.tree.map_structure(keras.ops.convert_to_tensor, known.shown)
    try:
        new = _another(model)
        new(inputs, training=False)
    except Exception as error:  # the class is the user's own
        said = " ".join(str(error).split()).partition(". ")[0]
        raise _impossible(model, f"{type(error).__name__}: {said}") from error
    layers, others = compat.flat_layers(model), compat.flat_layers(new)
    alike = [type(layer) for layer in layers] == [type(layer) for layer in others]
    if not alike or [w.shape for w in model.weights] != [w.shape for w in new.weights]:
        raise _impossible(model, "another one of its class has other layers")
    for layer, other in zip(layers, others, strict=True):
        other.trainable = layer.trainable
    read(new, known.shown)
    remember(new, _named_alike(model, known, graph(new)))
    _require_same_outputs(model, new, inputs)
    for edit in edits:
        if isinstance(edit, SwapActivation):
            _swap(new, edit)
    return new, {id(layer): other for layer, other in zip(layers, others, strict=True)}


def _another(model: Any) -> Any:
    """Return a new object of the class, from its configuration.

    Where Keras made that by itself, of the constructor's arguments, it added some that the constructor need not take.
    """
    config, taken = model.get_config(), inspect.signature(type(model).__init__).parameters
    automatic = str(getattr(type(model).get_config, "__module__", "")).partition(".")[0] == "keras"
    if automatic and not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        config = {name: value for name, value in config.items() if name in taken}
    return type(model).from_config(config)


def _named_alike(model: Any, known: Graph, found: Graph) -> Graph:
    """Return what was read of the second model, its leaves called what those of the first are."""
    kinds = [[kind_of(leaf.operation) for leaf in one.leaves] for one in (known, found)]
    if kinds[0] != kinds[1]:
        raise _impossible(model, "another one of its class calls its layers otherwise")
    leaves = [
        theirs._replace(name=mine.name, sources=mine.sources)
        for mine, theirs in zip(known.leaves, found.leaves, strict=True)
    ]
    return found._replace(leaves=leaves, outputs=known.outputs)


def _require_same_outputs(model: Any, new: Any, inputs: Any) -> None:
    """Raise UnsupportedError where the second model, given the weights of the first, does not compute the same."""
    drawn = [np.array(keras.ops.convert_to_numpy(weight)) for weight in new.weights]
    try:
        for weight, value in zip(new.weights, model.weights, strict=True):
            weight.assign(value)
        same = same_outputs(_outputs(new, inputs), _outputs(model, inputs), equal_nan=True)
    finally:
        for weight, value in zip(new.weights, drawn, strict=True):
            weight.assign(value)
    if not same:
        raise _impossible(model, "another one of its class, given the same weights, computes something else")


def _outputs(model: Any, inputs: Any) -> list[Any]:
    return [keras.ops.convert_to_numpy(output) for output in keras.tree.flatten(model(inputs, training=False))]


def _swap(model: Any, edit: SwapActivation) -> None:
    """Let layers of the model apply another activation; each has to hold it as its own."""
    named = {leaf.name: leaf for leaf in graph(model).leaves}
    for name in edit.layers:
        layer = _holder(named[name])
        layer.activation = keras.activations.get(activation_of(edit.activation, edit.parameter))


def _holder(leaf: Leaf) -> Any:
    plain = kind_of(leaf.operation) in ("dense", "conv") or isinstance(leaf.operation, keras.layers.Activation)
    if plain and callable(getattr(leaf.operation, "activation", None)):
        return leaf.operation
    raise UnsupportedError(
        f"the activation of {leaf.name!r} cannot be exchanged from outside",
        found=f"{type(leaf.operation).__name__}, called in the code of a subclassed model",
        hint="change it in the class that calls it",
    )


def _impossible(model: Any, why: str) -> UnsupportedError:
    return UnsupportedError(
        f"the model {model.name!r} cannot be rebuilt, and not made a second time",
        found=f"a subclassed model ({type(model).__name__}); {why}",
        numbers={"can be rebuilt": "Sequential and Functional models"},
        hint="give its class a get_config that returns the arguments of its constructor",
    )
