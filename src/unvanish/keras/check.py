"""Look at a compiled Keras model from Python: a short watched training that leaves the model as it was."""

from __future__ import annotations

from typing import Any

from unvanish.core.diagnosis import Cost
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile
from unvanish.errors import UsageError
from unvanish.keras.batches import Batches
from unvanish.keras.describe import describe
from unvanish.keras.failing import LookError
from unvanish.keras.observe import observe
from unvanish.keras.probe import probe
from unvanish.keras.reading import read
from unvanish.keras.requirements import require_counts, require_inputs, require_model
from unvanish.keras.snapshot import untouched
from unvanish.keras.training import train
from unvanish.watching.session import Plan, Progress


def check(
    model: Any,
    x: Any,
    y: Any,
    *,
    validation: tuple[Any, Any] | None,
    batch_size: int,
    plan: Plan,
    progress: Progress,
) -> tuple[Observation, Cost]:
    """Return what was seen and what it cost. The model, its optimizer and all random states are put back to the bit."""
    require_model(model)
    require_counts(batch_size=batch_size, steps=plan.steps)
    require_inputs(model, x, validation)
    batches = Batches.of_arrays(x, y, validation=validation, batch_size=batch_size)
    limit = plan.limit(None)
    with untouched(model):
        try:
            return observe(model, batches, plan, progress, lambda: train(model, batches, limit, seed=0), planned=None)
        except LookError as failed:
            raise failed.__cause__ or failed from None


def look_once(model: Any, x: Any, y: Any, *, batch_size: int) -> tuple[Network, Profile]:
    """Return the network and its gradients on one to three batches, without a training step. Nothing is changed."""
    require_model(model)
    if x is None:
        raise UsageError(
            "a Keras model keeps no gradients: they have to be taken",
            found="no data to take them on",
            hint="unvanish.plot_grad_flow(model, x, y)",
        )
    require_counts(batch_size=batch_size)
    require_inputs(model, x, None)
    batches = Batches.of_arrays(x, y, batch_size=batch_size)
    with untouched(model):
        drawn = batches.take(3)
        read(model, drawn[0][0])
        return describe(model), probe(model, drawn, 0)
