"""The trainer of a model that was handed in from Python."""

from __future__ import annotations

from typing import Any

from unvanish.keras.aside import aside
from unvanish.keras.batches import Batches
from unvanish.keras.explained import explained
from unvanish.keras.requirements import require_inputs, require_model, require_samples
from unvanish.keras.trainer import KerasTrainer


def trainer_of(
    model: Any, x: Any, y: Any, *, validation: Any = None, batch_size: int = 32, planned_steps: int | None = None
) -> KerasTrainer:
    """Return what trains copies of the compiled model on the data; the model itself is only read.

    x, y, validation: as for unvanish.check; without validation a fifth is held out. Raise UnvanishError for a model or
    data that could not be trained.
    """
    require_model(model)
    require_inputs(model, x, validation)
    batches = Batches.of_arrays(x, y, validation, batch_size)
    require_samples(model, batches, batch_size)
    with aside(model, 0), explained(model, batches):
        trainer = KerasTrainer(model, batches, planned_steps)
        trainer.look(None, 0)  # what does not fit together is told here; the look is kept
    return trainer
