"""The statistics of a sample of a running training: one small tensor, made inside of the step that is sampled.

Nothing but that tensor leaves the step, so that a sample costs one transfer, whatever the network's size. Sums are
taken as (scale, sum of squares of what is divided by it): a float32 norm of entries of 1e-25 would read 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.keras import backends
from unvanish.keras.tally import EXACT_TOTAL, Sums, stride

_GRADIENT, _WEIGHTS = 4, 6
"""Columns of a kernel: (scale, squares, non-finite, zeros) of its gradient; the first three of weights and update."""
_HEAD = {"loss": math.nan, "scale": 1.0}
"""What the last row begins with, and what a step that does not tell it gives."""


class Norms:
    """Take the sums for a list of kernels; meets what `backends.tapped` asks of a Tally. Holds no arrays."""

    def __init__(self, kernels: Sequence[Any]) -> None:
        """kernels: variables. Of large networks the weights and updates are sampled as a Tally does."""
        self.kernels = list(kernels)
        self._sizes = [int(np.prod(kernel.shape, dtype=np.int64)) for kernel in self.kernels]
        exact = sum(self._sizes) <= EXACT_TOTAL
        self._strides = [1 if exact else stride(size) for size in self._sizes]

    def read(self) -> tuple[Any, ...]:
        """Return the chosen entries of the kernels as they are now (copies, not the live variables)."""
        read = backends.current().read
        return tuple(self.chosen(index, read(kernel)) for index, kernel in enumerate(self.kernels))

    def chosen(self, index: int, value: Any) -> Any:
        """Return the entries of the value (a tensor) of the kernel of that index, or a choice of them, as a vector."""
        return keras.ops.reshape(backends.current().still(value), (-1,))[:: self._strides[index]]

    def gradients(self, gradients: Mapping[int, Any]) -> tuple[Any, ...]:
        """Return (scale, squares, non-finite, zeros) of each kernel's gradient, id(variable) -> gradient.

        A gradient that is None gives zeros; of one that is not among them, nan.
        """
        return tuple(self._gradient(gradients, index) for index in range(len(self.kernels)))

    def filled(self, found: Sums) -> Sums:
        """Return one tensor (kernels + 1, columns), of whose last row the first are the loss and its scale."""
        nothing = (_full(_GRADIENT, math.nan), _full(_WEIGHTS, math.nan))
        rows = []
        for index in range(len(self.kernels)):
            gradient = found["gradients"][index] if "gradients" in found else nothing[0]
            before, after = (found[name][index] if name in found else None for name in ("before", "after"))
            moved = nothing[1] if before is None else _moved(before, after)  # None: one that the step cannot change
            rows.append(keras.ops.concatenate([_row(gradient), moved]))
        head = (_row(keras.ops.reshape(found.get(name, number), (1,))) for name, number in _HEAD.items())
        rows.append(keras.ops.concatenate([*head, _full(_GRADIENT + _WEIGHTS - len(_HEAD), 0.0)]))
        return {"numbers": keras.ops.stack(rows)}

    def numbers(self, table: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and the statistics (stats of core.recording.WATCH_STATS, kernels) from a sample's tensor."""
        table = np.asarray(table, dtype=np.float64)
        loss, scale = table[-1, :2]
        rows = table[:-1]
        share = np.sqrt([math.ceil(n / step) / n for n, step in zip(self._sizes, self._strides, strict=True)])
        with np.errstate(invalid="ignore", over="ignore"):
            gradient = rows[:, 0] * np.sqrt(rows[:, 1]) / scale
            weight, update = (rows[:, at] * np.sqrt(rows[:, at + 1]) / share for at in (4, 7))
        return float(loss), np.stack([gradient, weight, update, rows[:, 3], rows[:, 2]])

    def _gradient(self, gradients: Mapping[int, Any], index: int) -> Any:
        key = id(self.kernels[index])
        if key not in gradients:
            return _full(_GRADIENT, math.nan)
        gradient = gradients[key]
        if gradient is None:
            return keras.ops.concatenate([_full(1, 1.0), _full(2, 0.0), _full(1, float(self._sizes[index]))])
        gradient = backends.current().still(gradient)
        zeros = backends.current().zeros(gradient)
        sums = backends.current().gradient_sums(gradient)
        return keras.ops.concatenate([_row(sums), _row(keras.ops.reshape(zeros, (1,)))])


def _moved(before: Any, after: Any) -> Any:
    """Return the sums of the weights and of the update."""
    sums = backends.current().gradient_sums
    half = keras.backend.standardize_dtype(before.dtype) in ("float16", "bfloat16")
    before, after = (keras.ops.cast(value, "float32") if half else value for value in (before, after))
    return keras.ops.concatenate([_row(sums(before)), _row(sums(after - before))])


def _row(value: Any) -> Any:
    return keras.ops.cast(value, backends.current().SUMS)


def _full(count: int, value: float) -> Any:
    return keras.ops.full((count,), value, dtype=backends.current().SUMS)
