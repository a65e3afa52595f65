"""Losses of the reference: the mean over the batch (and over all outputs of a sample), and its gradient.

A cross-entropy whose head applies a sigmoid or a softmax is computed from the logits z, as Keras on TensorFlow does,
which goes so far as to read the logits of a sigmoid as those of a softmax and the other way round, where head and loss
do not match. The output of any other head is taken as a probability and clipped to [1e-7, 1 - 1e-7], with no gradient
where it was clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unvanish.testing.reference.activations import sigmoid, softmax, softplus

Array = NDArray[Any]
Loss = Callable[[Array, Array], tuple[Array, Array]]
"""(outputs or logits, labels) -> (the loss, its gradient)."""

EPSILON = 1e-7
"""keras.config.epsilon()."""


def _squared(output: Array, y: Array) -> tuple[Array, Array]:
    error = output - y.reshape(output.shape)
    return np.mean(error * error), 2 * error / error.size


def _absolute(output: Array, y: Array) -> tuple[Array, Array]:
    error = output - y.reshape(output.shape)
    sign = np.sign(error.real)
    return np.mean(sign * error), sign / error.size


def _binary(output: Array, y: Array) -> tuple[Array, Array]:
    p, inside = _clipped(output)
    y = y.reshape(p.shape)
    loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    return loss, inside * ((1 - y) / (1 - p) - y / p) / p.size


def _binary_logits(z: Array, y: Array) -> tuple[Array, Array]:
    y = y.reshape(z.shape)
    loss = np.mean((1 - y) * softplus(z) + y * softplus(-z))
    return loss, ((1 - y) * sigmoid(z) - y * sigmoid(-z)) / z.size


def _categorical(output: Array, y: Array) -> tuple[Array, Array]:
    total = output.sum(axis=-1, keepdims=True)
    share = output / total  # Keras makes them add up to 1 first
    p, inside = _clipped(share)
    samples = p.size / p.shape[-1]
    d_share = -y / p * inside / samples
    d_output = (d_share - (d_share * share).sum(axis=-1, keepdims=True)) / total
    return -np.sum(y * np.log(p)) / samples, d_output


def _categorical_logits(z: Array, y: Array) -> tuple[Array, Array]:
    samples = z.size / z.shape[-1]
    shifted = z - z.real.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    p = softmax(z)
    others = p @ (1 - np.eye(p.shape[-1]))  # 1 - p, without the cancellation
    d_z = (y.sum(axis=-1, keepdims=True) - y) * p - y * others
    return -np.sum(y * log_p) / samples, d_z / samples


def _sparse(output: Array, y: Array) -> tuple[Array, Array]:
    p, inside = _clipped(output)  # Keras hands log p to a softmax cross-entropy
    loss, d_log = _categorical_logits(np.log(p), _one_hot(y, output))
    return loss, inside * d_log / p


def _sparse_logits(z: Array, y: Array) -> tuple[Array, Array]:
    return _categorical_logits(z, _one_hot(y, z))


def _one_hot(y: Array, like: Array) -> Array:
    result: Array = np.eye(like.shape[-1])[y.astype(int).reshape(like.shape[:-1])]
    return result


def _clipped(output: Array) -> tuple[Array, Array]:
    """Return (clipped probabilities, where nothing was clipped)."""
    low, high = output.real < EPSILON, output.real > 1 - EPSILON
    return np.where(low, EPSILON, np.where(high, 1 - EPSILON, output)), ~(low | high)


LOSSES: dict[str, Loss] = {
    "binary_crossentropy": _binary,
    "categorical_crossentropy": _categorical,
    "mean_absolute_error": _absolute,
    "mean_squared_error": _squared,
    "sparse_categorical_crossentropy": _sparse,
}
HEADS_WITH_LOGITS = frozenset({"sigmoid", "softmax"})
LOGITS: dict[str, Loss] = {
    "binary_crossentropy": _binary_logits,
    "categorical_crossentropy": _categorical_logits,
    "sparse_categorical_crossentropy": _sparse_logits,
}
"""How a loss is computed from the pre-activation of such a head."""
