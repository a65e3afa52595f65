"""What loops of a script's own have on one backend alone: how they take gradients, and how they are compiled."""

from __future__ import annotations

import importlib
from typing import Any, cast

import keras

from unvanish.keras import backends
from unvanish.keras.loops.protocol import Watcher, Ways


def ways(watcher: Watcher) -> Ways:
    """Return those of the backend that Keras runs on; nothing of another one is imported. Raise UnsupportedError."""
    backends.current()
    module: Any = importlib.import_module(f"unvanish.keras.loops.{keras.backend.backend()}")
    return cast(Ways, module.Ways(watcher))


__all__ = ["Watcher", "Ways", "ways"]
