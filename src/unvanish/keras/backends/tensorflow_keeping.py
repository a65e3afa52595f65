"""Keep what a sampled step on TensorFlow begins with: its optimizer writes the variables over."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from unvanish.keras.backends.stateful import tapped


class Kept:
    """Hand the values out of the step, one vector for each dtype: each tensor that leaves a step costs.

    Trained weights are copied once the gradients are known, and only where these show a value that is not finite, or
    the step is to be looked into. XLA has no tensors whose size is not known, and to look would wait for a GPU: there
    they always are.
    """

    waits = False

    def __init__(self, model: Any, tally: Any, variables: Sequence[Any]) -> None:
        """Arguments as of `protocol.Backend.keeping`."""
        self._variables = variables
        trained = {id(variable) for variable in model.trainable_variables}
        self._trained = [v for v in variables if id(v) in trained]
        self._others = [v for v in variables if id(v) not in trained]
        self._always = model.jit_compile or bool(tf.config.list_physical_devices("GPU"))
        with tf.init_scope():
            self._look = tf.Variable(False, trainable=False)  # a value
        self._looked = False
        self._found: dict[str, Any] = {}
        self._tap = tapped(model, tally, self._before)

    def step(self, data: Any) -> Any:
        """Take a step, to be compiled."""
        others = _vectors(self._others)
        self._found = {}
        logs, sums = self._tap(data)
        if not self._found:  # a step of the user's own, whose optimizer was not seen
            return logs, sums
        return logs, {**sums, "batch": data, "weights": (self._found, others)}

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...], *, look: bool) -> Any:
        """See `protocol.Keeper`."""
        if look or self._looked:
            self._look.assign(look)
        self._looked = look
        return function(*arguments)

    def begun(self, sums: dict[str, Any]) -> list[Any]:
        """See `protocol.Keeper`."""
        values: dict[int, Any] = {}
        for group, vectors in zip((self._trained, self._others), sums["weights"], strict=True):
            for dtype, variables in _by_dtype(group).items():
                parts = tf.split(vectors[dtype], [math.prod(variable.shape) for variable in variables])
                for variable, part in zip(variables, parts, strict=True):
                    values[id(variable)] = tf.reshape(part, variable.shape)
        return [values[id(variable)] for variable in self._variables]

    def _before(self, found: dict[str, Any]) -> None:
        """Take the trained weights before they are changed."""
        if self._always:
            self._found = _vectors(self._trained)
            return
        loss = found.get("loss", tf.zeros(()))
        spoilt = tf.reduce_any(found["gradients"][:, 2] > 0) | ~tf.reduce_all(tf.math.is_finite(loss))
        dtypes = list(_by_dtype(self._trained))
        values = tf.cond(
            spoilt | self._look,
            lambda: tuple(_vectors(self._trained).values()),
            lambda: tuple(tf.zeros((0,), dtype) for dtype in dtypes),
        )
        self._found = dict(zip(dtypes, values, strict=True))


def _vectors(variables: Sequence[Any]) -> dict[str, Any]:
    return {
        dtype: tf.concat([tf.reshape(variable.value, (-1,)) for variable in group], 0)
        for dtype, group in _by_dtype(variables).items()
    }


def _by_dtype(variables: Sequence[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for variable in variables:
        groups.setdefault(variable.dtype, []).append(variable)
    return groups
