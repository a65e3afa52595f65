"""Layers of a copy beside those they stand for, and what was changed on those after they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from unvanish.keras import compat


def counterparts(model: Any, made: Mapping[int, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield (layer of the model, the new one in its place) where both have as many weights.

    made: id of an original layer -> the new one. Layers inside layers of the user's own are paired too, models are not.
    """
    for layer in compat.flat_layers(model):
        new = made.get(id(layer))
        if new is None or compat.has_graph(layer):
            continue
        parts, new_parts = compat.flat_layers(layer), compat.flat_layers(new)
        pairs = zip(parts, new_parts, strict=True) if len(parts) == len(new_parts) else [(layer, new)]
        yield from ((old, one) for old, one in pairs if len(old.weights) == len(one.weights))


def variables(model: Any, made: Mapping[int, Any]) -> list[tuple[Any, Any]]:
    """Return (weight of the model, the one of the copy in its place), by object, each weight of the copy once."""
    pairs = [pair for old, new in counterparts(model, made) for pair in zip(old.weights, new.weights, strict=True)]
    return list({id(new): (old, new) for old, new in pairs}.values())


_SETTINGS = ("regularizer", "constraint", "overwrite_with_gradient")


def settle(model: Any, made: Mapping[int, Any]) -> None:
    """Give the weights of a copy what the user set on the model's own, past the configuration of their layers.

    A weight that alone is frozen keeps its value; regularisers and constraints are the same objects.
    """
    for old, new in variables(model, made):
        for name in _SETTINGS:
            if getattr(new, name, None) is not getattr(old, name, None):
                setattr(new, name, getattr(old, name))
        if new.trainable and not old.trainable and tuple(new.shape) == tuple(old.shape):
            new.trainable = False
            new.assign(old.numpy().copy())  # JAX would share the array
