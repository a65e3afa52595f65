"""What differs between Keras' backends: one module each, all meeting `protocol.Backend`; chosen by `current`."""

from __future__ import annotations

import functools
import importlib
from typing import cast

import keras

from unvanish.errors import UnsupportedError
from unvanish.keras.backends.protocol import Backend, Keeper, Looked, Mark, Run, as_floats

BACKENDS: tuple[str, ...] = ("jax", "tensorflow", "torch")
"""Keras' names of the backends that can be looked at; each is a module here."""


@functools.cache
def current() -> Backend:
    """Return the backend that Keras runs on; nothing of another one is imported. Raise UnsupportedError for others."""
    name = keras.backend.backend()
    if name not in BACKENDS:
        raise UnsupportedError(
            f"this version cannot look at Keras on the backend {name!r}",
            found=f"keras.backend.backend() is {name!r}",
            numbers={"looked at": ", ".join(BACKENDS)},
            hint="KERAS_BACKEND=tensorflow, or jax, or torch",
        )
    return cast(Backend, importlib.import_module(f"unvanish.keras.backends.{name}"))


__all__ = ["BACKENDS", "Backend", "Keeper", "Looked", "Mark", "Run", "as_floats", "current"]
