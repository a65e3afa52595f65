"""Evaluate a model on held-out and on training samples, with moving averages and with the statistics of the batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.observation import Evaluation
from unvanish.core.task import Task, task_of
from unvanish.keras import compat
from unvanish.keras.arrays import ENTRIES, features
from unvanish.keras.batches import Batches
from unvanish.keras.graph import graph
from unvanish.keras.probe import restored
from unvanish.keras.shadow import shadowed

MOST, LEAST, WORK = 4096, 256, 4_000_000_000
"""At most so many samples a set; fewer (samples x parameters = WORK) for a large model, but not below LEAST."""


class Seen(NamedTuple):
    """Hold what one pass over a set of samples gave."""

    outputs: NDArray[Any]
    loss: float | None


def evaluate(model: Any, batches: Batches, step: int) -> Evaluation | None:
    """Return how well the outputs order the labels, on held-out samples and on equally many training samples.

    step: optimizer steps taken so far. Nothing is changed: moving averages are put back to the bit. None for models
    with several outputs, and for labels that outputs cannot be compared with (sequences, images).
    """
    shapes = graph(model).shapes
    if len(shapes) != 1 or len(shapes[0]) != 2:
        return None
    most = min(MOST, max(LEAST, WORK // max(1, model.count_params())), max(1, ENTRIES // batches.features))
    held_out = batches.held_out(most)
    size = most if held_out is None else _length(held_out[0])
    training = batches.train_sample(size)
    count, units = _length(training[0]), int(shapes[0][-1] or 1)
    labels = [y for _, y in (training, held_out or (None, None)) if y is not None]
    if any(isinstance(y, dict | list | tuple) for y in labels) or not labels:
        return None
    task = task_of(np.concatenate([np.reshape(y, (len(y), -1)) for y in labels]), units)
    if task is None:
        return None
    seen = _pass(model, training, batches.batch_size, on_batch=True)
    score = task.part(slice(0, count)).score(seen.outputs)
    threshold = threshold_of(model, seen.outputs)
    result = Evaluation(
        step=step,
        train=score,
        train_samples=count,
        held_out=None,
        held_out_batch_statistics=None,
        held_out_samples=0,
        held_out_sd=None,
        train_accuracy=task.part(slice(0, count)).accuracy(seen.outputs, threshold),
    )
    if held_out is None:
        return result
    return _with_held_out(model, result, task.part(slice(count, None)), held_out, batches.batch_size, threshold)


def _with_held_out(
    model: Any, result: Evaluation, task: Task, data: tuple[Any, Any], batch_size: int, threshold: float
) -> Evaluation:
    plain = _pass(model, data, batch_size, on_batch=False)
    normalised = compat.batch_normalisations(model)
    batch = _pass(model, data, batch_size, on_batch=True) if normalised else plain
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
def batch_statistics(model: Any) -> Iterator[None]:
    """Let batch normalisations use the statistics of the batch while everything else is in inference mode.

    Frozen ones go on with their moving averages, as they do in training. Moving averages are put back afterwards.
    """
    with ExitStack() as stack:
        stack.enter_context(restored(model))
        for layer in compat.batch_normalisations(model):
            stack.enter_context(shadowed(layer, call=_in_training(layer.call)))
        yield


def _in_training(call: Any) -> Any:
    def in_training(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **{**kwargs, "training": True})

    return in_training


def _pass(model: Any, data: tuple[Any, Any], batch_size: int, *, on_batch: bool) -> Seen:
    """Run the samples through the model in few, large batches; y may be None. States are put back afterwards.

    A batch larger than the training's gives steadier batch statistics: those that moving averages would settle at. A
    model that takes batches of one size alone (a stateful layer, a fixed shape) gets those, the last one filled up.
    """
    samples = _length(data[0])
    pieces = max(1, samples // max(batch_size, min(LEAST, ENTRIES // 8 // features(data[0]))))
    large = [(rows, len(rows)) for rows in np.array_split(np.arange(samples), pieces)]
    own = [
        (np.arange(start, start + batch_size) % samples, min(batch_size, samples - start))
        for start in range(0, samples, batch_size)
    ]
    try:
        return _run(model, data, large, on_batch=on_batch)
    except Exception:  # each backend and each layer says in its own way that the size is another one
        return _run(model, data, own, on_batch=on_batch)


def _run(model: Any, data: tuple[Any, Any], parts: list[tuple[NDArray[Any], int]], *, on_batch: bool) -> Seen:
    """Run parts of the samples (their indices, and how many of them count) through the model."""
    (x, y), outputs, losses = data, [], []
    with batch_statistics(model) if on_batch else restored(model):
        for rows, count in parts:
            output = model(_tensors(x, rows), training=False)
            if count < len(rows):  # else left alone: a slice does not remember the logits of a sigmoid
                output = keras.tree.map_structure(lambda part, count=count: part[:count], output)
            outputs.append(_numpy(output))
            if y is not None:
                x_, y_ = (_tensors(part, rows[:count]) for part in data)
                losses.append(compat.loss_of(model, x_, y_, output) * count)
    loss = sum(losses) / _length(x) if losses else math.nan
    return Seen(np.concatenate(outputs), loss if math.isfinite(loss) else None)


def _tensors(data: Any, rows: NDArray[Any]) -> Any:
    return keras.tree.map_structure(lambda leaf: keras.ops.convert_to_tensor(leaf[rows]), data)


def threshold_of(model: Any, outputs: NDArray[Any]) -> float:
    """Return the output above which a sample is put into the second class."""
    logits = bool(getattr(model.loss, "from_logits", False))
    with np.errstate(invalid="ignore"):
        return 0.0 if logits or bool(np.any((outputs < 0) | (outputs > 1))) else 0.5


def _numpy(output: Any) -> NDArray[Any]:
    array: NDArray[Any] = np.asarray(keras.ops.convert_to_numpy(keras.tree.flatten(output)[0]))
    return array.astype(np.float64)


def _length(x: Any) -> int:
    return len(keras.tree.flatten(x)[0])
