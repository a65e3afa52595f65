"""Take the model and the data out of the script's own fit, to train copies of it; the script goes no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unvanish.keras import capture
from unvanish.keras.batches import Batches
from unvanish.keras.clock import Clock
from unvanish.keras.failing import of_the_look
from unvanish.keras.observe import first_look
from unvanish.keras.trainer import PROBED, KerasTrainer


class Capture(capture.Capture):
    """End the script at the plan's fit, and keep a trainer for what fit was given.

    The observation is what is seen of the script's own model before its first step. Of trainings other than by `fit`
    nothing can be repeated on a copy: they are watched as for `check`, and the trainer stays None.
    """

    def _looked_at(self, fit: Callable[..., Any], model: Any, arguments: dict[str, Any]) -> None:  # noqa: ARG002
        clock = Clock()
        batches = Batches.of_fit(model, arguments)
        planned = batches.planned_steps(arguments["epochs"] - arguments["initial_epoch"], arguments["steps_per_epoch"])
        with of_the_look():
            self.prepare(model, batches)
            seen = first_look(model, batches, batches.take(PROBED), planned, self.progress)
            trainer = KerasTrainer(model, batches, planned)
            trainer.look(None, 0)  # what cannot be looked at on a copy is told here; the look is kept
        self.trainer = trainer
        self.keep(seen, clock.cost(0))
