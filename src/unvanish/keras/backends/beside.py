"""Look at a step beside it, on JAX where to read its gradients would change its last bits.

To read a gradient changes how the step is compiled: where the optimizer adds its entries up, as clipping by norms does,
XLA adds them in another order once somebody else reads the gradient, too (JAX 0.10.2; under a distribution over two
devices, and on one where the layers compute in half precision). So such a step is taken by the function that Keras
compiled, and a second one computes it once more, whose numbers alone are kept.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras

from unvanish.keras.backends import current

ENTRY_BY_ENTRY = frozenset(
    {"Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam", "RMSprop", "SGD"}
)
"""Optimizers of Keras that add up no gradient's entries, but to clip."""


def is_needed(model: Any) -> bool:
    """Say whether the model's steps can only be looked at beside them; what is not compiled stays what it is."""
    if keras.backend.backend() != "jax" or not model.jit_compile or model.run_eagerly:
        return False
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    known = type(optimizer) in {getattr(keras.optimizers, name) for name in ENTRY_BY_ENTRY}
    return keras.distribution.distribution() is not None or not known or clips(optimizer) or clips(model.optimizer)


def clips(optimizer: Any) -> bool:
    """Say whether it clips by a norm."""
    return any(getattr(optimizer, name, None) is not None for name in ("clipnorm", "global_clipnorm"))


class Beside:
    """Stand in for a train function, and return what a tapped one returns; `seconds` is what the first look took."""

    def __init__(self, model: Any, tap: Callable[..., Any], plain: Callable[..., Any]) -> None:
        """tap: a tapped train step. plain: the train function."""
        import jax

        def look(state: Any, data: Any) -> Any:
            (_, sums), _ = tap(state, data)
            return jax.tree.map(current().still, sums)  # a copy: the step uses up the arrays that it is given

        self._model, self._look, self._plain = model, jax.jit(look), plain
        self.seconds = 0.0

    def __call__(self, state: Any, batches: Iterator[Any]) -> Any:
        """Take the next step, or `steps_per_execution` of them, and look at the last one."""
        taken = list(itertools.islice(batches, self._model.steps_per_execution))
        if taken[1:]:
            _, state = self._plain(state, iter(taken[:-1]))
        began, sums = time.perf_counter(), None
        if taken:
            sums = self._look(state, taken[-1])
        self.seconds = self.seconds or time.perf_counter() - began
        logs, state = self._plain(state, iter(taken[-1:]))  # raises StopIteration where there is none
        return (logs, sums), state
