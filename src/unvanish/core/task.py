"""What the labels ask of the outputs: two classes, several classes, or numbers; and how well that is met."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unvanish.core.measures.auc import auc, auc_sd, mean_auc, mean_auc_sd, rank_score, rank_score_sd

Array = NDArray[Any]


class Task(NamedTuple):
    """Hold the kind of the labels, and the labels in the form in which scores are taken."""

    kind: str
    """`binary`, `classes` (also several labels at once) or `regression`."""
    labels: Array
    """Truth values of shape (n, 1) or (n, classes); for a regression the numbers, (n, targets)."""
    exclusive: bool = True
    """Whether every sample has exactly one class."""

    def part(self, rows: slice) -> Task:
        """Return the same task for some of the samples."""
        return Task(kind=self.kind, labels=self.labels[rows], exclusive=self.exclusive)

    def score(self, outputs: Array) -> float | None:
        """Return how well the outputs (n, k) order the labels, 0.5 for chance; None when it cannot be said."""
        if self.kind == "binary":
            return _number(auc(outputs, self.labels))
        return _number((mean_auc if self.kind == "classes" else rank_score)(outputs, self.labels))

    def score_sd(self, outputs: Array) -> float | None:
        """Return the standard deviation of such a score under chance; for a regression that of one target."""
        if self.kind == "binary":
            ones = int(self.labels.sum())
            return _number(auc_sd(ones, len(self.labels) - ones))
        if self.kind == "classes":
            return _number(mean_auc_sd(outputs, self.labels))
        return _number(rank_score_sd(len(self.labels)))

    def accuracy(self, outputs: Array, threshold: float) -> float | None:
        """Return the share of samples put into their class; None for other tasks. threshold: of a single output."""
        if self.kind == "regression" or not self.exclusive or not np.all(np.isfinite(outputs)):
            return None
        if self.kind == "binary":
            return _number(np.mean((outputs > threshold) == self.labels))
        return _number(np.mean(outputs.argmax(axis=1) == self.labels.argmax(axis=1)))


def task_of(y: Any, outputs: int) -> Task | None:
    """Return what labels of shape (n,) or (n, k) ask of so many outputs; None for anything else.

    Class shares (rows that add up to 1) count as their largest class.
    """
    if y is None or isinstance(y, dict | list | tuple) or np.asarray(y).dtype.kind not in "fiub":
        return None
    labels = np.asarray(y).reshape(len(y), -1).astype(np.float64)
    values = np.unique(labels)
    if labels.shape[1] == 1 and outputs == 1 and len(values) <= 2:
        return Task(kind="binary", labels=labels == max(values.max(), 1.0 if values.min() == 0 else -math.inf))
    if labels.shape[1] == 1 and outputs > 1:
        if not np.all(np.isin(values, np.arange(outputs))):
            return None
        return Task(kind="classes", labels=labels == np.arange(outputs))
    if labels.shape[1] != outputs:
        return None
    if outputs > 1 and values.min() >= 0 and np.allclose(labels.sum(axis=1), 1.0, rtol=1e-3, atol=0):
        return Task(kind="classes", labels=labels.argmax(axis=1)[:, None] == np.arange(outputs))
    if outputs > 1 and np.all(np.isin(values, (0, 1))):
        return Task(kind="classes", labels=labels == 1, exclusive=False)
    return Task(kind="regression", labels=labels)


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
