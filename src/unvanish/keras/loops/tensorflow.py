"""Loops on TensorFlow: gradient tapes, and functions compiled by tf.function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from unvanish.keras import compat
from unvanish.keras.loops.protocol import Look, Watcher, eagerly
from unvanish.keras.loops.ring import Ring
from unvanish.keras.patches import Patches
from unvanish.keras.tally import Tally

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Ways:
    """See `protocol.Ways`."""

    UNKNOWN = (
        "gradients that no tf.GradientTape.gradient gave: the loss that they are of is not known",
        "take them by tape.gradient(loss, model.trainable_variables)",
    )

    LOSS_IN_PART = False

    def __init__(self, watcher: Watcher) -> None:
        """Patch nothing yet."""
        self._watcher = watcher
        self._target: Any = None
        self._arguments: list[Arguments] = []
        self._latest: list[Arguments] = []
        self._returned: Any = None
        self._ring: Ring | None = None

    def patch(self, patches: Patches) -> None:
        """See `protocol.Ways`."""
        patches.patch(tf.GradientTape, "gradient", self._gradient)
        patches.patch(compat.compiled_function(), "__call__", self._function)

    def forget(self) -> None:
        """See `protocol.Ways`."""
        self._target, self._latest, self._returned, self._ring = None, [], None, None

    def loss(self) -> Any:
        """See `protocol.Ways`; of what stayed inside a compiled function, its first number."""
        target = self._target
        if target is not None and tf.executing_eagerly() and not hasattr(target, "numpy"):
            numbers = [leaf for leaf in tf.nest.flatten(self._returned) if tf.is_tensor(leaf) and not leaf.shape.rank]
            return numbers[0] if numbers else math.nan
        return target

    def stepped(self) -> None:
        """See `protocol.Ways`; the next gradient says anew what it is of."""

    def array(self, tensor: Any) -> Any:
        """See `protocol.Ways`; also of a tensor that is an argument of the function being compiled."""
        if not tf.is_tensor(tensor) or hasattr(tensor, "numpy"):
            return np.asarray(tensor)
        arguments = self._arguments or self._latest
        entries = tensor.graph.inputs
        place = next((number for number, entry in enumerate(entries) if entry is tensor), None)
        given = [leaf for leaf in tf.nest.flatten(arguments[-1]) if hasattr(leaf, "shape")] if arguments else []
        if place is None or place >= len(given) or not hasattr(given[place], "__array__"):
            return None
        array = np.asarray(given[place])
        fits = tensor.shape.is_compatible_with(array.shape) and array.dtype == tensor.dtype.as_numpy_dtype
        return array if fits else None

    def same(self, output: Any, given: Any) -> bool:
        """See `protocol.Ways`."""
        return output is given

    def take(self, look: Look, apply: Callable[[], Any], gradients: Mapping[int, Any], loss: Any, scale: Any) -> Any:
        """See `protocol.Ways`."""
        if self._ring is not None and not tf.executing_eagerly():
            return self._ring.step(apply, gradients, loss, scale)
        return eagerly(look, apply, look.tally.gradients(gradients), loss, scale)

    def trail(self, model: Any, tally: Tally, limit: int) -> Ring:  # noqa: ARG002
        """See `protocol.Ways`."""
        self._ring = Ring(tally.kernels)
        return self._ring

    def _gradient(self, original: Callable[..., Any], tape: Any, target: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._watcher.busy:
            self._target = target
        return original(tape, target, *args, **kwargs)

    def _function(self, original: Callable[..., Any], function: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a compiled function of the script, and read what its steps left."""
        if self._watcher.busy:
            return original(function, *args, **kwargs)
        self._arguments.append((args, kwargs))
        self._latest = self._arguments[-1:]
        try:
            result = original(function, *args, **kwargs)
        finally:
            self._arguments.pop()
        self._returned = result
        look = self._watcher.look
        if not self._arguments and look is not None and look.read():
            self._watcher.finish()
        return result
