"""Look at one training of a Keras model: describe, probe, watch the steps, probe again, evaluate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from msgspec.structs import replace

from unvanish.core.data_stats import data_info
from unvanish.core.diagnosis import Cost
from unvanish.core.network import Network
from unvanish.core.observation import Evaluation, Observation
from unvanish.core.profile import Profile
from unvanish.core.recording import Recording
from unvanish.keras import backends, compat
from unvanish.keras.arrays import Batch
from unvanish.keras.batches import Batches
from unvanish.keras.clock import Clock
from unvanish.keras.describe import describe
from unvanish.keras.evaluate import evaluate
from unvanish.keras.failing import of_the_look
from unvanish.keras.graph import graph, leaves
from unvanish.keras.info import fixed_batch, loss_info, optimizer_info
from unvanish.keras.kinds import kernel_of
from unvanish.keras.probe import probe
from unvanish.keras.raw_profile import UNKNOWN, raw_profile
from unvanish.keras.reading import read
from unvanish.keras.requirements import require_labels
from unvanish.keras.steps import watched
from unvanish.keras.through_time import through_time
from unvanish.watching.session import Enough, Plan, Progress, Session

Keep = Callable[[Observation, Cost], None]

_SMALL = 1_000_000
"""Parameters up to which three batches are probed; above, one: there a batch costs as much as a training step."""
_ROWS = 64
"""Samples of that one batch: a look takes five plain steps in all, and a network sees no more in twice as many."""


def observe(
    model: Any,
    batches: Batches,
    plan: Plan,
    progress: Progress,
    train: Callable[[], object],
    planned: int | None,
    keep: Keep = lambda *_: None,
) -> tuple[Observation, Cost]:
    """Return everything that was seen of the training that `train` runs, and what the looking cost.

    model: built and compiled. train: runs the training, for example the user's own fit; may be ended early by Enough.
    planned: optimizer steps that it would take. keep: given the best observation so far at each milestone, so that
    nothing is lost when the training raises. The forecast is left for others to fill in.
    """
    found: list[tuple[Observation, Cost]] = []

    def kept(seen: Observation, cost: Cost) -> None:
        found.append((seen, cost))
        keep(seen, cost)

    with looking(model, batches, plan, progress, planned, kept):
        train()
    return found[-1]


@contextmanager
def looking(
    model: Any, batches: Batches, plan: Plan, progress: Progress, planned: int | None, keep: Keep
) -> Iterator[None]:
    """Look at the model before, and watch the steps that it takes in the context, through `fit` or `train_on_batch`.

    Arguments as of `observe`. Enough ends the context without being raised on. When it was left by anything but
    another exception, the model is probed again and evaluated. Raise LookError for what a look raised.
    """
    clock = Clock()
    with clock.compiling():
        _start_libraries()
    progress("reading the network", 0, 0)
    with of_the_look():
        drawn = batches.take(3) if model.count_params() <= _SMALL else [_cut(model, batch) for batch in batches.take(1)]
        read(model, drawn[0][0])
        seen = first_look(model, batches, drawn, planned, progress)
    kernels = {leaf.name: kernel for leaf in leaves(model)[0] if (kernel := kernel_of(leaf.operation)) is not None}
    sizes = {layer.name: layer.kernel.size for layer in seen.network.kernels if layer.kernel is not None}
    session = Session(plan, list(sizes), list(sizes.values()), planned, progress)
    if seen.profiles:
        keep(seen, clock.cost(session.done))
    with clock.compiling():
        backends.current().build_ahead(model, drawn)
    try:
        with watched(model, session, [kernels[name] for name in sizes]) as steps, clock.training(steps):
            yield
    except Enough:
        pass
    finally:
        seen = replace(seen, recording=session.recording())
        if not seen.profiles and session.done:
            seen = replace(seen, profiles=_unprobed(model, seen, batches.batch_size))
        if seen.profiles:
            keep(seen, clock.cost(session.done))
    if session.done and compat.has_loss(model):
        with of_the_look():
            progress("probing after the last step", 0, 0)
            seen = replace(seen, profiles=(*seen.profiles, probe_whole(model, drawn, session.done)))
            keep(seen, clock.cost(session.done))
            progress("evaluating", 0, 0)
            seen = replace(seen, evaluation=_evaluation(model, batches, session.done, seen))
            keep(seen, clock.cost(session.done))


def _start_libraries() -> None:
    """Let the backend start its threads and load its kernels, which else the training's first step would wait for."""
    few = keras.ops.ones((2, 2))
    keras.ops.matmul(few, few)


def first_look(model: Any, batches: Batches, drawn: list[Any], planned: int | None, progress: Progress) -> Observation:
    """Return what is known before the first step. Raise DataError for labels that no unit stands for."""
    network = describe(model, {id(variable) for variable in model.trainable_variables})
    x, y = batches.training_arrays()
    loss = loss_info(model.loss, y, network)
    require_labels(loss, network, y, getattr(model.loss, "ignore_class", None))
    probed = compat.has_loss(model)
    progress("probing before the first step", 0, 0)
    return Observation(
        network=network,
        profiles=(probe_whole(model, drawn, 0),) if probed else (),
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
        not_checked=(*not_looked_at(model, network), *(() if probed else (UNKNOWN,))),
    )


def probe_whole(model: Any, drawn: list[Any], step: int) -> Profile:
    """Return what a probe shows, over depth and through time."""
    return replace(probe(model, drawn, step), through_time=through_time(model, drawn[0][0]))


def _unprobed(model: Any, seen: Observation, batch_size: int) -> tuple[Profile, ...]:
    """Return the first and the last watched step, for a train step whose loss only it knows."""
    samples = (0, -1) if len(seen.recording.steps) > 1 else (0,)
    return tuple(raw_profile(model, seen.network, seen.recording, sample, batch_size) for sample in samples)


def not_looked_at(model: Any, network: Network) -> tuple[str, ...]:
    """Return, in words, what is not modelled, what could not be read, and arrays of no layer that is called."""
    passed_over = [f"{layer.name} ({layer.type}): not modelled" for layer in network.layers if not layer.modelled]
    idle = [parameter.name for parameter in network.parameters if not parameter.layer and parameter.trainable]
    return (*passed_over, *graph(model).notes, *(f"{name}: in no layer that the forward pass calls" for name in idle))


def _cut(model: Any, batch: Batch) -> Batch:
    """Return the first samples of a batch (x, y, sample weight); all of them where the model takes no fewer."""
    if fixed_batch(model) is not None:
        return batch
    x, y, weight = keras.tree.map_structure(lambda array: None if array is None else array[:_ROWS], batch)
    return x, y, weight


def _evaluation(model: Any, batches: Batches, step: int, seen: Observation) -> Evaluation | None:
    """Return the evaluation; None without held-out data or when the outputs are no longer numbers."""
    if not batches.held_out_samples or not math.isfinite(seen.profiles[-1].loss):
        return None
    return evaluate(model, batches, step)
