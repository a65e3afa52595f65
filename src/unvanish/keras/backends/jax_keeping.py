"""Keep what a sampled step on JAX begins with: a step gives its state away, and what it began with is written over."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
from jax import numpy as jnp

from unvanish.keras.backends.beside import is_needed

JOINED = 2**16
"""Tensors of up to so many entries leave a step in one."""
LARGE = 2**22
"""Bytes of trained weights that are copied out of a step; more are kept without a copy."""


class Copies:
    """Hand the values out of the step, beside its numbers. Small ones leave it as one vector for each dtype."""

    waits = False

    def __init__(self, model: Any, tap: Callable[..., Any], variables: Sequence[Any]) -> None:
        """tap: the tapped step. variables: as the state of a step begins with them."""
        self._model, self._tap, self._variables = model, tap, variables
        self._joined = _joined_places(variables)

    def step(self, state: Any, data: Any) -> Any:
        """Take a step, to be compiled."""
        weights = _vectors([*state[0], *state[1]], self._joined)
        (logs, sums), state = self._tap(state, data)
        return (logs, {**sums, "batch": data, "weights": weights}), state

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...], *, look: bool) -> Any:  # noqa: ARG002
        """See `protocol.Keeper`."""
        return function(*arguments)

    def begun(self, sums: dict[str, Any]) -> list[Any]:
        """See `protocol.Keeper`."""
        return _values(sums["weights"], self._variables, self._joined)


class Spare:
    """Keep a second copy of the trained weights, into which the next step writes its new ones: nothing is copied.

    What a step began with is then there until another tapped step begins, which waits until it is not wanted any more.
    To copy the weights out takes as long as a quarter of a step of 1024 units, most of it for memory that is new.
    """

    waits = True

    def __init__(self, model: Any, tap: Callable[..., Any], variables: Sequence[Any]) -> None:
        """Arguments as of Copies."""
        self._tap, self._count = tap, len(model.trainable_variables)
        self._others = variables[self._count :]
        self._joined = _joined_places(self._others)
        self._spare: list[Any] | None = None

    @staticmethod
    def fits(model: Any, variables: Sequence[Any]) -> bool:
        """Say whether that is cheaper: elsewhere than on a processor memory is not new, and nobody may wait there."""
        trained = variables[: len(model.trainable_variables)]
        compiled = model.jit_compile and not model.run_eagerly and not is_needed(model)
        size = sum(math.prod(v.shape) * jnp.dtype(v.dtype).itemsize for v in trained)
        return bool(compiled and jax.default_backend() == "cpu" and size > LARGE)

    def step(self, given: Any, data: Any) -> Any:
        """Take a step, to be compiled.

        What is given away is used for what is returned of the same shape, in their order: so the new weights go where
        the spare ones are, and those that the step began with stay where they are.
        """
        spare, rest, trained = given
        others = _vectors(rest[0], self._joined)
        (logs, sums), (new, *rest) = self._tap((trained, *rest), data)
        _, numbers = jax.lax.optimization_barrier((spare, sums["numbers"]))  # what nobody reads would not be given
        return (logs, {**sums, "numbers": numbers, "batch": data, "weights": others}), (new, rest, trained)

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...], *, look: bool) -> Any:  # noqa: ARG002
        """See `protocol.Keeper`."""
        (trained, *rest), *others = arguments
        if self._spare is None or any(value.is_deleted() for value in self._spare):
            self._spare = [jnp.zeros_like(value) for value in trained]
        (logs, sums), (new, rest, before) = function((self._spare, rest, trained), *others)
        self._spare = before
        return (logs, {**sums, "weights": (before, sums["weights"])}), (new, *rest)

    def begun(self, sums: dict[str, Any]) -> list[Any]:
        """See `protocol.Keeper`."""
        trained, others = sums["weights"]
        return [*trained, *_values(others, self._others, self._joined)]


def _vectors(values: Sequence[Any], joined: list[list[int]]) -> tuple[list[Any], list[Any]]:
    """Return the joined values as vectors, and the others: each tensor that leaves a step costs."""
    vectors = [jnp.concatenate([jnp.ravel(values[place]) for place in group]) for group in joined]
    inside = {place for group in joined for place in group}
    return vectors, [value for place, value in enumerate(values) if place not in inside]


def _values(found: tuple[list[Any], list[Any]], variables: Sequence[Any], joined: list[list[int]]) -> list[Any]:
    """Return the values of `_vectors` in the order of the variables."""
    vectors, alone = found
    values: dict[int, Any] = {}
    for group, vector in zip(joined, vectors, strict=True):
        ends = list(itertools.accumulate(math.prod(variables[place].shape) for place in group))
        for place, part in zip(group, jnp.split(vector, ends[:-1]), strict=True):
            values[place] = jnp.reshape(part, variables[place].shape)
    rest = iter(alone)
    return [values[place] if place in values else next(rest) for place in range(len(variables))]


def _joined_places(variables: Sequence[Any]) -> list[list[int]]:
    """Return which variables leave a step in one vector; none where they lie on several devices."""
    if keras.distribution.distribution() is not None:
        return []
    by_dtype: dict[str, list[int]] = {}
    for place, variable in enumerate(variables):
        if math.prod(variable.shape) <= JOINED:
            by_dtype.setdefault(variable.dtype, []).append(place)
    return list(by_dtype.values())
