"""What must hold before anything can be looked at; each refusal says what, where, the numbers and the next step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from unvanish.core.network import Network
from unvanish.core.observation import LossInfo
from unvanish.errors import DataError, UsageError


def require_model(model: Any) -> None:
    """Raise UsageError for a model that is not compiled, not built, or has nothing to train."""
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
    if not model.trainable_variables:
        raise UsageError(
            f"the model {name!r} has no trainable weights",
            found="nothing that a gradient could change",
            numbers={"layers": len(model.layers), "weights in all": len(model.weights)},
            hint="set layer.trainable = True before model.compile",
        )


def require_inputs(x: Any) -> None:
    """Raise DataError when there is nothing to train on."""
    if x is None:
        raise DataError("there are no inputs", found="x is None", hint="unvanish.check(model, x, y) with arrays")


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
