"""Try out what the numbers of a sample take: within a compiled step nothing says what part of it they are."""

from __future__ import annotations

import statistics
import time
from typing import Any

import keras

from unvanish.keras import backends
from unvanish.keras.norms import Norms

ROUNDS = 5


def tried(model: Any, norms: Norms, result: Any) -> float | None:
    """Return how many seconds the numbers of a step take by themselves, the median of a few rounds; None: not known.

    Taken of the weights that a train function left with its `result`, as if they were gradients too; nothing is
    changed. It is compiled as the model's step is.
    """
    if keras.distribution.distribution() is not None:
        return None
    backend = backends.current()
    values = backend.values_after(model, result, norms.kernels)
    table = backend.function(model, norms.as_of_a_step)
    took = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        keras.ops.convert_to_numpy(table(values))
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])
