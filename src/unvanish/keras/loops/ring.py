"""What the steps of a loop that was compiled by tf.function leave for Python to read: a few numbers a step."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from unvanish.keras import backends
from unvanish.keras.loops.protocol import Left

CAPACITY = 256
"""Steps that a compiled function may take before what they left is read; of more, the latest are known."""
_NUMBERS = 6
"""Scale, sum of squares / scale, non-finite entries of the gradient; sums of squares of weight, update, movement."""


class Ring:
    """Hold two variables of its own, which steps write to inside of a compiled function."""

    def __init__(self, kernels: Sequence[Any]) -> None:
        """Remember where the kernels start."""
        self._kernels = list(kernels)
        self._initial = [tf.identity(kernel.value) for kernel in self._kernels]
        self._norms = [float(_squares(value)) ** 0.5 for value in self._initial]
        self._rows = tf.Variable(tf.zeros((CAPACITY, _NUMBERS * len(self._kernels) + 2), tf.float64), trainable=False)
        self._count = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._read = 0

    def step(self, apply: Callable[[], Any], gradients: Mapping[int, Any], loss: Any, scale: Any) -> Any:
        """Take the step, and write its numbers; gradients: id(kernel variable) -> gradient."""
        before = [backends.current().read(kernel) for kernel in self._kernels]  # copies, not the live variables
        result = apply()
        self._write(gradients, before, loss, scale)
        return result

    def read(self) -> list[Left]:
        """See `protocol.Trail`."""
        if not tf.executing_eagerly():
            return []
        count, first = int(self._count), max(self._read, int(self._count) - CAPACITY)
        if count == self._read:
            return []
        self._read = count
        rows = self._rows.numpy()
        return [self._left(step, rows[step % CAPACITY]) for step in range(first, count)]

    def data(self) -> None:
        """See `protocol.Trail`; it was known when the function was compiled, or never is."""

    def knows(self, step: int) -> bool:  # noqa: ARG002
        """See `protocol.Trail`."""
        return True

    def values(self, step: int) -> AbstractContextManager[None]:  # noqa: ARG002
        """See `protocol.Trail`; the variables have them."""
        return nullcontext()

    def _write(self, gradients: Mapping[int, Any], before: Sequence[Any], loss: Any, scale: Any) -> None:
        columns = [self._column(i, gradients, value) for i, value in enumerate(before)]
        ends = [tf.cast(tf.reduce_sum(loss), tf.float64), tf.cast(scale, tf.float64)]
        self._rows[self._count % CAPACITY].assign(tf.concat([*columns, ends], axis=0))
        self._count.assign_add(1)

    def _column(self, index: int, gradients: Mapping[int, Any], before: Any) -> Any:
        kernel, after = self._kernels[index], backends.current().read(self._kernels[index])
        moves = [_squares(value) for value in (before, after - before, before - self._initial[index])]
        if id(kernel) not in gradients:
            first = tf.fill((3,), tf.constant(np.nan, tf.float64))
        else:
            gradient = gradients[id(kernel)]
            first = tf.zeros(3, tf.float64) if gradient is None else backends.current().gradient_sums(gradient)
        return tf.concat([first, tf.stack(moves)], axis=0)

    def _left(self, step: int, row: NDArray[np.float64]) -> Left:
        loss, scale = float(row[-2]), float(row[-1])
        largest, squares, bad, weight, update, moved = row[:-2].reshape(len(self._kernels), _NUMBERS).T
        start = np.array(self._norms)
        with np.errstate(divide="ignore", invalid="ignore"):
            rows = {
                "gradient_norm": largest * np.sqrt(squares) / scale,
                "weight_norm": np.sqrt(weight),
                "update_norm": np.sqrt(update),
                "movement": np.where(moved == 0, 0.0, np.sqrt(moved) / start),
                "gradient_nonfinite": bad,
            }
        found = {stat: values.tolist() for stat, values in rows.items()}
        return Left(step, loss / scale, found, time.perf_counter())


def _squares(value: Any) -> Any:
    return 2.0 * tf.nn.l2_loss(tf.cast(value, tf.float64))
