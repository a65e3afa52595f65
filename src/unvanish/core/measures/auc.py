"""How well outputs order the labels, as one number with 0.5 for chance, and its standard deviation under chance.

Two classes: area under the ROC curve, which is Mann-Whitney's U / (n1 n0) (Hanley & McNeil 1982, Radiology 143(1));
ties count one half. Several classes: mean of one-against-rest over the classes. Regression: (1 + Spearman's rank
correlation) / 2. The standard deviation of a linear rank statistic under random labels is Hoeffding's (1951, Annals of
Mathematical Statistics 22(4), theorem 2).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Ranks = NDArray[np.float64]


def midranks(values: Array) -> Ranks:
    """Return the ranks 1..n along the first axis, ties sharing their mean rank; float64, shape as given (n, ...)."""
    values = np.asarray(values)
    if values.ndim > 1:
        return np.stack([midranks(column) for column in values.reshape(len(values), -1).T], axis=1).reshape(
            values.shape
        )
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Ranks = (last - (counts - 1) / 2.0)[inverse]
    return ranks


def auc(scores: Array, positive: Array) -> float:
    """Return the area under the ROC curve: the probability that a positive sample is scored above a negative one.

    scores, positive (truth values): shape (n,). nan when only one class is there or a score is not finite.
    """
    return mean_auc(np.reshape(scores, (-1, 1)), np.reshape(positive, (-1, 1)))


def mean_auc(scores: Array, positive: Array) -> float:
    """Return the mean over columns of the area under the curve of each column against the rest.

    scores, positive (truth values): shape (n, classes). Columns without both kinds of samples are left out; nan when
    none is left, or a score is not finite.
    """
    scores, labels = _informative(scores, positive)
    if not scores.size or not np.all(np.isfinite(scores)):
        return math.nan
    ones = labels.sum(axis=0)
    zeros = len(labels) - ones
    areas = ((midranks(scores) * labels).sum(axis=0) - ones * (ones + 1) / 2) / (ones * zeros)
    return float(areas.mean())


def auc_sd(positives: int, negatives: int) -> float:
    """Return the standard deviation of the area under chance, without ties: sqrt((n1 + n0 + 1) / (12 n1 n0))."""
    pairs = positives * negatives
    return math.sqrt((positives + negatives + 1) / (12 * pairs)) if pairs else math.nan


def mean_auc_sd(scores: Array, positive: Array) -> float:
    """Return the standard deviation of `mean_auc` when the rows of the labels are permuted at random.

    Exact for these scores, ties included: with centred ranks R, centred labels L and weights w_k = 1 / (K n1_k n0_k),
    the variance is |R diag(w) L^T|^2 / (n - 1), Frobenius norm. Where all scores tie it would be 0; then, an
    approximation, the columns are taken as independent and untied.
    """
    scores, labels = _informative(scores, positive)
    n, classes = labels.shape
    if not classes or not np.all(np.isfinite(scores)):
        return math.nan
    ones = labels.sum(axis=0)
    weights = 1.0 / (classes * ones * (n - ones))
    ranks = (midranks(scores) - (n + 1) / 2) * weights
    centred = labels - labels.mean(axis=0)
    variance = float(np.sum((ranks.T @ ranks) * (centred.T @ centred))) / (n - 1)
    untied = float(np.sum(ones * (n - ones) * weights**2)) * (n + 1) / 12
    return math.sqrt(variance if variance > 1e-9 * untied else untied)


def rank_score(predicted: Array, true: Array) -> float:
    """Return (1 + Spearman's correlation) / 2, the mean over the columns of (n,) or (n, targets) arrays.

    Columns whose true values are all equal are left out; a constant prediction scores 0.5. nan when nothing is left or
    a number is not finite.
    """
    predicted, true = np.reshape(predicted, (len(predicted), -1)), np.reshape(true, (len(true), -1))
    if not np.all(np.isfinite(predicted)) or not np.all(np.isfinite(true)):
        return math.nan
    a, b = (ranks - ranks.mean(axis=0) for ranks in (midranks(predicted), midranks(true)))
    spread_a, spread_b = np.sum(a * a, axis=0), np.sum(b * b, axis=0)
    kept = spread_b > 0
    if not kept.any():
        return math.nan
    products = np.sum(a * b, axis=0)[kept]
    correlations = products / np.sqrt(np.where(spread_a > 0, spread_a, 1.0) * spread_b)[kept]
    return float((1.0 + correlations.mean()) / 2.0)


def rank_score_sd(samples: int) -> float:
    """Return the standard deviation of `rank_score` of one column under chance, without ties: 1 / (2 sqrt(n - 1))."""
    return 0.5 / math.sqrt(samples - 1) if samples > 1 else math.nan


def _informative(scores: Array, positive: Array) -> tuple[Ranks, Ranks]:
    labels = np.asarray(positive, dtype=np.float64)
    kept = (labels.sum(axis=0) > 0) & (labels.sum(axis=0) < len(labels))
    return np.asarray(scores, dtype=np.float64)[:, kept], labels[:, kept]
