"""Loops on JAX: stateless calls of models and optimizers, inside of functions that are differentiated and compiled."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import jax
import keras
import numpy as np

from unvanish.keras import compat
from unvanish.keras.info import optimizer_info
from unvanish.keras.loop_data import LoopData, loop_data
from unvanish.keras.loops.arrivals import Arrivals, Losses
from unvanish.keras.loops.bell import Bell
from unvanish.keras.loops.handing import hand_out
from unvanish.keras.loops.protocol import Look, Watcher, eagerly
from unvanish.keras.patches import Patches, defining
from unvanish.keras.tally import Tally
from unvanish.keras.witness import Called


class Ways:
    """See `protocol.Ways`."""

    UNKNOWN = ("", "")
    LOSS_IN_PART = True

    def __init__(self, watcher: Watcher) -> None:
        """Patch nothing yet."""
        self._watcher = watcher
        self._known: dict[int, tuple[Any, list[Any]]] = {}
        self._losses: Losses = deque()
        self._bell = Bell(watcher.stop)
        self._live = True
        self._arrivals: Arrivals | None = None

    def patch(self, patches: Patches) -> None:
        """See `protocol.Ways`."""
        patches.patch(defining(keras.Model, "stateless_call"), "stateless_call", self._call)
        patches.patch(keras.losses.Loss, "__call__", self._loss)
        for kind in (keras.optimizers.Optimizer, keras.optimizers.LossScaleOptimizer):
            patches.patch(defining(kind, "stateless_apply"), "stateless_apply", self._apply)
        patches.enter(self._bell)

    def forget(self) -> None:
        """See `protocol.Ways`."""
        self._live, self._arrivals = False, None
        self._known.clear()

    def loss(self) -> Any:
        """See `protocol.Ways`; a gradient does not say what it is of, and the last loss that was called stands in."""
        return self._losses[-1] if self._losses else math.nan

    def stepped(self) -> None:
        """See `protocol.Ways`."""

    def array(self, tensor: Any) -> Any:
        """See `protocol.Ways`; of a tracer, what arrived when its function ran."""
        if not isinstance(tensor, jax.core.Tracer):
            return np.asarray(tensor)
        jax.effects_barrier()
        arrived = self._known.get(id(tensor), (None, []))[1]
        return arrived[0] if arrived else None

    def same(self, output: Any, given: Any) -> bool:
        """See `protocol.Ways`."""
        return output is given

    def take(self, look: Look, apply: Callable[[], Any], gradients: Mapping[int, Any], loss: Any, scale: Any) -> Any:
        """See `protocol.Ways`."""
        return eagerly(look, apply, look.tally.gradients(gradients), loss, scale)

    def trail(self, model: Any, tally: Tally, limit: int) -> Arrivals:
        """See `protocol.Ways`."""
        called, lost = self._watcher.witness.calls.get(model), self._watcher.witness.lost

        def data() -> LoopData:
            return loop_data(model, called, lost, self)

        def full(steps: int) -> None:
            if steps >= limit and self._live:
                self._bell.ring()

        self._arrivals = Arrivals(model, tally, limit, data, full)
        return self._arrivals

    def _call(
        self, original: Callable[..., Any], model: Any, trained: Any, others: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Remember a pass of a model, and ask for its inputs."""
        witness = self._watcher.witness
        if self._watcher.busy or witness.inside or not isinstance(model, keras.Model):
            return original(model, trained, others, *args, **kwargs)
        with witness.running():
            result = original(model, trained, others, *args, **kwargs)
        if len(args) == 1 and kwargs.get("training") is not False:
            witness.called = witness.calls[model] = Called(model, args[0], result[0])
            self._ask(args[0])
        return result

    def _loss(self, original: Callable[..., Any], loss: Any, *args: Any, **kwargs: Any) -> Any:
        """Ask for the labels and the value of a loss that the witness saw."""
        result = original(loss, *args, **kwargs)
        lost = self._watcher.witness.lost
        if self._watcher.busy or lost is None or lost.loss is not loss:
            return result
        self._ask((lost.y, lost.weight))
        losses = self._losses = deque()

        def arrived(value: Any) -> None:
            if self._live:
                losses.append(float(np.sum(value)))

        jax.debug.callback(arrived, jax.lax.optimization_barrier(jax.lax.stop_gradient(result)))
        return result

    def _ask(self, value: Any) -> None:
        """Let tensors whose values are not known yet arrive when the function runs that is being traced."""
        if self._watcher.look is not None:
            return
        for leaf in keras.tree.flatten(value):
            if isinstance(leaf, jax.core.Tracer) and id(leaf) not in self._known:
                found: list[Any] = []
                self._known[id(leaf)] = leaf, found
                hand_out(leaf, found.append, functools.partial(self._wants, found))

    def _wants(self, found: list[Any]) -> bool:
        """Say whether nothing arrived yet: what arrives first is kept."""
        return self._live and not found

    def _apply(self, original: Callable[..., Any], optimizer: Any, own: Any, grads: Any, values: Any) -> Any:
        """Take, or trace, a step; those of the plan's training are watched."""
        watcher = self._watcher
        if watcher.busy:
            return original(optimizer, own, grads, values)
        variables = compat.optimised_by(getattr(optimizer, "inner_optimizer", optimizer))
        look = watcher.look_at(optimizer, functools.partial(optimizer_info, optimizer), variables)
        with watcher.aside():
            result = original(optimizer, own, grads, values)
            if look is not None and self._arrivals is not None:
                with keras.StatelessScope(state_mapping=list(zip(optimizer.variables, own, strict=True))):
                    scale = optimizer.scale_loss(keras.ops.ones(()))
                self._arrivals.leave(variables, grads, values, result[0], scale, self._losses)
        return result
