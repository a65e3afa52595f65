"""The layer that takes a mean off the inputs and divides by a spread, and what it takes them to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from msgspec.structs import replace

from unvanish.core.edit import Edit, StandardiseInputs
from unvanish.errors import UnsupportedError, UsageError

DIGITS = 6
"""Of what is kept: float32 has seven, and a person reads the source."""


def measured(edits: Sequence[Edit], x: Any) -> tuple[Edit, ...]:
    """Return the edits, those of the inputs with the mean and the variance of x (arrays) where they have none.

    A feature that never varies keeps its size. Raise UnsupportedError for inputs that are no single array of numbers.
    """
    return tuple(
        _measured(edit, x) if isinstance(edit, StandardiseInputs) and not edit.mean else edit for edit in edits
    )


def layer_of(edit: StandardiseInputs) -> Any:
    """Return the Keras layer. Raise UsageError for an edit without its numbers."""
    if not edit.mean:
        raise UsageError(
            "the inputs cannot be standardised",
            found="neither a mean nor a variance: they were not measured",
            hint="StandardiseInputs(per='whole', mean=(...,), variance=(...,))",
        )
    if edit.per == "whole":
        return keras.layers.Normalization(
            axis=None, mean=edit.mean[0], variance=edit.variance[0], name="standardised_inputs"
        )
    return keras.layers.Normalization(mean=list(edit.mean), variance=list(edit.variance), name="standardised_inputs")


def the_input(inputs: Any) -> Any:
    """Return the one input tensor of a model that can be standardised. Raise UnsupportedError for any other."""
    tensors = keras.tree.flatten(inputs)
    if len(tensors) != 1:
        raise UnsupportedError(
            "the inputs cannot be standardised together",
            found=f"{len(tensors)} inputs",
            hint="standardise each of the arrays that are passed to fit",
        )
    return tensors[0]


def _measured(edit: StandardiseInputs, x: Any) -> StandardiseInputs:
    array = np.asarray(the_input(x))
    if array.dtype.kind not in "biuf" or not array.size:
        raise UnsupportedError(
            "the inputs cannot be standardised", found=f"an array of {array.dtype}", hint="arrays of numbers"
        )
    axes = None if edit.per == "whole" else tuple(range(array.ndim - 1))
    values = array.astype(np.float64)
    mean, variance = np.ravel(values.mean(axis=axes)), np.ravel(values.var(axis=axes))
    variance = np.where(variance > 0, variance, 1.0)
    return replace(edit, mean=_rounded(mean), variance=_rounded(variance))


def _rounded(values: Any) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)
