"""Let what is made and trained on copies leave no trace on the process: random states and Keras' global state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from unvanish.keras import backends, compat
from unvanish.keras.attributes import same_attributes
from unvanish.keras.state import same_values, strays
from unvanish.keras.streams import private_randomness


@contextmanager
def aside(model: Any, seed: int) -> Iterator[None]:
    """Draw in the context from the seed alone: Keras' initializers and dropouts take theirs from Python's `random`.

    Afterwards the states of `random`, numpy's and the backend's global generators, of Keras' seed generator, and its
    counters of names are what they were; so is what the model's losses count.
    """
    with ExitStack() as stack:
        stack.enter_context(private_randomness())
        stack.enter_context(compat.private_keras_randomness())
        stack.enter_context(backends.current().untouched(model))
        stack.enter_context(same_values(strays(model)))  # a loss is the same object in every copy
        stack.enter_context(same_attributes([compat.global_state()]))
        random.seed(seed)
        np.random.seed(seed)
        backends.current().seed(seed)
        compat.forget_global_seed()
        yield
