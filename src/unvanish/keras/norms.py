"""The statistics of a sample of a running training: one small tensor, made inside of the step that is sampled.

Nothing but that tensor leaves the step, so that a sample costs one transfer, whatever the network's size. Sums are
taken as (scale, sum of squares of what is divided by it): a float32 norm of entries of 1e-25 would read 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.spaced import spaced
from unvanish.keras import backends
from unvanish.keras.tally import Sums, chosen

Row = Sequence[float]

_COLUMNS = 10
"""Of a kernel: (scale, squares, non-finite, zeros) of its gradient; the first three of weights and update."""
_NAN = (math.nan,) * 4
_HEAD = {"loss": math.nan, "scale": 1.0}
"""What the last row begins with, and what a step that does not tell it gives."""


class Norms:
    """Take the sums for a list of kernels; meets what `backends.tapped` asks of a Tally. Holds no arrays."""

    def __init__(self, kernels: Sequence[Any]) -> None:
        """kernels: variables. Of large networks a choice of entries stands for all, but in the gradient's norm."""
        self.kernels = list(kernels)
        self._spaced = spaced([kernel.shape for kernel in self.kernels])

    def read(self) -> tuple[Any, ...]:
        """Return the chosen entries of the kernels as they are now (copies, not the live variables)."""
        copied = backends.current().copied
        return tuple(copied(self.chosen(index, kernel.value)) for index, kernel in enumerate(self.kernels))

    def chosen(self, index: int, value: Any) -> Any:
        """Return the value (a tensor) of the kernel of that index, or of a large network a choice of its entries."""
        return chosen(self._spaced[index], backends.current().still(value))

    def gradients(self, gradients: Mapping[int, Any]) -> Any:
        """Return (kernels, 4): scale, squares, non-finite, zeros of each kernel's gradient, id(variable) -> gradient.

        A gradient that is None gives zeros; of one that is not among them, nan.
        """
        backend, keys = backends.current(), [id(kernel) for kernel in self.kernels]
        values = [gradients.get(key) for key in keys]
        still = [None if value is None else backend.still(value) for value in values]
        parts = [chosen(p, v) for p, v in zip(self._spaced, still, strict=True) if v is not None]
        none = [
            (1.0, 0.0, 0.0, p.entries) if key in gradients else _NAN for key, p in zip(keys, self._spaced, strict=True)
        ]
        return _rows(still, none, lambda there: backend.sums_of(there, parts))

    def filled(self, found: Sums) -> Sums:
        """Return one tensor (kernels + 1, columns), of whose last row the first are the loss and its scale."""
        count = len(self.kernels)
        nothing = (None,) * count
        gradient = found["gradients"] if "gradients" in found else _constant([_NAN] * count)
        before, after = (found.get(name, nothing) for name in ("before", "after"))
        kept = [new for old, new in zip(before, after, strict=True) if old is not None]
        moved = _rows(before, [_NAN[:3] * 2] * count, lambda there: backends.current().moved_of(there, kept))
        head = [_cast(keras.ops.reshape(found.get(name, number), (1, 1))) for name, number in _HEAD.items()]
        last = _beside([*head, _constant([[0.0] * (_COLUMNS - len(head))])])
        table = _beside([gradient, moved])
        return {"numbers": keras.ops.concatenate([table, last])}

    def as_of_a_step(self, values: Sequence[Any]) -> Any:
        """Return the tensor of a sample whose gradients, weights and updates are all these, one for each kernel."""
        gradients = self.gradients({id(kernel): value for kernel, value in zip(self.kernels, values, strict=True)})
        before = tuple(self.chosen(index, value) for index, value in enumerate(values))
        after = tuple(2 * value for value in before)
        return self.filled({"gradients": gradients, "before": before, "after": after})["numbers"]

    def numbers(self, table: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and the statistics (stats of core.recording.STEP_STATS, kernels) from a sample's tensor."""
        table = np.asarray(table, dtype=np.float64)
        loss, scale = table[-1, :2]
        rows = table[:-1]
        share = np.array([places.entries / places.size for places in self._spaced])
        with np.errstate(invalid="ignore", over="ignore"):
            gradient = rows[:, 0] * np.sqrt(rows[:, 1]) / scale
            weight, update = (rows[:, at] * np.sqrt(rows[:, at + 1] / share) for at in (4, 7))
        return float(loss), np.stack([gradient, weight, update, np.rint(rows[:, 3] / share), rows[:, 2]])


def _rows(values: Sequence[Any], none: Sequence[Row], sums: Callable[[list[Any]], Any]) -> Any:
    """Return the rows that `sums` makes of the tensors, in their order; of a value that is None that of `none`."""
    there = [value for value in values if value is not None]
    if len(there) == len(values):
        return _cast(sums(there))
    places, absent = np.cumsum([value is not None for value in values]) - 1, len(there)
    missing = [row for value, row in zip(values, none, strict=True) if value is None]
    made, order = _constant(missing), []
    for value, place in zip(values, places, strict=True):
        order.append(place if value is not None else absent)
        absent += value is None
    table = made if not there else keras.ops.concatenate([_cast(sums(there)), made])
    return keras.ops.take(table, np.array(order), axis=0)


def _beside(parts: Sequence[Any]) -> Any:
    return keras.ops.concatenate([_cast(part) for part in parts], axis=1)


def _cast(value: Any) -> Any:
    return keras.ops.cast(value, backends.current().SUMS)


def _constant(rows: Sequence[Row]) -> Any:
    return keras.ops.convert_to_tensor(np.array(rows), dtype=backends.current().SUMS)
