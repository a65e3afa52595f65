"""Try out what the numbers of a sample take: within a compiled step nothing says what part of it they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import keras

from unvanish.keras import backends
from unvanish.keras.norms import Norms

ROUNDS, SECONDS = 21, 0.1
"""Rounds that are timed at most, and the seconds after which none begins any more."""
FEWEST = 5


def tried(model: Any, norms: Norms, result: Any) -> float | None:
    """Return how many seconds the numbers of a step take by themselves, the least of some rounds; None: not known.

    Whatever else is done meanwhile makes a round longer, and none shorter. They are taken of the weights that a train
    function left with its `result`, as if those were gradients too; nothing is changed. It is compiled as the model's
    step is. What a call takes that computes next to nothing of the same weights is taken off: within a step the numbers
    are no call.
    """
    if keras.distribution.distribution() is not None:
        return None
    backend = backends.current()
    values = backend.values_after(model, result, norms.kernels)
    table, nothing = backend.function(model, norms.as_of_a_step), backend.function(model, _corners)
    _seconds(table, values)  # compiles
    _seconds(nothing, values)
    took: list[tuple[float, float]] = []
    began = time.perf_counter()
    while len(took) < FEWEST or (len(took) < ROUNDS and time.perf_counter() - began < SECONDS):
        took.append((_seconds(table, values), _seconds(nothing, values)))
    whole, call = (min(column) for column in zip(*took, strict=True))
    return max(float(whole - call), 0.0)


def _corners(values: Sequence[Any]) -> Any:
    return keras.ops.stack([keras.ops.cast(keras.ops.ravel(value)[0], "float32") for value in values])


def _seconds(function: Callable[[Any], Any], values: Any) -> float:
    began = time.perf_counter()
    keras.ops.convert_to_numpy(function(values))
    return time.perf_counter() - began
