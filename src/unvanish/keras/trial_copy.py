"""One compiled copy of a model, trained again and again from other weights and at other learning rates."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from unvanish.core.edit import Edit
from unvanish.keras import backends, compat
from unvanish.keras.batches import Batches
from unvanish.keras.draw import Values, carry_untrained
from unvanish.keras.recompile import recompiled, schedule_of
from unvanish.keras.scaled_schedule import ScaledSchedule
from unvanish.keras.state import strays
from unvanish.keras.surgery import operated
from unvanish.keras.training import packed

STRETCHES = 20
"""Equal parts of a training of which each gives a mean loss."""


class Trained(NamedTuple):
    """Hold the course of one training."""

    losses: list[float]
    """Mean training loss of each stretch; ends with the first that is not finite."""
    steps: int
    seconds: float


class TrialCopy:
    """Hold the copy; its train function is compiled once."""

    def __init__(self, model: Any, edits: Sequence[Edit], batches: Batches, factor: float = 1.0) -> None:
        """factor: by which a learning rate schedule is scaled, once and for all. Raise UnsupportedError."""
        copy = operated(model, edits)
        carry_untrained(model, copy)
        self.model, self.made = copy.model, copy.made
        recompiled(self.model, model, edits, made=self.made, metrics=False)
        self._batches = batches
        optimizer = self.model.optimizer
        self._inner = getattr(optimizer, "inner_optimizer", optimizer)
        schedule = schedule_of(optimizer)
        if schedule is not None and factor != 1.0:
            self._inner.learning_rate = ScaledSchedule(schedule, factor)
        self._settable = schedule is None
        compat.build(self.model, packed(batches.take(1)[0]))
        self._others = [*optimizer.variables, *strays(self.model)]
        self._unused = [np.array(variable.numpy()) for variable in self._others]
        self._compiled = False

    def reset(self, values: Values, learning_rate: float) -> None:
        """Set all variables, those of the optimizer, the loss and the metrics to what they are before a training."""
        for variable, value in zip(self.model.variables, values, strict=True):
            variable.assign(value)
        for variable, value in zip(self._others, self._unused, strict=True):
            variable.assign(value)
        if self._settable:
            self._inner.learning_rate = learning_rate
        self.model.reset_metrics()

    def compile(self) -> None:
        """Compile the train function by a step that is to be undone; at the first call alone."""
        if not self._compiled:
            self.model.make_train_function()
            backends.current().train(self.model, [packed(self._batches.take(1)[0])])
            self._compiled = True

    def train(self, seed: int, steps: int, measure: Callable[[Any], float]) -> Trained:
        """Take so many steps in the order that the seed draws; end where the loss is no number any more.

        measure: gives the training loss of the model where its own train step does not tell it.
        """
        drawn = self._batches.epochs_order(steps, seed)
        cuts = np.linspace(0, steps, min(STRETCHES, steps) + 1).astype(int)
        losses: list[float] = []
        started, done = time.perf_counter(), 0
        for count in np.diff(cuts):
            self.model.reset_metrics()
            backends.current().train(self.model, (packed(next(drawn)) for _ in range(count)))
            told = compat.told_loss(self.model)
            losses.append(measure(self.model) if told is None else told)
            done += int(count)
            if not math.isfinite(losses[-1]):
                break
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)  # moving averages, as after a fit
        return Trained(losses, done, time.perf_counter() - started)
