"""Which variables a forward pass may move: more than Keras lists, and now and then a trained one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from unvanish.keras import compat

_DEPTH = 4
"""How many containers and plain objects deep an attribute is looked into."""
_MANY = 10_000
"""Containers of more entries hold data, not variables."""


def movable(model: Any) -> list[Any]:
    """Return the variables that a forward pass of the model may move, each once.

    Those are all that are not trained, seeds, moving averages and metrics; what layers keep in attributes that Keras
    does not track, as a tf.Variable; and the trained ones where a layer may assign to its weights as it runs.
    """
    listed = [*model.variables, *model.metrics_variables]
    trained = set() if _writes_weights(model) else {id(variable) for variable in model.trainable_variables}
    kept = [variable for variable in [*listed, *strays(model)] if id(variable) not in trained]
    return list({id(variable): variable for variable in kept}.values())


@contextmanager
def same_values(variables: list[Any]) -> Iterator[None]:
    """Put the variables back to their values at entry, to the bit; also after an exception. The list is used up."""
    values = [variable.numpy().copy() for variable in variables]
    try:
        yield
    finally:
        while variables:  # one after the other, so that no two copies of everything are there
            variables.pop().assign(values.pop())


def strays(model: Any) -> list[Any]:
    """Return the variables in attributes of layers and of what compile made that no list of Keras has."""
    seen = {id(variable) for variable in [*model.variables, *model.metrics_variables]}
    owners = [*compat.flat_layers(model), *compat.compiled_parts(model)]
    seen |= {id(owner) for owner in owners}
    return [found for owner in owners for found in _inside(vars(owner), seen, _DEPTH)]


def _inside(value: Any, seen: set[int], depth: int) -> Iterator[Any]:
    """Yield the variables in a value, in containers and in the attributes of plain objects."""
    if id(value) in seen or isinstance(value, str | bytes | int | float | type(None) | keras.optimizers.Optimizer):
        return
    seen.add(id(value))
    if _is_variable(value):
        yield value
    elif isinstance(value, dict | list | tuple | set) and depth and len(value) <= _MANY:
        for item in list(value.values()) if isinstance(value, dict) else list(value):
            yield from _inside(item, seen, depth - 1)
    elif depth and _is_of_the_user(value):
        yield from _inside(vars(value), seen, depth - 1)


def _is_variable(value: Any) -> bool:
    return all(hasattr(type(value), name) for name in ("assign", "numpy", "shape", "dtype"))


def _is_of_the_user(value: Any) -> bool:
    """Say whether it is an object of a class of the user's, or a module of TensorFlow's, with attributes."""
    home = type(value).__module__.partition(".")[0]
    plain = not callable(value) or isinstance(value, keras.losses.Loss)
    return hasattr(value, "__dict__") and not isinstance(value, type) and plain and home != "keras"


def _writes_weights(model: Any) -> bool:
    """Say whether a layer may assign to trained weights: Keras' own do not, but for SpectralNormalization."""
    return any(
        isinstance(layer, keras.layers.SpectralNormalization)
        or not type(layer).__module__.startswith(("keras.", "tensorflow.keras."))
        for layer in compat.flat_layers(model)
    )
