"""Describe what fit was given: the optimizer by its family, the loss and its chance level, the data."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from unvanish.core.measures.correlation import correlation
from unvanish.core.network import Network
from unvanish.core.observation import DataInfo, LossInfo, OptimizerInfo

_O = keras.optimizers
_FAMILIES: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("adadelta", (_O.Adadelta,)),
    ("adagrad", (_O.Adagrad,)),
    ("adam", (_O.Adam, _O.AdamW, _O.Adamax, _O.Nadam)),
    ("rmsprop", (_O.RMSprop,)),
    ("sgd", (_O.SGD,)),
)
_LOSSES: dict[str, tuple[Any, ...]] = {
    "binary_crossentropy": (keras.losses.BinaryCrossentropy, keras.losses.binary_crossentropy),
    "categorical_crossentropy": (keras.losses.CategoricalCrossentropy, keras.losses.categorical_crossentropy),
    "mean_absolute_error": (keras.losses.MeanAbsoluteError, keras.losses.mean_absolute_error),
    "mean_squared_error": (keras.losses.MeanSquaredError, keras.losses.mean_squared_error),
    "sparse_categorical_crossentropy": (
        keras.losses.SparseCategoricalCrossentropy,
        keras.losses.sparse_categorical_crossentropy,
    ),
}
_SAMPLE = 1024
"""Samples that the input statistics are taken on."""


def optimizer_info(optimizer: Any) -> OptimizerInfo:
    """Return the optimizer as data; a subclass belongs to its parent's family, whatever its name."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # a LossScaleOptimizer wraps the one that steps
    family = next((name for name, classes in _FAMILIES if isinstance(inner, classes)), "other")
    clips = [
        f"{kind} {limit:g}"
        for kind in ("clipnorm", "clipvalue", "global_clipnorm")
        if (limit := getattr(inner, kind, None))
    ]

    def number(name: str) -> float | None:
        value = getattr(inner, name, None)
        return float(value) if isinstance(value, int | float) else None

    return OptimizerInfo(
        name=type(inner).__name__,
        family=family,
        learning_rate=float(keras.ops.convert_to_numpy(inner.learning_rate)),
        epsilon=None if family == "sgd" else number("epsilon"),
        momentum=number("momentum") or 0.0,
        beta_1=number("beta_1"),
        beta_2=number("beta_2"),
        dynamic_loss_scale=isinstance(optimizer, _O.LossScaleOptimizer),
        clipping=", ".join(clips) or None,
    )


def loss_info(loss: Any, labels: Any, network: Network) -> LossInfo:
    """Return the loss as data, with the loss of the best constant prediction on these labels.

    loss: what compile was given. labels: array of the training labels, or None.
    """
    head = network.layer(network.outputs[0]).activation if network.outputs else "linear"
    kind = _loss_kind(loss)
    array = None if labels is None or isinstance(labels, dict | list | tuple) else np.asarray(labels)
    chance = None if array is None or not array.size else _chance(kind, array)
    return LossInfo(kind=kind, chance=chance, head=head)


def data_info(x: Any, y: Any, *, samples: int | None, held_out: int, batch_size: int, loss_kind: str) -> DataInfo:
    """Return the data's statistics; x, y: what fit trains on (arrays, or anything else: then left unknown)."""
    inputs = _array(x)
    if inputs is None:
        return DataInfo(samples=samples, held_out=held_out, batch_size=batch_size)
    part = inputs[:: max(1, len(inputs) // _SAMPLE)][:_SAMPLE].astype(np.float64)
    finite = np.isfinite(inputs)
    q, k, _ = correlation(part)
    labels = _array(y)
    return DataInfo(
        samples=samples,
        held_out=held_out,
        batch_size=batch_size,
        input_second_moment=q if math.isfinite(q) else None,
        input_cross_moment=k if math.isfinite(k) else None,
        input_min=_extreme(np.min, inputs, finite),
        input_max=_extreme(np.max, inputs, finite),
        input_nonfinite=int(inputs.size - np.count_nonzero(finite)),
        label_nonfinite=0 if labels is None else int(labels.size - np.count_nonzero(np.isfinite(labels))),
        label_kind=_label_kind(loss_kind, labels),
    )


def _extreme(of: Callable[..., Any], inputs: NDArray[Any], finite: NDArray[np.bool_]) -> float | None:
    """Return the smallest or largest of the finite inputs; None when there are none."""
    known = inputs if finite.all() else inputs[finite]
    return float(of(known)) if known.size else None


def _array(value: Any) -> NDArray[Any] | None:
    if value is None or isinstance(value, dict | list | tuple) or not hasattr(value, "shape"):
        return None
    array = np.asarray(value)
    return array if array.ndim and array.size and array.dtype.kind in "fiub" else None


def _loss_kind(loss: Any) -> str:
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return "other"
    for kind, (cls, function) in _LOSSES.items():
        if loss is function or isinstance(loss, cls):
            return kind
    return "other"


def _label_kind(loss_kind: str, labels: NDArray[Any] | None) -> str:
    if "categorical" in loss_kind:
        return "classes"
    if labels is None:
        return "unknown"
    if loss_kind == "binary_crossentropy" or set(np.unique(labels[:_SAMPLE])) <= {0, 1}:
        return "binary" if labels.ndim == 1 or labels.shape[-1] == 1 else "multilabel"
    return "regression" if loss_kind in ("mean_squared_error", "mean_absolute_error") else "unknown"


def _chance(kind: str, labels: NDArray[Any]) -> float | None:
    """Return the smallest mean loss that a constant prediction can have."""
    y = labels.reshape(len(labels), -1).astype(np.float64)
    if kind == "binary_crossentropy":
        p = np.clip(y.mean(axis=0), 1e-12, 1 - 1e-12)
        return float(-(p * np.log(p) + (1 - p) * np.log(1 - p)).mean())
    if kind == "categorical_crossentropy":
        return _entropy(y.mean(axis=0))
    if kind == "sparse_categorical_crossentropy":
        return _entropy(np.unique(y, return_counts=True)[1] / y.size)
    if kind == "mean_squared_error":
        return float(y.var(axis=0).mean())
    if kind == "mean_absolute_error":
        return float(np.abs(y - np.median(y, axis=0)).mean())
    return None


def _entropy(shares: NDArray[np.float64]) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
