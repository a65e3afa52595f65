"""What is known about the data and the loss of a loop that the script wrote itself, from what was seen of its calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

from unvanish.keras.loops import Ways
from unvanish.keras.witness import Called, Lost


class Way(NamedTuple):
    """Hold one way in which the loop may compute its loss."""

    loss: Any
    """The loss object, for its description."""
    compute: Callable[..., Any]
    """Called as `compute_loss` of a model is."""
    plain: bool = True
    """Whether it can be compared with chance."""


class LoopData(NamedTuple):
    """Hold the loop's first batch, as far as it is known."""

    like: Any
    """Structure of arrays like the model's inputs: the inputs themselves where they are known."""
    x: Any
    y: Any
    weight: Any
    ways: tuple[Way, ...]

    @property
    def size(self) -> int:
        """Return the number of samples in a batch."""
        return len(keras.tree.flatten(self.like)[0])


def loop_data(model: Any, called: Called | None, lost: Lost | None, ways: Ways) -> LoopData:
    """Return what is known of a step from the call of the model and the call of the loss that the witness saw."""
    if called is None:
        return LoopData(np.zeros((1, 1), np.float32), None, None, None, ())
    x = _concrete(called.x, ways)
    like = _like(called.x) if x is None else x
    if lost is None or x is None or not ways.same(called.output, lost.output):
        return LoopData(like, x, None, None, ())
    y, weight = _concrete(lost.y, ways), _concrete(lost.weight, ways)
    if y is None or (weight is None) != (lost.weight is None):
        return LoopData(like, x, None, None, ())
    return LoopData(like, x, y, weight, _ways(model, lost, reshaped=lost.output is not called.output))


def _ways(model: Any, lost: Lost, *, reshaped: bool) -> tuple[Way, ...]:
    shape = tuple(lost.output.shape) if reshaped else None

    def alone(_: Any, y: Any, y_pred: Any, sample_weight: Any, **__: Any) -> Any:
        return lost.compute(y, y_pred if shape is None else keras.ops.reshape(y_pred, shape), sample_weight)

    def penalised(*given: Any, **__: Any) -> Any:
        return alone(*given) + keras.ops.sum(keras.ops.stack(model.losses))

    known = getattr(model, "loss", None) if getattr(model, "compiled", False) else None
    described = lost.loss if known is None else known
    both = (Way(described, alone, lost.plain), Way(described, penalised, lost.plain))
    return both if model.losses else both[:1]


def _concrete(value: Any, ways: Ways) -> Any:
    """Return the value as arrays; None where the value of a tensor is not known."""
    if value is None:
        return None
    found = [ways.array(tensor) for tensor in keras.tree.flatten(value)]
    if any(array is None for array in found):
        return None
    return keras.tree.pack_sequence_as(value, found)


def _like(value: Any) -> Any:
    """Return arrays of the shapes and types of symbolic tensors: normal random numbers, zeros for indices."""
    random = np.random.default_rng(0)

    def made(tensor: Any) -> Any:
        shape = [4 if size is None else size for size in tensor.shape]
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        drawn = random.standard_normal(shape) if keras.backend.is_float_dtype(dtype) else np.zeros(shape)
        return drawn.astype(dtype)

    return keras.tree.map_structure(made, value)
