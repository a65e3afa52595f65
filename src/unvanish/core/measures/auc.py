"""How well outputs order labels: the area under the ROC curve, 0.5 for chance; and its spread under chance.

The area is the share of (positive, negative) pairs that are ordered rightly, ties counted half (Mann & Whitney 1947).
Classes: the mean over the classes of one against the rest. Regression: (1 + Spearman's rank correlation) / 2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def ranks(values: Array) -> Array:
    """Return the ranks of a one-dimensional array, counted from 1, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def auc(scores: Array, positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve; nan when all labels are alike. Both of shape (samples,)."""
    n1 = int(np.count_nonzero(positive))
    n0 = len(positive) - n1
    if not n0 or not n1:
        return math.nan
    return float((ranks(scores)[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def auc_sd(n1: int, n0: int) -> float:
    """Return the area's standard deviation when scores and labels are independent: sqrt((n + 1) / (12 n1 n0))."""
    return math.sqrt((n1 + n0 + 1) / (12 * n1 * n0)) if n1 and n0 else math.nan


def class_auc(scores: Array, labels: NDArray[np.bool_]) -> float:
    """Return the mean one-against-rest area over the classes that occur. Both of shape (samples, classes)."""
    areas = [auc(scores[:, k], labels[:, k]) for k in range(labels.shape[1])]
    known = [area for area in areas if not math.isnan(area)]
    return float(np.mean(known)) if known else math.nan


def class_auc_sd(labels: NDArray[np.bool_]) -> float:
    """Return a standard deviation of `class_auc` under chance, for labels of shape (samples, classes).

    The areas of K classes are taken as K/2 independent ones: they add up to a constant where the scores do, and are
    correlated where the network's outputs are. Checked against permutations in the tests; never below the truth there.
    """
    counts = [(int(c), len(labels) - int(c)) for c in labels.sum(axis=0)]
    sds = [auc_sd(*count) for count in counts if min(count) > 0]
    if not sds:
        return math.nan
    independent = max(1.0, len(sds) / 2)
    return float(np.sqrt(np.mean(np.square(sds)) / independent))


def rank_score(scores: Array, targets: Array) -> float:
    """Return (1 + Spearman's rank correlation) / 2 of two one-dimensional arrays; nan when one is constant."""
    a, b = ranks(scores), ranks(targets)
    a, b = a - a.mean(), b - b.mean()
    length = math.sqrt(float(a @ a) * float(b @ b))
    return (1 + float(a @ b) / length) / 2 if length > 0 else math.nan


def rank_score_sd(samples: int) -> float:
    """Return the standard deviation of `rank_score` under chance: 1 / (2 sqrt(n - 1)) (Kendall & Gibbons 1990)."""
    return 1 / (2 * math.sqrt(samples - 1)) if samples > 1 else math.nan
