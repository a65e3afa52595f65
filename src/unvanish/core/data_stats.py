"""What arrays of inputs and labels say about the data: moments, spreads, kind of the labels, loss of guessing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unvanish.core.measures.correlation import correlation
from unvanish.core.measures.feature_spread import feature_sds, feature_spread
from unvanish.core.observation import DataInfo

SAMPLE = 1024
"""Samples that the statistics are taken on, spread over all that there are."""
_ROUNDING = 1e-2
"""By how much the shares of many classes in half precision may miss a sum of 1."""


def data_info(x: Any, y: Any, *, samples: int | None, held_out: int, batch_size: int, loss_kind: str) -> DataInfo:
    """Return the data's statistics. Nothing is changed, nothing is raised.

    x, y: arrays of shape (samples, ...), features along the last axis; anything else is left unknown.
    loss_kind: as in LossInfo.
    """
    inputs, labels = array_of(x), array_of(y)
    return DataInfo(
        samples=samples,
        held_out=held_out,
        batch_size=batch_size,
        label_kind=label_kind(loss_kind, labels),
        **({} if inputs is None else _of_inputs(inputs)),
        **({} if labels is None else _of_labels(labels, label_kind(loss_kind, labels))),
    )


def _of_inputs(inputs: NDArray[Any]) -> dict[str, Any]:
    part = _part(inputs).astype(np.float64)
    finite = np.isfinite(inputs)
    q, k, _ = correlation(part)
    least, most = feature_spread(part) or (None, None)
    return {
        "input_second_moment": q if math.isfinite(q) else None,
        "input_cross_moment": k if math.isfinite(k) else None,
        "input_min": _extreme(np.min, inputs, finite),
        "input_max": _extreme(np.max, inputs, finite),
        "feature_sd_min": least,
        "feature_sd_max": most,
        "input_nonfinite": nonfinite(inputs),
    }


def _of_labels(labels: NDArray[Any], kind: str) -> dict[str, Any]:
    finite = np.isfinite(labels)
    sds = feature_sds(_part(labels)) if kind == "regression" else np.zeros(0)
    known = sds[np.isfinite(sds)]
    return {
        "label_min": _extreme(np.min, labels, finite),
        "label_max": _extreme(np.max, labels, finite),
        "label_sd": float(known.max()) if known.size else None,
        "label_nonfinite": nonfinite(labels),
    }


def array_of(value: Any) -> NDArray[Any] | None:
    """Return a value as an array; None for what is no array of numbers, or empty."""
    if value is None or isinstance(value, dict | list | tuple) or not hasattr(value, "shape"):
        return None
    array = np.asarray(value)
    return array if array.ndim and array.size and array.dtype.kind in "fiub" else None


def nonfinite(value: Any) -> int:
    """Return the number of entries of an array that are not finite; 0 for what is no array of numbers."""
    array = array_of(value)
    return 0 if array is None else int(array.size - np.count_nonzero(np.isfinite(array)))


def label_kind(loss_kind: str, labels: NDArray[Any] | None) -> str:
    """Return what the labels are: `binary`, `multilabel`, `classes`, `regression` or `unknown`."""
    if "categorical" in loss_kind:
        return "classes"
    if labels is None:
        return "unknown"
    if loss_kind == "binary_crossentropy" or set(np.unique(labels[:SAMPLE])) <= {0, 1}:
        return "binary" if labels.ndim == 1 or labels.shape[-1] == 1 else "multilabel"
    return "regression" if loss_kind in ("mean_squared_error", "mean_absolute_error") else "unknown"


def chance_loss(loss_kind: str, labels: Any) -> float | None:
    """Return the smallest mean loss that a constant prediction can have; None where it is not known.

    labels: array of the training labels, or None. Exactly 0 for labels that are all the same. None for a cross-entropy
    of labels that are no probabilities, too: such a loss falls without end.
    """
    if labels is None or isinstance(labels, dict | list | tuple) or not np.asarray(labels).size:
        return None
    y = np.asarray(labels).reshape(len(labels), -1).astype(np.float64)
    if loss_kind in ("binary_crossentropy", "categorical_crossentropy") and not _are_shares(y, loss_kind):
        return None
    if loss_kind == "binary_crossentropy":
        p = y.mean(axis=0).clip(0, 1)
        return _entropy(np.stack([p, 1 - p])) / len(p)
    if loss_kind == "categorical_crossentropy":
        return _entropy(y.mean(axis=0))
    if loss_kind == "sparse_categorical_crossentropy":
        return _entropy(np.unique(y, return_counts=True)[1] / y.size)
    if loss_kind == "mean_squared_error":
        return float((y - y[0]).var(axis=0).mean())  # of a constant that floats cannot hold: 0 even so
    if loss_kind == "mean_absolute_error":
        return float(np.abs(y - np.median(y, axis=0)).mean())
    return None


def _are_shares(y: NDArray[np.float64], loss_kind: str) -> bool:
    """Say whether labels are probabilities, those of classes with a sum of 1; to the rounding of half precision."""
    within = bool(np.all((y >= -_ROUNDING) & (y <= 1 + _ROUNDING)))
    return within and (loss_kind == "binary_crossentropy" or bool(np.all(np.abs(y.sum(axis=1) - 1) <= _ROUNDING)))


def _part(array: NDArray[Any]) -> NDArray[Any]:
    return array[:: max(1, len(array) // SAMPLE)][:SAMPLE]


def _extreme(of: Callable[..., Any], array: NDArray[Any], finite: NDArray[np.bool_]) -> float | None:
    """Return the smallest or largest of the finite entries; None when there are none."""
    known = array if finite.all() else array[finite]
    return float(of(known)) if known.size else None


def _entropy(shares: NDArray[np.float64]) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum()) + 0.0  # which has no sign where it is 0
