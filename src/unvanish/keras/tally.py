"""The statistics that a watched step takes along: norms of gradients, weights, updates and movements of the kernels.

Gradients are summed where they are; of the weights before and after the update the entries themselves are handed out,
all of a small network's and a sample of a large kernel's, and their norms are taken in float64 outside of the step.
Nothing is fed back, no variable is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from unvanish.core.measures.norm import norm
from unvanish.core.spaced import Spaced, spaced
from unvanish.keras import backends

Sums = dict[str, Any]
"""loss, scale: scalars. gradients: (scale, sum of squares of gradient / scale, non-finite entries) of each kernel.
before, after: the chosen entries of each kernel around the update; None for a kernel that the step cannot change.
The sums of kernels are tuples: TensorFlow's loops take a list for one tensor."""


class Tally:
    """Take the sums for a list of kernels; holds their initial values (4 bytes an entry, a choice of large ones)."""

    def __init__(self, kernels: Sequence[Any]) -> None:
        """Remember where the kernels start."""
        self.kernels = list(kernels)
        self._spaced = spaced([kernel.shape for kernel in self.kernels])
        values = [backends.current().view(kernel) for kernel in self.kernels]
        self.initial = [np.ravel(places.of(v)).copy() for places, v in zip(self._spaced, values, strict=True)]
        """The chosen entries of each kernel at the start."""

    def read(self) -> tuple[Any, ...]:
        """Return the chosen entries of the kernels as they are now (copies, not the live variables)."""
        read = backends.current().read
        return tuple(self.chosen(index, read(kernel)) for index, kernel in enumerate(self.kernels))

    def chosen(self, index: int, value: Any) -> Any:
        """Return the entries of the value (a tensor) of the kernel of that index, or a choice of them, as a vector."""
        return keras.ops.reshape(chosen(self._spaced[index], value), (-1,))

    def gradients(self, gradients: Mapping[int, Any]) -> tuple[Any, ...]:
        """Return the sums of the gradients, id(kernel variable) -> gradient; of one that is not among them nan.

        A gradient that is None gives zeros.
        """
        return tuple(self._gradient(gradients, kernel) for kernel in self.kernels)

    def filled(self, found: Sums) -> Sums:
        """Return the sums with what a step did not give as nan: a train step of the user's own may do otherwise."""
        nan = float("nan")
        if "gradients" not in found:
            nothing = tuple(keras.ops.full(value.shape, nan) for value in self.initial)
            found |= {"before": nothing, "after": nothing, "gradients": self.gradients({})}
        return {"loss": keras.ops.full((), nan), "scale": keras.ops.ones(()), **found}

    def rows(self, sums: Sums) -> tuple[float, dict[str, list[float]]]:
        """Return the loss and the statistics of a recording from the sums of a step, as arrays.

        The movement of a kernel that started at exactly zero is 0 until it moves, then inf.
        """
        scale = float(sums["scale"])
        numbers = [self._row(i, sums, scale) for i in range(len(self.kernels))]
        return float(sums["loss"]), {stat: [row[stat] for row in numbers] for stat in _STATS}

    def _row(self, index: int, sums: Sums, scale: float) -> dict[str, float]:
        initial = _single(self.initial[index])
        before, after = (initial if (v := sums[key][index]) is None else _single(v) for key in ("before", "after"))
        root = (self._spaced[index].entries / self._spaced[index].size) ** 0.5
        largest, squares, nonfinite = (float(number) for number in sums["gradients"][index])
        moved, start = norm(before - initial), norm(initial)
        return {
            "gradient_norm": largest * squares**0.5 / scale,
            "weight_norm": norm(before) / root,
            "update_norm": norm(after - before) / root,
            "movement": moved / start if start else 0.0 if moved == 0 else np.inf,
            "gradient_nonfinite": nonfinite,
        }

    def _gradient(self, gradients: Mapping[int, Any], kernel: Any) -> Any:
        if id(kernel) not in gradients:
            return keras.ops.full((3,), float("nan"))
        gradient = gradients[id(kernel)]
        return keras.ops.zeros((3,)) if gradient is None else backends.current().gradient_sums(gradient)


_STATS = ("gradient_norm", "weight_norm", "update_norm", "movement", "gradient_nonfinite")


def chosen(places: Spaced, value: Any) -> Any:
    """Return the chosen entries of a kernel's value, a tensor."""
    return value if places.whole else backends.current().runs(value, places.run, places.step)


def _single(value: Any) -> Any:
    """Return half precision as float32; other dtypes as they are."""
    return backends.as_floats(value)
