"""Look at a compiled Keras model from Python: a short watched training that leaves the model as it was."""

from __future__ import annotations

from typing import Any

from unvanish.core.diagnosis import Cost
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile
from unvanish.errors import UsageError
from unvanish.keras.batches import Batches
from unvanish.keras.describe import describe as of_model
from unvanish.keras.explained import explained
from unvanish.keras.failing import LookError
from unvanish.keras.observe import observe
from unvanish.keras.probe import probe
from unvanish.keras.reading import read
from unvanish.keras.requirements import (
    require_built,
    require_inputs,
    require_model,
    require_none_given,
    require_numbers,
    require_samples,
)
from unvanish.keras.snapshot import untouched
from unvanish.keras.training import train
from unvanish.watching.session import Plan, Progress


def check(
    model: Any,
    x: Any,
    y: Any,
    *,
    loss: Any = None,
    optimizer: Any = None,
    validation: tuple[Any, Any] | None,
    batch_size: int,
    plan: Plan,
    progress: Progress,
) -> tuple[Observation, Cost]:
    """Return what was seen and what it cost. The model, its optimizer and all random states are put back to the bit.

    loss, optimizer: refused; `compile` gave the model its own.
    """
    require_model(model)
    require_none_given(model, loss=loss, optimizer=optimizer)
    require_inputs(model, x, validation)
    batches = Batches.of_arrays(x, y, validation=validation, batch_size=batch_size)
    require_samples(model, batches, batch_size)
    limit = plan.limit(None)
    with untouched(model), explained(model, batches):
        try:
            return observe(model, batches, plan, progress, lambda: train(model, batches, limit, seed=0), planned=None)
        except LookError as failed:
            raise failed.__cause__ or failed from None


def look_once(model: Any, x: Any, y: Any, *, loss: Any = None, batch_size: int) -> tuple[Network, Profile]:
    """Return the network and its gradients on one to three batches, without a training step. Nothing is changed."""
    require_model(model)
    require_none_given(model, loss=loss)
    if x is None:
        raise UsageError(
            "a Keras model keeps no gradients: they have to be taken",
            found="no data to take them on",
            hint="unvanish.plot_grad_flow(model, x, y)",
        )
    require_inputs(model, x, None)
    batches = Batches.of_arrays(x, y, batch_size=batch_size)
    require_samples(model, batches, batch_size)
    with untouched(model), explained(model, batches):
        drawn = batches.take(3)
        read(model, drawn[0][0])
        return of_model(model), probe(model, drawn, 0)


def describe(model: Any, input: Any = None) -> Network:
    """Return a built model as data. input: an example, for a model without a static graph. Nothing is changed."""
    require_built(model)
    if input is not None:
        batches = Batches.of_arrays(input, None)
        require_numbers(model, batches)
        with explained(model, batches):
            read(model, batches.take(1)[0][0])
    return of_model(model)
