"""Look at one training of a Keras model: describe, probe, watch the steps, probe again, evaluate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from unvanish.core.diagnosis import Cost
from unvanish.core.network import Network
from unvanish.core.observation import Evaluation, Observation
from unvanish.core.recording import Recording
from unvanish.keras import compat
from unvanish.keras.batches import Batches
from unvanish.keras.clock import Clock
from unvanish.keras.describe import describe
from unvanish.keras.evaluate import evaluate
from unvanish.keras.graph import graph, leaves
from unvanish.keras.info import data_info, loss_info, optimizer_info
from unvanish.keras.kinds import kernel_of
from unvanish.keras.probe import probe
from unvanish.keras.reading import read
from unvanish.keras.requirements import require_labels
from unvanish.keras.steps import watched
from unvanish.watching.session import Enough, Plan, Progress, Session

_SMALL = 1_000_000
"""Parameters up to which three batches are probed; above, one: there a batch costs as much as a training step."""


def observe(
    model: Any,
    batches: Batches,
    plan: Plan,
    progress: Progress,
    train: Callable[[], object],
    planned: int | None,
    keep: Callable[[Observation, Cost], None] = lambda *_: None,
) -> tuple[Observation, Cost]:
    """Return everything that was seen of the training that `train` runs, and what the looking cost.

    model: built and compiled. train: runs the training, for example the user's own fit; may be ended early by Enough.
    planned: optimizer steps that it would take. keep: given the best observation so far at each milestone, so that
    nothing is lost when the training raises. The forecast is left for others to fill in.
    """
    clock = Clock()
    progress("reading the network", 0, 0)
    drawn = batches.take(3 if model.count_params() <= _SMALL else 1)
    read(model, drawn[0][0])
    seen = _first_look(model, batches, drawn, planned, progress)
    kernels = {leaf.name: kernel for leaf in leaves(model)[0] if (kernel := kernel_of(leaf.operation)) is not None}
    sizes = {layer.name: layer.kernel.size for layer in seen.network.kernels if layer.kernel is not None}
    session = Session(plan, list(sizes), list(sizes.values()), planned, progress)
    keep(seen, clock.cost(session.done))
    with clock.compiling():
        compat.build_for_training(model, drawn)
    try:
        with watched(model, session, [kernels[name] for name in sizes]) as steps, clock.training(steps):
            train()
    except Enough:
        pass
    finally:
        seen = replace(seen, recording=session.recording())
        keep(seen, clock.cost(session.done))
    if session.done:
        progress("probing after the last step", 0, 0)
        seen = replace(seen, profiles=(*seen.profiles, probe(model, drawn, session.done)))
        keep(seen, clock.cost(session.done))
        progress("evaluating", 0, 0)
        seen = replace(seen, evaluation=_evaluation(model, batches, session.done, seen))
        keep(seen, clock.cost(session.done))
    return seen, clock.cost(session.done)


def _first_look(model: Any, batches: Batches, drawn: list[Any], planned: int | None, progress: Progress) -> Observation:
    """Return what is known before the first step. Raise DataError for labels that no unit stands for."""
    network = describe(model, {id(variable) for variable in model.trainable_variables})
    x, y = batches.training_arrays()
    loss = loss_info(model.loss, y, network)
    require_labels(loss, network, y, getattr(model.loss, "ignore_class", None))
    progress("probing before the first step", 0, 0)
    return Observation(
        network=network,
        profiles=(probe(model, drawn, 0),),
        recording=Recording(layers=(), sizes=(), steps=(), losses=(), rows={}),
        optimizer=optimizer_info(model.optimizer),
        loss=loss,
        data=data_info(
            x,
            y,
            samples=batches.samples,
            held_out=batches.held_out_samples,
            batch_size=batches.batch_size,
            loss_kind=loss.kind,
        ),
        planned_steps=planned,
        not_checked=(*_not_modelled(network), *graph(model).notes, *_never_called(network)),
    )


def _not_modelled(network: Network) -> tuple[str, ...]:
    return tuple(f"{layer.name} ({layer.type}): not modelled" for layer in network.layers if not layer.modelled)


def _never_called(network: Network) -> tuple[str, ...]:
    """Return, in words, which trainable arrays belong to no layer that the forward pass goes through."""
    idle = [parameter for parameter in network.parameters if not parameter.layer and parameter.trainable]
    return tuple(f"{parameter.name}: in no layer that the forward pass calls" for parameter in idle)


def _evaluation(model: Any, batches: Batches, step: int, seen: Observation) -> Evaluation | None:
    """Return the evaluation; None without held-out data or when the outputs are no longer numbers."""
    if not batches.held_out_samples or not math.isfinite(seen.profiles[-1].loss):
        return None
    return evaluate(model, batches, step)
