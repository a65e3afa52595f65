"""The gradient of a function of one tensor: the one thing about time that differs between Keras' backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def pullback(function: Callable[[Any], Any], x: Any, cotangent: NDArray[Any]) -> NDArray[np.float64]:
    """Return the gradient of sum(cotangent * function(x)) with respect to x, as float64 of the shape of x.

    x: a float tensor. cotangent: of the shape of function(x). Zeros where no path leads from x to the result.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        result = function(x)
    found = tape.gradient(result, x, output_gradients=tf.cast(cotangent, result.dtype))
    return np.zeros(x.shape) if found is None else np.asarray(found, dtype=np.float64)
