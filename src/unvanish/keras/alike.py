"""Whether a copy of a model, given its weights, computes what the model does: else its trainings would say nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.arrays import Batch
from unvanish.keras.draw import carry
from unvanish.keras.probe import restored
from unvanish.keras.reading import same_outputs
from unvanish.keras.surgery import Operated
from unvanish.keras.training import packed

_ROUNDING = 1e-4
"""Relative difference of two losses that rounding in float32 explains (`same_outputs` allows outputs as much)."""


def require_alike(model: Any, copy: Any, made: Mapping[int, Any], batch: Batch) -> None:
    """Raise UnsupportedError where the copy does not give the outputs and the loss of the model in inference mode.

    The copy is given the model's weights; the model is not changed. A model that does not give the same outputs twice
    is believed.
    """
    carry(model, Operated(copy, dict(made)))
    (first, loss), (again, _) = _seen(model, batch), _seen(model, batch)
    if not same_outputs(again, first, equal_nan=True):
        return
    outputs, its_loss = _seen(copy, batch)
    if not same_outputs(outputs, first, equal_nan=True):
        raise _other(model, "another one of the same configuration, given the same weights, computes something else")
    if not math.isclose(its_loss, loss, rel_tol=_ROUNDING) and math.isfinite(loss):
        raise _other(
            model, f"its loss on a batch is {loss:.6g}, that of another one with the same weights {its_loss:.6g}"
        )


def _seen(model: Any, batch: Batch) -> tuple[list[Any], float]:
    """Return (outputs, loss) of a batch, everything put back that this moved."""
    x, y, _ = keras.utils.unpack_x_y_sample_weight(packed(batch))
    with restored(model):
        output = model(x, training=False)
        loss = compat.loss_of(model, x, y, output)
    return [np.asarray(keras.ops.convert_to_numpy(part)) for part in keras.tree.flatten(output)], loss


def _other(model: Any, found: str) -> UnsupportedError:
    return UnsupportedError(
        f"the model {model.name!r} cannot be made a second time",
        found=found,
        numbers={"layers": len(model.layers)},
        hint="let the get_config of its layers tell everything, also what is set on a layer after it was made",
    )
