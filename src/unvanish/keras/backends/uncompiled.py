"""Let what the user compiled run as the Python that it is, so that the layers inside it can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run every tf.function eagerly while the context lasts; on other backends there is none.

    None is traced meanwhile either: what a trace of a look remembers, the user's own calls would find again.
    """
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
