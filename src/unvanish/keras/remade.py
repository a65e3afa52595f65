"""Make a layer anew from its own configuration, with some of its entries changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from unvanish.errors import UnsupportedError
from unvanish.keras import compat

Reseed = Callable[[int], int]
"""A seed that the user wrote -> the one to take in its place."""
_OWNERS = ("keras", "tensorflow")


def remade(operation: Any, changes: Mapping[str, Any] | None = None, reseed: Reseed | None = None) -> Any:
    """Return a layer (or another operation) of the same class, name and configuration, with weights of its own.

    A vocabulary that `adapt` has found is among its configuration.
    changes: entries of the configuration that are to be others. reseed: a seed that the user wrote -> the one to take.
    What the user wrote and Keras cannot write down, such as a function for an activation, is the same object in both.
    The original is not changed. Raise UnsupportedError for a layer that cannot be made a second time.
    """
    try:
        config = operation.get_config() if reseed is None else _reseeded(operation.get_config(), reseed)
        config = {**config, **compat.learnt_words(operation), **_own_objects(operation, reseed), **(changes or {})}
        return type(operation)(**config) if _holds_functions(operation) else type(operation).from_config(config)
    except Exception as error:  # get_config and from_config may be the user's own
        raise UnsupportedError(
            f"the layer {operation.name!r} ({type(operation).__name__}) cannot be made a second time",
            found=f"{type(error).__name__}: {error}".splitlines()[0],
            hint="give its class a get_config that returns the arguments of its constructor",
        ) from error


def _own_objects(operation: Any, reseed: Reseed | None) -> dict[str, Any]:
    """Return the entries of the configuration that are functions or objects of the user's own, as they are."""
    found = {name: getattr(operation, name, None) for name in operation.get_config()}
    own = {name: value for name, value in found.items() if callable(value) and _is_of_the_user(value)}
    return {name: _new_initializer(value, reseed) for name, value in own.items()}


def _new_initializer(value: Any, reseed: Reseed | None) -> Any:
    """Return an initializer of the user's class that draws anew, where it can be made; anything else as it is."""
    if not isinstance(value, keras.initializers.Initializer):
        return value
    try:
        config = value.get_config() if reseed is None else _reseeded(value.get_config(), reseed)
        return type(value).from_config(config)
    except Exception:  # a class that was not made for copying: the same object draws
        return value


def _holds_functions(operation: Any) -> bool:
    """Say whether the layer is one whose configuration is a function, which Keras would read only from its own form."""
    return isinstance(operation, keras.layers.Lambda)


def _reseeded(config: Any, reseed: Reseed) -> Any:
    if isinstance(config, dict):
        return {
            name: reseed(value) if name == "seed" and isinstance(value, int) else _reseeded(value, reseed)
            for name, value in config.items()
        }
    return [_reseeded(value, reseed) for value in config] if isinstance(config, list) else config


def _is_of_the_user(value: Any) -> bool:
    """Say whether it is a function or an object of a class that is not Keras' own; layers and types are never."""
    if isinstance(value, type | keras.layers.Layer):
        return False
    home = getattr(value, "__module__", None) or type(value).__module__
    return str(home).partition(".")[0] not in _OWNERS
