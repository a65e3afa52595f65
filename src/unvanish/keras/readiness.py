"""Say early, and in four parts, why a model or its labels cannot be trained at all."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from unvanish.errors import DataError, UsageError


def require_compiled(model: Any) -> None:
    """Raise UsageError when there is no loss or no optimizer to measure gradients with."""
    name = getattr(model, "name", "?")
    if not getattr(model, "compiled", False):
        raise UsageError(
            f"the model {name!r} is not compiled",
            found="no loss and no optimizer to measure gradients with",
            numbers={"layers": len(getattr(model, "layers", ()))},
            hint="call model.compile(optimizer=..., loss=...) first",
        )


def require_trainable(model: Any) -> None:
    """Raise UsageError when the model is not built, or has nothing to train."""
    if not model.built:
        raise UsageError(
            f"the model {model.name!r} is not built",
            found="its layers have no weights yet, since the shape of its input is not known",
            numbers={"layers": len(model.layers)},
            hint="begin it with keras.Input(shape=...), or call model.build(input_shape) first",
        )
    if not model.trainable_variables:
        raise UsageError(
            f"the model {model.name!r} has no trainable weights",
            found="every layer is frozen" if model.variables else "no layer has weights",
            numbers={"layers": len(model.layers), "weights": model.count_params(), "trainable": 0},
            hint="set layer.trainable = True before compile, or add a layer with weights",
        )


def require_labels(model: Any, y: Any) -> None:
    """Raise DataError when class numbers do not fit the model's outputs: Keras reads past the end, or gives nan.

    Looked at for the sparse categorical cross-entropy of one output only; other losses take any number.
    """
    if y is None or isinstance(y, dict | list | tuple) or not _is_sparse(model.loss):
        return
    labels, classes = np.asarray(y), model.outputs[0].shape[-1]
    if not labels.size or labels.dtype.kind not in "fiub" or classes is None:
        return
    low, high = float(np.nanmin(labels)), float(np.nanmax(labels))
    if low < 0 or high >= classes:
        raise DataError(
            "labels are out of range",
            found=f"the last layer has {classes} outputs, for the classes 0 to {classes - 1}",
            numbers={"smallest label": f"{low:g}", "largest label": f"{high:g}"},
            hint=f"give the last layer {int(high) + 1} units, or renumber the classes from 0"
            if low >= 0
            else "renumber the classes from 0",
        )


def _is_sparse(loss: Any) -> bool:
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return False
    sparse = keras.losses.sparse_categorical_crossentropy
    return loss is sparse or isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
