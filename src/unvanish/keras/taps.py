"""Taps on the leaves of a model for one forward pass: inputs, pre-activations and outputs, by the number of their mark.

Every leaf's `call` (and its fused `activation`) is wrapped on the instance, and unwrapped afterwards, also after an
exception. The values that the model computes are not changed: a tap is an identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras

from unvanish.keras.backends import Mark
from unvanish.keras.graph import Leaf
from unvanish.keras.shadow import shadowed


class Tap:
    """Hold the marks of one leaf's call; `None` until the forward pass reached it."""

    __slots__ = ("inputs", "output", "preactivation")

    def __init__(self) -> None:
        """Start empty."""
        self.inputs: list[int] = []
        self.preactivation: int | None = None
        self.output: int | None = None


@contextmanager
def tapped(found: list[Leaf], mark: Mark) -> Iterator[dict[str, Tap]]:
    """Tap every leaf while the context lasts; what is tapped goes through `mark`."""
    taps = {leaf.name: Tap() for leaf in found}
    names: dict[int, list[str]] = {}
    operations: dict[int, Any] = {}
    for leaf in found:
        names.setdefault(id(leaf.operation), []).append(leaf.name)
        operations[id(leaf.operation)] = leaf.operation
    with ExitStack() as stack:
        for key, operation in operations.items():
            wrapped = _wrapped(operation, [taps[name] for name in names[key]], mark)
            stack.enter_context(shadowed(operation, **wrapped))
        yield taps


def _wrapped(operation: Any, queue: list[Tap], mark: Mark) -> dict[str, Callable[..., Any]]:
    """Return what is to lie over the operation's `call` and `activation`."""
    call: Callable[..., Any] = operation.call
    activation: Any = getattr(operation, "activation", None)
    waiting = iter(queue)
    current: list[Tap] = []

    def tapped_call(*args: Any, **kwargs: Any) -> Any:
        tap = next(waiting, None)
        if tap is None:  # called more often than the graph says: left alone
            return call(*args, **kwargs)
        current[:] = [tap]
        args = tuple(keras.tree.map_structure(lambda value: _input(value, tap, mark), arg) for arg in args)
        output, tap.output = mark(call(*args, **kwargs), alone=False)
        current.clear()
        return output

    def tapped_activation(value: Any) -> Any:
        if current and current[0].preactivation is None:
            value, current[0].preactivation = mark(value, alone=True)
        return activation(value)

    return {"call": tapped_call, **({"activation": tapped_activation} if callable(activation) else {})}


def _input(value: Any, tap: Tap, mark: Mark) -> Any:
    """Return an identity of a float tensor, so that the cotangent through this leaf alone can be told apart."""
    value, number = mark(value, alone=True)
    if number is not None:
        tap.inputs.append(number)
    return value
