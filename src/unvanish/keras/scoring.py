"""Score a copy of a model on held-out samples, and on as many training samples, always the same ones."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.task import Task, task_of
from unvanish.keras import compat
from unvanish.keras.arrays import ENTRIES, features
from unvanish.keras.batches import Batches
from unvanish.keras.evaluate import LEAST, MOST, WORK, batch_statistics, threshold_of
from unvanish.keras.graph import graph

PARTS = 20
"""Parts of the held-out samples whose losses tell how certain their mean is: 19 degrees of freedom."""


class Score(NamedTuple):
    """Hold how well one model did on one set of samples."""

    loss: float
    """nan where it is not finite."""
    score: float
    """Accuracy where the labels are classes, else minus the loss; -inf where it is not finite."""
    parts: tuple[float, ...] = ()
    """The loss of each part of the samples, where it is the score."""


class Scorer:
    """Keep the samples, and measure models on them. Batch normalisations use the statistics of the batch.

    The moving averages of a short training lag behind, by different amounts for different learning rates.
    """

    def __init__(self, model: Any, batches: Batches) -> None:
        """batches: with held-out samples."""
        most = min(MOST, max(LEAST, WORK // max(1, model.count_params())), max(1, ENTRIES // batches.features))
        held_out = batches.held_out(most)
        assert held_out is not None, "for_trials sees to it"
        self._batch_size = batches.batch_size
        self._held_out, self._training = held_out, batches.train_sample(_length(held_out[0]))
        self._tasks = self._task_of(model, self._held_out[1]), self._task_of(model, self._training[1])

    @property
    def samples(self) -> tuple[Any, Any]:
        """Return (x, y) of the held-out samples."""
        return self._held_out

    @property
    def metric(self) -> str:
        """Return `accuracy` or `loss`."""
        task = self._tasks[0]
        return "accuracy" if task is not None and task.kind != "regression" and task.exclusive else "loss"

    @property
    def chance(self) -> float | None:
        """Return the accuracy of always answering the most frequent class of the held-out samples."""
        if self.metric != "accuracy":
            return None
        labels = self._tasks[0].labels  # type: ignore[union-attr]  # there is one, or the metric would be the loss
        shares = labels.mean(axis=0)
        return float(max(shares[0], 1.0 - shares[0]) if labels.shape[1] == 1 else shares.max())

    def held_out(self, model: Any) -> Score:
        """Return how the model does on the held-out samples. Nothing is changed."""
        return self._score(model, self._held_out, self._tasks[0], PARTS if self.metric == "loss" else 0)

    def training(self, model: Any) -> Score:
        """Return how it does on the training samples. Nothing is changed."""
        return self._score(model, self._training, self._tasks[1])

    def _task_of(self, model: Any, y: Any) -> Task | None:
        shapes = graph(model).shapes
        if len(shapes) != 1 or len(shapes[0]) != 2 or y is None or keras.tree.is_nested(y):
            return None
        return task_of(np.reshape(y, (len(y), -1)), int(shapes[0][-1] or 1))

    def _score(self, model: Any, data: tuple[Any, Any], task: Task | None, parts: int = 0) -> Score:
        outputs, loss, told = self._pass(model, data, parts)
        if not math.isfinite(loss):
            return Score(math.nan, -math.inf)
        accuracy = None
        if task is not None and self.metric == "accuracy":
            accuracy = task.accuracy(outputs, threshold_of(model, outputs))
        return Score(loss, -loss, told) if accuracy is None else Score(loss, accuracy)

    def _pass(self, model: Any, data: tuple[Any, Any], parts: int) -> tuple[NDArray[Any], float, tuple[float, ...]]:
        """Return (first output of every sample, mean loss, the loss of each part), from few and large batches.

        parts: at least so many, where there are as many samples; 0: none.
        """
        x, y = data
        samples = _length(x)
        pieces = max(1, samples // max(self._batch_size, min(LEAST, ENTRIES // 8 // features(x))))
        outputs, total, losses = [], 0.0, []
        within = -(-parts // pieces)
        with batch_statistics(model):
            for rows in np.array_split(np.arange(samples), pieces):
                part, labels = _rows(x, rows), _rows(y, rows)
                output = model(part, training=False)
                outputs.append(np.asarray(keras.ops.convert_to_numpy(keras.tree.flatten(output)[0]), dtype=np.float64))
                total += compat.loss_of(model, part, labels, output) * len(rows)
                for some in np.array_split(np.arange(len(rows)), min(within, len(rows))) if within else ():
                    x_of, y_of, output_of = (_rows(one, some) for one in (part, labels, output))
                    losses.append(compat.loss_of(model, x_of, y_of, output_of))
        return np.concatenate(outputs), total / samples, tuple(losses)


def _rows(data: Any, rows: NDArray[np.intp]) -> Any:
    """Return tensors of those rows of arrays or tensors, in their structure; None for None."""

    def of(leaf: Any) -> Any:
        array = leaf if isinstance(leaf, np.ndarray) else keras.ops.convert_to_numpy(leaf)
        return keras.ops.convert_to_tensor(array[rows])

    return None if data is None else keras.tree.map_structure(of, data)


def _length(x: Any) -> int:
    return len(keras.tree.flatten(x)[0])
