"""Look at a model once: one forward and backward pass per batch, in training mode, with the user's own loss.

Nothing is left behind: every variable that a forward pass may move (moving averages, seeds, metrics) is put back to
the bit, no optimizer step is taken, and no global random number is drawn.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unvanish.core.layer_sums import LayerSums
from unvanish.core.profile import Profile
from unvanish.keras.graph import Leaf, forward, leaves
from unvanish.keras.kinds import activation_of, kernel_of, kind_of
from unvanish.keras.taps import Tap, tapped


def probe(model: Any, batches: Sequence[tuple[Any, Any, Any]], step: int) -> Profile:
    """Return what the batches (x, y, sample weight or None) show at every leaf of the model.

    Norms are root-mean-square over the batches. Raise what the model itself raises on such data.
    """
    started = time.perf_counter()
    found, _ = leaves(model)
    known: dict[int, tuple[str, float | None]] = {}
    sums = {leaf.name: LayerSums(*activation_of(leaf.operation, known)) for leaf in found}
    with restored(model):
        losses = [_one(model, found, sums, batch) for batch in batches]
    return Profile(
        step=step,
        batches=len(batches),
        batch_size=_length(batches[0][0]) if batches else 0,
        loss=float(np.mean(losses)) if losses else float("nan"),
        dtype=str(model.compute_dtype),
        layers=tuple(sums[leaf.name].profile(leaf.name) for leaf in found),
        seconds=time.perf_counter() - started,
    )


@contextmanager
def restored(model: Any) -> Iterator[None]:
    """Put every variable that is not trained back to its value at entry, to the bit; also after an exception."""
    trained = {id(v) for v in model.trainable_variables}
    others = [v for v in [*model.variables, *model.metrics_variables] if id(v) not in trained]
    values = [np.copy(v.numpy()) for v in others]
    try:
        yield
    finally:
        for variable, value in zip(others, values, strict=True):
            variable.assign(value)


def _one(model: Any, found: list[Leaf], sums: dict[str, LayerSums], batch: tuple[Any, Any, Any]) -> float:
    """Run one batch forward and backward, add its numbers to the sums, return its loss."""
    scale = float(model.optimizer.scale_loss(tf.constant(1.0)))
    while True:
        loss, owned, taps, cotangents = _backward(model, found, batch, scale)
        if scale <= 1 or not _overflowed(cotangents) or not math.isfinite(loss):
            break
        scale = max(scale / 16, 1.0)  # a dynamic loss scale skips such a step and comes down: so does the probe
    for position, leaf in enumerate(found):
        tap, weights = taps[leaf.name], owned[position]
        own = cotangents[len(found) + position]
        sums[leaf.name].add_weights([_numpy(v) for v in weights], cotangents[position])
        _add_activations(sums[leaf.name], leaf, tap, own)
    return loss


def _backward(
    model: Any, found: list[Leaf], batch: tuple[Any, Any, Any], scale: float
) -> tuple[float, list[Any], dict[str, Tap], list[Any]]:
    """Return the loss, each leaf's own weights, its tap, and the gradients of both, as arrays of the unscaled loss.

    scale: what the loss is multiplied by on the way, since half precision would underflow without it.
    """
    x, y, weight = keras.tree.map_structure(_tensor, batch)
    with tf.GradientTape(watch_accessed_variables=False) as tape, tapped(found, tape) as taps:
        owned = [_weights(leaf) for leaf in found]
        tape.watch([v for weights in owned for v in weights])
        output = forward(model)(x, training=True)
        loss = model.compute_loss(x, y, output, weight, training=True)
        scaled = loss * tf.cast(scale, loss.dtype)
    targets = [*owned, *(taps[leaf.name].tensors() for leaf in found)]
    cotangents = tf.nest.map_structure(lambda g: _unscaled(g, scale), tape.gradient(scaled, targets))
    return float(loss), owned, taps, cotangents


def _overflowed(cotangents: list[Any]) -> bool:
    return any(not np.all(np.isfinite(g)) for g in tf.nest.flatten(cotangents) if g is not None)


def _tensor(value: Any) -> Any:
    return None if value is None else tf.convert_to_tensor(value)


def _add_activations(sums: LayerSums, leaf: Leaf, tap: Tap, cotangents: list[Any]) -> None:
    """Add the forward and backward numbers of one leaf; the cotangents are in the order of `tap.tensors()`."""
    inputs = cotangents[: len(tap.inputs)]
    rest = list(cotangents[len(tap.inputs) :])
    z, before = (tap.preactivation, rest.pop(0)) if tap.preactivation is not None else (None, None)
    after = rest.pop(0) if tap.output is not None else None
    if kind_of(leaf.operation) == "activation" and tap.inputs:  # its input is what f is applied to
        z, before = tap.inputs[0], inputs[0]
    elif z is None:
        z, before = tap.output, after
    slopes = _slopes(leaf, z) if sums.wants_slopes and z is not None else None
    sums.add_forward(_numpy(z), _numpy(tap.output), _numpy(slopes))
    sums.add_backward(inputs, before, after)


def _slopes(leaf: Leaf, z: Any) -> Any:
    """Return f'(z) of the leaf's elementwise activation by differentiating it."""
    function = leaf.operation.call if kind_of(leaf.operation) == "activation" else leaf.operation.activation
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(z)
        value = function(z)
    return tape.gradient(value, z)


def _weights(leaf: Leaf) -> list[Any]:
    """Return the kernel of a kernel layer, else all trainable weights; the first call of a shared layer owns them."""
    if leaf.call > 0 or not getattr(leaf.operation, "trainable", False):
        return []
    kernel = kernel_of(leaf.operation)
    variables = [kernel] if kernel is not None else getattr(leaf.operation, "trainable_variables", [])
    return [v.value for v in variables]


def _length(x: Any) -> int:
    return int(tf.nest.flatten(x)[0].shape[0])


def _unscaled(gradient: Any, scale: float) -> Any:
    """Return the gradient of the loss as an array, from that of the scaled loss; None stays None."""
    array = _numpy(gradient)
    return array if array is None or scale == 1.0 else array / np.float32(scale)


def _numpy(value: Any) -> Any:
    """Return a tensor as an array, half precision as float32; None stays None."""
    if value is None:
        return None
    if isinstance(value, tf.IndexedSlices | tf.Variable):
        value = tf.convert_to_tensor(value)
    array = np.asarray(value)  # not .numpy(), which copies: nothing here is written to or kept
    return array.astype(np.float32) if array.dtype.itemsize < 4 else array
