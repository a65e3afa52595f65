"""Describe the model that a script is about to train, with its first batch, and end the script before a step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from unvanish.core.data_stats import data_info
from unvanish.core.observation import Observation, OptimizerInfo
from unvanish.core.recording import Recording
from unvanish.errors import UnvanishError
from unvanish.keras import capture
from unvanish.keras.batches import Batches
from unvanish.keras.clock import Clock
from unvanish.keras.describe import describe
from unvanish.keras.failing import LookError, of_the_look, unsupported
from unvanish.keras.handmade import Loops
from unvanish.keras.info import loss_info, optimizer_info
from unvanish.keras.loop_data import loop_data
from unvanish.keras.looped import Loop, outside
from unvanish.keras.observe import not_looked_at
from unvanish.keras.reading import read
from unvanish.watching.session import Plan, Progress

USUAL = 32
"""Samples in a batch, where a compiled function does not tell."""
UNTOLD = f"the size of the batches, which the compiled step does not tell before it runs: taken as {USUAL}"


class Capture(capture.Capture):
    """End the script where the plan's training begins. The observation has no profile: nothing is measured."""

    def __init__(self, plan: Plan, progress: Progress, script: Path) -> None:
        """Patch nothing yet."""
        super().__init__(plan, progress, script)
        self._loops = Described(self)

    def _looked_at(self, fit: Callable[..., Any], model: Any, arguments: dict[str, Any]) -> None:  # noqa: ARG002
        self._describe(model, Batches.of_fit(model, arguments))

    def _begin(self, model: Any, arguments: dict[str, Any]) -> None:
        try:
            batches = Batches.of_batch(*(arguments[name] for name in ("x", "y", "sample_weight", "class_weight")))
            with self._busy():
                self._describe(model, batches)
        except UnvanishError as error:
            self.error = error
        except LookError as failed:
            self.error = unsupported(model, failed)
        self.over()

    def _describe(self, model: Any, batches: Batches) -> None:
        with of_the_look():
            self.prepare(model, batches)
            x, y = batches.training_arrays()
            info = optimizer_info(model.optimizer)
            seen = _observation(model, model.trainable_variables, info, model.loss, x, y, batches.batch_size)
        self.keep(seen, Clock().cost(0))


class Described(Loops):
    """Describe the model whose variables a loop of the script's own is about to step."""

    def _begin(self, model: Any, optimizer: Any, info: Callable[[], OptimizerInfo], variables: Sequence[Any]) -> Loop:  # noqa: ARG002
        called = self.witness.calls.get(model)
        with of_the_look(), self._host.aside():
            data = loop_data(model, called, self.witness.lost, self._ways)
            size = None if called is None else keras.tree.flatten(called.x)[0].shape[0]
            size = size if data.x is None else data.size

            def look() -> Observation:
                read(model, data.like)
                self._host.find_sites(model)
                loss = data.ways[0].loss if data.ways else None
                return _observation(model, variables, info(), loss, data.x, data.y, size)

            self._host.keep(outside(look), Clock().cost(0))
        self._host.over()
        raise AssertionError("over() ends the script")


def _observation(
    model: Any, optimised: Sequence[Any], optimizer: OptimizerInfo, loss: Any, x: Any, y: Any, batch_size: int | None
) -> Observation:
    network = describe(model, {id(variable) for variable in optimised})
    told = loss_info(loss, y, network)
    untold = (UNTOLD,) if batch_size is None else ()
    return Observation(
        network=network,
        profiles=(),
        recording=Recording(layers=(), sizes=(), steps=(), losses=(), rows={}),
        optimizer=optimizer,
        loss=told,
        data=data_info(x, y, samples=None, held_out=0, batch_size=batch_size or USUAL, loss_kind=told.kind),
        not_checked=(*not_looked_at(model, network), *untold),
    )
