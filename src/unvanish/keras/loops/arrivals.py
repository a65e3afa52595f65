"""What the steps of a loop on JAX leave for Python to read: callbacks put into the user's function while it is traced.

A callback only keeps what it is given. It takes part in no arithmetic, and what it reads stands behind a barrier, so
that no compiler computes the loop's own numbers in another way because of it.
"""

from __future__ import annotations

import functools
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import keras
import numpy as np
from jax import numpy as jnp
from numpy.typing import NDArray

from unvanish.core.measures.norm import norm
from unvanish.core.spaced import EXACT_TOTAL
from unvanish.keras import compat
from unvanish.keras.backends.jax import gradient_sums
from unvanish.keras.loop_data import LoopData
from unvanish.keras.loops.handing import hand_out
from unvanish.keras.loops.protocol import Left
from unvanish.keras.tally import Tally

Losses = deque[float]
"""What one call of a loss gave, step after step."""


class Arrivals:
    """Collect the numbers of the steps of one model; see `protocol.Trail`."""

    def __init__(
        self, model: Any, tally: Tally, limit: int, data: Callable[[], LoopData], full: Callable[[int], None]
    ) -> None:
        """limit: steps to see. data: what is known of the first batch by now. full: called with the steps so far."""
        self.data = data
        self._limit = limit
        self._model, self._tally, self._full = model, tally, full
        self._initial = {id(v): np.array(v.value) for v in model.variables}  # a loop may give the arrays away
        self._latest: dict[int, NDArray[Any]] = {}
        self._small = sum(value.size for value in self._initial.values()) <= EXACT_TOTAL
        self._rows: list[tuple[NDArray[np.float64], float, Losses, float]] = []
        self._read = self._weighed = 0

    def leave(
        self,
        variables: Sequence[Any],
        grads: Sequence[Any],
        before: Sequence[Any],
        after: Sequence[Any],
        scale: Any,
        losses: Losses,
    ) -> None:
        """Let the step that is being taken, or traced, leave its numbers.

        variables: of the optimizer, in the order of their gradients and of their values before and after the step.
        """
        known = {id(variable): place for place, variable in enumerate(variables)}
        columns = []
        for index, kernel in enumerate(self._tally.kernels):
            place = known.get(id(kernel))
            given = (None, kernel.value, kernel.value) if place is None else (grads[place], before[place], after[place])
            columns.append(self._column(index, place is None, *given))
        kept = (list(after) if self._small else [], jnp.asarray(scale))
        weights, scale = jax.lax.optimization_barrier(kept)

        def arrived(rows: Any, scale: Any) -> None:
            self._rows.append((np.array(rows, np.float64), float(scale), losses, time.perf_counter()))
            self._full(len(self._rows))

        jax.debug.callback(arrived, jnp.stack(columns), scale)
        if weights:
            flat = jnp.concatenate([jnp.ravel(weight).astype(jnp.float32) for weight in weights])
            hand_out(flat, functools.partial(self._keep, list(variables)), lambda: self._weighed < self._limit)

    def read(self) -> list[Left]:
        """See `protocol.Trail`; waits for the steps that were begun."""
        jax.effects_barrier()
        rows, first = self._rows[self._read :], self._read
        self._read += len(rows)
        return [self._left(first + place, *row) for place, row in enumerate(rows)]

    def knows(self, step: int) -> bool:
        """See `protocol.Trail`."""
        return step == 0 or self._weighed >= step

    def _keep(self, variables: list[Any], flat: NDArray[Any]) -> None:
        """Keep the weights after a step."""
        self._weighed += 1
        ends = np.cumsum([math.prod(variable.shape) for variable in variables])[:-1]
        for variable, value in zip(variables, np.split(flat, ends), strict=True):
            self._latest[id(variable)] = value.reshape(variable.shape)

    @contextmanager
    def values(self, step: int) -> Iterator[None]:
        """See `protocol.Trail`."""
        values = {**self._initial, **(self._latest if step else {})}
        with compat.lent([(variable, values[id(variable)]) for variable in self._model.variables]):
            yield

    def _column(self, index: int, idle: bool, gradient: Any, before: Any, after: Any) -> Any:
        """Return (4, 3): the sums of the gradient, the weight, the update, and the movement since the start."""
        nothing = jnp.full((3,), jnp.nan) if idle else jnp.zeros((3,))
        sums = nothing if gradient is None else gradient_sums(gradient)
        old, new = (
            keras.ops.cast(self._tally.chosen(index, jax.lax.optimization_barrier(value)), "float32")
            for value in (before, after)
        )
        start = jnp.asarray(self._tally.initial[index], jnp.float32)
        return jnp.stack([sums.astype(jnp.float32), *map(gradient_sums, (old, new - old, old - start))])

    def _left(self, step: int, rows: NDArray[np.float64], scale: float, losses: Losses, at: float) -> Left:
        with np.errstate(over="ignore", invalid="ignore"):
            norms = rows[:, :, 0] * np.sqrt(rows[:, :, 1])
        shares = [
            (len(start) / np.prod(kernel.shape)) ** 0.5
            for start, kernel in zip(self._tally.initial, self._tally.kernels, strict=True)
        ]
        starts = [norm(np.asarray(start, np.float32)) for start in self._tally.initial]
        found: Mapping[str, Any] = {
            "gradient_norm": norms[:, 0] / scale,
            "weight_norm": norms[:, 1] / shares,
            "update_norm": norms[:, 2] / shares,
            "movement": [m / s if s else 0.0 if m == 0 else np.inf for m, s in zip(norms[:, 3], starts, strict=True)],
            "gradient_nonfinite": rows[:, 0, 2],
        }
        loss = losses.popleft() if losses else float("nan")
        return Left(step, loss, {stat: [float(number) for number in numbers] for stat, numbers in found.items()}, at)
