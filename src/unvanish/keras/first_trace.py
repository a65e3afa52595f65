"""Let a later trace of a step see the attributes that the first one saw.

A compiled step holds them as constants: a rate that a callback sets on a layer in mid-training is not heeded until
something is traced anew. Keras traces its step once, at the first one; our second function is traced when it pays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from unvanish.keras import compat

CONSTANTS = bool | int | float | str
"""Types of attributes that a trace makes constants of."""


class FirstTrace:
    """Hold what the plain attributes of a model, its layers, variables and optimizer were when it was made."""

    def __init__(self, model: Any) -> None:
        """Change nothing. Where steps are not traced, there is nothing to hold: each heeds what it finds."""
        inner = getattr(model.optimizer, "inner_optimizer", None)
        owners = [model, *compat.flat_layers(model), *model.variables, model.optimizer, inner]
        traced = keras.backend.backend() != "torch" and not model.run_eagerly
        self._held = [(own, _constants(own)) for own in map(_attributes, owners)] if traced else []

    @contextmanager
    def again(self) -> Iterator[None]:
        """Let them be so once more while the context lasts; what was set since is put back."""
        changed = [
            (own, name, was, own[name])
            for own, held in self._held
            for name, was in held.items()
            if name in own and not (isinstance(own[name], CONSTANTS) and own[name] == was)
        ]
        for own, name, was, _ in changed:
            own[name] = was
        try:
            yield
        finally:
            for own, name, was, now in changed:
                if own.get(name) is was:
                    own[name] = now


def _attributes(owner: Any) -> dict[str, Any]:
    found: dict[str, Any] = getattr(owner, "__dict__", {})
    return found


def _constants(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if isinstance(value, CONSTANTS)}
