"""The weights of a Keras model as data: the moments of one array, and a list of every array that there is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import keras
import numpy as np

from unvanish.core.measures.norm import moments
from unvanish.core.network import Parameter, WeightStats
from unvanish.keras.graph import Leaf

_NEARLY = 1e-9
"""A variance below this part of the mean square may be the rounding of zero: then every entry is looked at."""


def stats_of(variable: Any, *, orthogonal: bool = False) -> WeightStats | None:
    """Return the moments of a variable, taken in float64; None for None."""
    if variable is None:
        return None
    array = array_of(variable)
    mean, second = moments(array)
    variance = max(0.0, second - mean * mean)
    constant = variance <= _NEARLY * second and (array.size == 0 or bool(np.all(array == array.flat[0])))
    return WeightStats(
        mean=mean,
        variance=0.0 if constant else variance,
        size=int(array.size),
        orthogonal=orthogonal and not constant and _is_orthogonal(array),
    )


def array_of(variable: Any) -> np.ndarray[Any, Any]:
    """Return the values of a variable, half precision as float32."""
    array = np.asarray(keras.ops.convert_to_numpy(variable))
    return array.astype(np.float32) if array.dtype.itemsize < 4 and array.dtype.kind == "f" else array


def parameters_of(model: Any, found: Sequence[Leaf], optimised: Collection[int] | None) -> tuple[Parameter, ...]:
    """Return every weight array of the model, in its own order, each with the leaf that owns it.

    optimised: ids of the variables that an optimizer holds; None where that is not known.
    """
    owners: dict[int, str] = {}
    for leaf in found:
        for variable in getattr(leaf.operation, "weights", ()):
            owners.setdefault(id(variable), leaf.name)
    trained = {id(variable) for variable in model.trainable_variables}
    names: dict[str, int] = {}
    return tuple(
        Parameter(
            name=_unique(str(variable.path), names),
            layer=owners.get(id(variable), ""),
            shape=tuple(int(size) for size in variable.shape),
            dtype=str(keras.backend.standardize_dtype(variable.dtype)),
            trainable=id(variable) in trained,
            optimised=None if optimised is None else id(variable) in optimised,
        )
        for variable in model.weights
    )


def _unique(name: str, names: dict[str, int]) -> str:
    names[name] = names.get(name, 0) + 1
    return name if names[name] == 1 else f"{name}:{names[name]}"


def _is_orthogonal(kernel: np.ndarray[Any, Any]) -> bool:
    """Say whether W v keeps the length of every v (up to one factor), tried on four random v: O(entries)."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    matrix = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    if matrix.shape[1] < 2:
        return False
    few = matrix[:, :3].T @ matrix[:, :3]  # three of them tell nearly every other kernel, at next to no cost
    if not np.all(np.abs(few - few[0, 0] * np.eye(len(few))) < 1e-3 * abs(few[0, 0])):
        return False
    vectors = np.random.default_rng(0).standard_normal((matrix.shape[1], 4)).astype(matrix.dtype)
    gram = matrix.T @ (matrix @ vectors)
    scale = np.vdot(gram, vectors) / np.vdot(vectors, vectors)
    return bool(np.isfinite(scale) and np.max(np.abs(gram - scale * vectors)) < 1e-3 * abs(scale))
