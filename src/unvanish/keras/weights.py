"""The weights of a Keras model as data: the moments of one array, and a list of every array that there is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import keras
import numpy as np

from unvanish.core.network import Parameter, WeightStats
from unvanish.core.weight_stats import weight_stats
from unvanish.keras import backends
from unvanish.keras.graph import Leaf


def stats_of(variable: Any, *, orthogonal: bool = False) -> WeightStats | None:
    """Return the moments of a variable, taken in float64; None for None."""
    if variable is None:
        return None
    return weight_stats(array_of(variable), orthogonal=orthogonal)


def array_of(variable: Any) -> np.ndarray[Any, Any]:
    """Return the values of a variable, half precision as float32."""
    array = backends.current().view(variable)
    return backends.as_floats(array) if array.dtype.kind not in "biu" else array


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
