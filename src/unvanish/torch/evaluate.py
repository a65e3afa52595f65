"""Evaluate a model on held-out and on training samples, with moving averages and with the statistics of the batch."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unvanish.core.observation import Evaluation
from unvanish.core.task import Task, task_of
from unvanish.torch.arrays import array
from unvanish.torch.batches import MOST, Batch, Batches
from unvanish.torch.compat import BATCH_NORM
from unvanish.torch.loss_functions import Loss
from unvanish.torch.restore import restored
from unvanish.torch.structures import leaves, length, mapped

PASS = 256
"""Samples of one forward pass at least: steadier batch statistics, those that moving averages would settle at."""


class Seen(NamedTuple):
    """Hold what one pass over a set of samples gave."""

    outputs: NDArray[Any]
    loss: float | None


def evaluate(model: torch.nn.Module, batches: Batches, loss_of: Loss, step: int) -> Evaluation | None:
    """Return how well the outputs order the labels, on held-out samples and on equally many training samples.

    step: optimizer steps taken so far. Nothing is changed. None where the outputs are not one row of numbers a sample,
    and for labels that they cannot be compared with.
    """
    held_out = batches.held_out(MOST)
    training = batches.train_sample(MOST if held_out is None else length(held_out.x))
    labels = [_labels(part.y) for part in (training, held_out) if part is not None]
    known = [part for part in labels if part is not None]
    if len(known) < len(labels):
        return None
    seen = _pass(model, training, loss_of, batches.batch_size, on_batch=True)
    if seen is None:
        return None
    task = task_of(np.concatenate([part.reshape(len(part), -1) for part in known]), seen.outputs.shape[1])
    if task is None:
        return None
    count, threshold = len(known[0]), _threshold(seen.outputs)
    result = Evaluation(
        step=step,
        train=task.part(slice(0, count)).score(seen.outputs),
        train_samples=count,
        held_out=None,
        held_out_batch_statistics=None,
        held_out_samples=0,
        held_out_sd=None,
        train_accuracy=task.part(slice(0, count)).accuracy(seen.outputs, threshold),
    )
    if held_out is None:
        return result
    return _with_held_out(
        model, result, task.part(slice(count, None)), held_out, loss_of, batches.batch_size, threshold
    )


def _with_held_out(
    model: torch.nn.Module,
    result: Evaluation,
    task: Task,
    data: Batch,
    loss_of: Loss,
    batch_size: int,
    threshold: float,
) -> Evaluation:
    plain = _pass(model, data, loss_of, batch_size, on_batch=False)
    batch = _pass(model, data, loss_of, batch_size, on_batch=True)
    if plain is None or batch is None:
        return result
    return Evaluation(
        step=result.step,
        train=result.train,
        train_samples=result.train_samples,
        held_out=task.score(plain.outputs),
        held_out_batch_statistics=task.score(batch.outputs),
        held_out_samples=len(plain.outputs),
        held_out_sd=task.score_sd(plain.outputs),
        held_out_loss=plain.loss,
        held_out_loss_batch_statistics=batch.loss,
        train_accuracy=result.train_accuracy,
        held_out_accuracy=task.accuracy(plain.outputs, threshold),
        held_out_accuracy_batch_statistics=task.accuracy(batch.outputs, threshold),
    )


@contextmanager
def _inference(model: torch.nn.Module, *, on_batch: bool) -> Iterator[None]:
    """Run in evaluation mode; on_batch: let batch normalisations that train use the statistics of the batch."""
    with restored(model), torch.no_grad():
        for module in model.modules():
            module.training = module.training and on_batch and isinstance(module, BATCH_NORM)
        yield


def _pass(model: torch.nn.Module, data: Batch, loss_of: Loss, batch_size: int, *, on_batch: bool) -> Seen | None:
    """Run the samples through the model in few, large batches; None where the output is no row of numbers a sample."""
    samples = length(data.x)
    outputs, losses = [], []
    with _inference(model, on_batch=on_batch):
        for rows in np.array_split(np.arange(samples), max(1, samples // max(batch_size, PASS))):
            x, y = (mapped(part, operator.itemgetter(rows)) for part in data)
            output = model(x)
            found = list(leaves(output))
            if len(found) != 1 or found[0].ndim not in (1, 2) or len(found[0]) != len(rows):
                return None
            outputs.append(array(found[0].reshape(len(rows), -1)))
            losses.append(float(loss_of(output, y)) * len(rows))
    loss = math.fsum(losses) / samples if all(map(math.isfinite, losses)) else math.nan
    return Seen(np.concatenate(outputs).astype(np.float64), loss if math.isfinite(loss) else None)


def _labels(y: Any) -> NDArray[Any] | None:
    found = list(leaves(y))
    return array(found[0]) if len(found) == 1 and found[0].ndim else None


def _threshold(outputs: NDArray[Any]) -> float:
    """Return the output above which a sample is put into the second class: outputs beyond 0 and 1 are logits."""
    with np.errstate(invalid="ignore"):
        return 0.0 if bool(np.any((outputs < 0) | (outputs > 1))) else 0.5
