"""What is being traced right now: a tensor of one trace cannot be read in another, nor once its own is over."""

from __future__ import annotations

from typing import Any

import keras


def current_trace() -> Any:
    """Return TensorFlow's graph or JAX's trace, to be compared with another; None where nothing is traced."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()
    if backend == "jax":
        try:
            from jax.extend.core import get_opaque_trace_state
        except ImportError:  # an old JAX has it elsewhere
            from jax.core import get_opaque_trace_state
        return get_opaque_trace_state(convention="unvanish")
    return None
