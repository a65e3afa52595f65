"""Taps on the leaves of a model for one eager forward pass: inputs, pre-activations and outputs, and their cotangents.

Every leaf's `call` (and its fused `activation`) is wrapped on the instance, and unwrapped afterwards, also after an
exception. The values that the model computes are not changed: a tap is an identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from unvanish.keras.graph import Leaf


class Tap:
    """Hold the tensors of one leaf's call; `None` until the forward pass reached it."""

    __slots__ = ("inputs", "output", "preactivation")

    def __init__(self) -> None:
        """Start empty."""
        self.inputs: list[Any] = []
        self.preactivation: Any = None
        self.output: Any = None

    def tensors(self) -> list[Any]:
        """Return all tensors that were tapped."""
        return [*self.inputs, *(t for t in (self.preactivation, self.output) if t is not None)]


@contextmanager
def tapped(found: list[Leaf], tape: tf.GradientTape) -> Iterator[dict[str, Tap]]:
    """Tap every leaf while the context lasts; the tape watches what is tapped."""
    taps = {leaf.name: Tap() for leaf in found}
    names: dict[int, list[str]] = {}
    operations: dict[int, Any] = {}
    for leaf in found:
        names.setdefault(id(leaf.operation), []).append(leaf.name)
        operations[id(leaf.operation)] = leaf.operation
    shadowed: list[tuple[Any, str, bool, Any]] = []
    try:
        for key, operation in operations.items():
            _wrap(operation, [taps[name] for name in names[key]], tape, shadowed)
        yield taps
    finally:
        for operation, attribute, present, value in reversed(shadowed):
            if present:
                operation.__dict__[attribute] = value
            else:
                operation.__dict__.pop(attribute, None)


def _wrap(operation: Any, queue: list[Tap], tape: tf.GradientTape, shadowed: list[tuple[Any, str, bool, Any]]) -> None:
    """Shadow the operation's `call` and `activation` in its instance dictionary, which Keras' trackers do not see."""
    call: Callable[..., Any] = operation.call
    activation: Any = getattr(operation, "activation", None)
    waiting = iter(queue)
    current: list[Tap] = []

    def tapped_call(*args: Any, **kwargs: Any) -> Any:
        tap = next(waiting, None)
        if tap is None:  # called more often than the graph says: left alone
            return call(*args, **kwargs)
        current[:] = [tap]
        args = tuple(tf.nest.map_structure(lambda value: _input(value, tap, tape), arg) for arg in args)
        output = call(*args, **kwargs)
        current.clear()
        if _is_float(output):
            tape.watch(output)
            tap.output = output
        return output

    def tapped_activation(value: Any) -> Any:
        if current and current[0].preactivation is None and _is_float(value):
            tape.watch(value)
            current[0].preactivation = value
        return activation(value)

    _shadow(operation, "call", tapped_call, shadowed)
    if callable(activation):
        _shadow(operation, "activation", tapped_activation, shadowed)


def _shadow(operation: Any, attribute: str, value: Any, shadowed: list[tuple[Any, str, bool, Any]]) -> None:
    own = operation.__dict__
    shadowed.append((operation, attribute, attribute in own, own.get(attribute)))
    own[attribute] = value


def _input(value: Any, tap: Tap, tape: tf.GradientTape) -> Any:
    """Return an identity of a float tensor, so that the cotangent through this leaf alone can be told apart."""
    if not _is_float(value):
        return value
    copy = tf.identity(value)
    logits = getattr(value, "_keras_logits", None)
    if logits is not None:
        copy._keras_logits = logits
    tape.watch(copy)
    tap.inputs.append(copy)
    return copy


def _is_float(value: Any) -> bool:
    return bool(tf.is_tensor(value) and value.dtype.is_floating)
