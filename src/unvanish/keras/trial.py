"""The trainer of a model that was handed in from Python."""

from __future__ import annotations

from typing import Any

from unvanish.keras.batches import Batches
from unvanish.keras.trainer import KerasTrainer


def trainer_of(
    model: Any, x: Any, y: Any, *, validation: Any = None, batch_size: int = 32, planned_steps: int | None = None
) -> KerasTrainer:
    """Return what trains copies of the compiled model on the data; the model itself is only read.

    x, y, validation: as for unvanish.check; without validation a fifth is held out. Raise UnvanishError for a model or
    data that could not be trained.
    """
    return KerasTrainer(model, Batches.of_arrays(x, y, validation, batch_size), planned_steps)
