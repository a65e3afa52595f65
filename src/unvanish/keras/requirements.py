"""What must hold before anything can be looked at; each refusal says what, where, the numbers and the next step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from unvanish.core.network import Network
from unvanish.core.observation import LossInfo
from unvanish.errors import DataError, UnsupportedError, UsageError


def require_model(model: Any) -> None:
    """Raise UsageError for a model that is not compiled, not built, or has nothing to train.

    Raise UnsupportedError for one that is trained by several replicas at once.
    """
    name = getattr(model, "name", "?")
    if not getattr(model, "compiled", False):
        raise UsageError(
            f"the model {name!r} is not compiled",
            found="no loss and no optimizer to measure gradients with",
            hint="call model.compile(optimizer=..., loss=...) first",
        )
    if not model.built:
        raise UsageError(
            f"the model {name!r} is not built",
            found="no weights yet: the shape of its input is not known",
            hint="begin it with keras.Input(shape), or call model.build(input_shape)",
        )
    replicas = getattr(getattr(model, "distribute_strategy", None), "num_replicas_in_sync", 1)
    if replicas > 1:
        raise UnsupportedError(
            f"the model {name!r} is trained by {replicas} replicas at once",
            found="gradients of parts of a batch, which are added up where they cannot be read",
            numbers={"replicas": replicas},
            hint="check it on one device: without the strategy's scope it is the same network",
        )
    if not model.trainable_variables:
        raise UsageError(
            f"the model {name!r} has no trainable weights",
            found="nothing that a gradient could change",
            numbers={"layers": len(model.layers), "weights in all": len(model.weights)},
            hint="set layer.trainable = True before model.compile",
        )


def require_counts(**counts: int | None) -> None:
    """Raise UsageError for a batch size or a number of steps below one; None is left to whoever decides."""
    for name, count in counts.items():
        if count is not None and count < 1:
            raise UsageError(
                f"{name} must be 1 or more",
                found=f"{name}={count!r}",
                hint=f"{name}={32 if name == 'batch_size' else 60}",
            )


def require_inputs(model: Any, x: Any, validation: Any) -> None:
    """Raise DataError for inputs that the model cannot take, UsageError for validation data that are no pair."""
    if x is None:
        raise DataError("there are no inputs", found="x is None", hint="unvanish.check(model, x, y) with arrays")
    _require_shape(model, x, "x")
    if validation is None or (not hasattr(validation, "shape") and not isinstance(validation, tuple | list)):
        return
    if hasattr(validation, "shape") or len(validation) not in (2, 3):
        raise UsageError(
            "the validation data are no pair (x, y)",
            found=f"an object of the class {type(validation).__name__}",
            hint="validation=(x_val, y_val)",
        )
    _require_shape(model, validation[0], "the x of the validation data")


def _require_shape(model: Any, x: Any, what: str) -> None:
    """Raise DataError for an array of another shape than the model's one input; anything else is left to Keras."""
    shape = getattr(x, "shape", None)
    if shape is None or len(getattr(model, "inputs", None) or ()) != 1:
        return
    expected = tuple(model.inputs[0].shape)[1:]
    found = tuple(shape)[1:]
    fits = len(found) == len(expected) and all(e in (None, f) for e, f in zip(expected, found, strict=True))
    if not fits and np.prod(found, dtype=np.int64) != np.prod([e or 1 for e in expected], dtype=np.int64):
        raise DataError(
            f"{what} does not fit the input of the model {model.name!r}",
            found=f"samples of shape {found}",
            numbers={"the model takes": expected},
            hint=f"arrays of shape {(len(x), *expected)}",
        )


def require_labels(loss: LossInfo, network: Network, y: Any, ignored: int | None = None) -> None:
    """Raise DataError for class numbers that the output layer has no unit for, but for the one that is ignored."""
    if loss.kind != "sparse_categorical_crossentropy" or y is None or keras.tree.is_nested(y):
        return
    labels = np.asarray(y)
    units = network.layer(network.outputs[0]).units if len(network.outputs) == 1 else None
    if units is None or not labels.size or labels.dtype.kind not in "iuf":
        return
    wrong = labels[((labels < 0) | (labels >= units)) & (labels != ignored)]
    if wrong.size:
        raise DataError(
            f"{wrong.size} labels are out of range for the output layer {network.outputs[0]!r}",
            found=f"the label {wrong.flat[0]:g}, for a loss that takes class numbers",
            numbers={"units of the output": units, "labels allowed": f"0 to {units - 1}", "labels": labels.size},
            hint=f"Dense({int(labels.max()) + 1}) at the end, or labels that start at 0",
        )
