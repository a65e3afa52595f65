"""Train a model of a task as long as the user does, and judge it on data that it was not trained on."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from data.tasks import Task
from unvanish.core.task import task_of
from unvanish.keras.batches import Batches
from unvanish.keras.training import train


def trained(task: Task, model: Any, seed: int) -> Any:
    """Return the model after a training of full length, in an order of batches that the seed draws."""
    train(model, Batches.of_arrays(*task.trained, task.held_out, task.batch_size), task.steps, seed)
    return model


def test_accuracy(task: Task, model: Any) -> float:
    """Return the accuracy on the test part; 0 where an output is no number."""
    x, y = task.test
    outputs = np.concatenate(
        [keras.ops.convert_to_numpy(model(part, training=False)) for part in np.array_split(x, 1 + len(x) // 512)]
    )
    if not np.isfinite(outputs).all():
        return 0.0
    kind = task_of(np.reshape(y, (len(y), -1)), outputs.shape[-1])
    return float(kind.accuracy(outputs.astype(float), 0.0 if _is_linear(model) else 0.5))


def held_out_loss(task: Task, model: Any) -> float:
    """Return the loss on what fit validates on."""
    found = model.evaluate(*task.held_out, batch_size=512, verbose=0, return_dict=True)
    return float(found["loss"])


def _is_linear(model: Any) -> bool:
    """Say whether a single output is a logit."""
    return getattr(model.layers[-1], "activation", None) in (None, keras.activations.linear)
