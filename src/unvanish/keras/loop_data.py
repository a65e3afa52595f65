"""What is known about the data and the loss of a loop that the script wrote itself, from what was seen of its calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from unvanish.keras.witness import Witness

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Way(NamedTuple):
    """Hold one way in which the loop may compute its loss."""

    loss: Any
    """The loss object, for its description."""
    compute: Callable[..., Any]
    """Called as `compute_loss` of a model is."""


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


def loop_data(model: Any, witness: Witness, arguments: Sequence[Arguments]) -> LoopData:
    """Return what the witness saw of the model's last step.

    arguments: those with which compiled functions were called, the one that counts last.
    """
    called, lost = witness.calls.get(model), witness.lost
    if called is None:
        return LoopData(np.zeros((1, 1), np.float32), None, None, None, ())
    x = _concrete(called.x, arguments)
    like = _like(called.x) if x is None else x
    if lost is None or lost.output is not called.output or x is None:
        return LoopData(like, x, None, None, ())
    y, weight = _concrete(lost.y, arguments), _concrete(lost.weight, arguments)
    if y is None or (weight is None) != (lost.weight is None):
        return LoopData(like, x, None, None, ())
    return LoopData(like, x, y, weight, _ways(model, lost.loss))


def _ways(model: Any, loss: Any) -> tuple[Way, ...]:
    def alone(_: Any, y: Any, y_pred: Any, sample_weight: Any, **__: Any) -> Any:
        return loss(y, y_pred, sample_weight)

    def penalised(*given: Any, **__: Any) -> Any:
        return alone(*given) + keras.ops.sum(keras.ops.stack(model.losses))

    known = getattr(model, "loss", None) if getattr(model, "compiled", False) else None
    described = loss if known is None else known
    both = (Way(described, alone), Way(described, penalised))
    return both if model.losses else both[:1]


def _concrete(value: Any, arguments: Sequence[Arguments]) -> Any:
    """Return the value as arrays, also of a tensor that is an argument of the function being compiled; else None."""
    if value is None:
        return None
    found = [_array(tensor, arguments) for tensor in keras.tree.flatten(value)]
    if any(array is None for array in found):
        return None
    return keras.tree.pack_sequence_as(value, found)


def _array(tensor: Any, arguments: Sequence[Arguments]) -> Any:
    if not tf.is_tensor(tensor) or hasattr(tensor, "numpy"):
        return np.asarray(tensor)
    entries = tensor.graph.inputs
    place = next((number for number, entry in enumerate(entries) if entry is tensor), None)
    given = [leaf for leaf in tf.nest.flatten(arguments[-1]) if hasattr(leaf, "shape")] if arguments else []
    if place is None or place >= len(given) or not hasattr(given[place], "__array__"):
        return None
    array = np.asarray(given[place])
    fits = tensor.shape.is_compatible_with(array.shape) and array.dtype == tensor.dtype.as_numpy_dtype
    return array if fits else None


def _like(value: Any) -> Any:
    """Return arrays of the shapes and types of symbolic tensors: normal random numbers, zeros for indices."""
    random = np.random.default_rng(0)

    def made(tensor: Any) -> Any:
        shape = [4 if size is None else size for size in tensor.shape]
        drawn = random.standard_normal(shape) if tensor.dtype.is_floating else np.zeros(shape)
        return drawn.astype(tensor.dtype.as_numpy_dtype)

    return keras.tree.map_structure(made, value)
