"""Read a Keras model into a Network: kinds, fans, weight moments, activations; no data, nothing changed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import keras
import numpy as np

from unvanish.core.measures.distinct_units import distinct_units
from unvanish.core.network import Edge, Layer, Network, WeightStats
from unvanish.core.weight_stats import weight_stats
from unvanish.keras.between import Between
from unvanish.keras.graph import Leaf, graph
from unvanish.keras.kinds import (
    NORMS,
    activation_of,
    bias_of,
    fans_of,
    groups_of,
    kernel_of,
    kind_of,
    recurrent_kernel_of,
    reduction_of,
    state_of,
    wrapped,
)
from unvanish.keras.weights import array_of, parameters_of, stats_of


def describe(model: Any, optimised: Collection[int] | None = None) -> Network:
    """Return the model as data. Nothing is changed.

    optimised: ids of the variables that the training's optimizer holds; None where that is not known. Raise
    UnsupportedError for a subclassed model that was not run on data yet.
    """
    found = graph(model)
    known: dict[int, tuple[str, float | None]] = {}
    first = {id(leaf.operation): leaf.name for leaf in found.leaves if leaf.call == 0}
    return Network(
        name=model.name,
        framework=f"Keras {keras.__version__} ({keras.backend.backend()})",
        layers=tuple(_layer(leaf, known, first[id(leaf.operation)]) for leaf in found.leaves),
        edges=tuple(Edge(source, leaf.name) for leaf in found.leaves for source in leaf.sources),
        outputs=found.outputs,
        parameters=parameters_of(model, found.leaves, optimised),
        traced=found.traced,
    )


def _layer(leaf: Leaf, known: dict[int, tuple[str, float | None]], first: str) -> Layer:
    """Return one leaf as data; first: the name of the same operation's first call."""
    operation, kind = leaf.operation, kind_of(leaf.operation)
    if kind == "add" and len(leaf.sources) < 2:  # a constant is added
        kind = "other"
    kind = kind if leaf.factor is None else "scale"
    activation, parameter = activation_of(operation, known)
    kernel, fans = kernel_of(operation), fans_of(operation)
    bias = None if kernel is None else bias_of(operation)
    scaled = kind in NORMS
    scale, shift = _factors(leaf) if kind == "scale" else (None, None)
    return Layer(
        name=leaf.name,
        kind=kind,
        type=_type(operation),
        activation=activation,
        activation_parameter=parameter,
        units=_units(operation, leaf.shape),
        fan_in=None if fans is None else fans.fan_in,
        fan_out=None if fans is None else fans.fan_out,
        kernel=stats_of(kernel, orthogonal=True),
        recurrent_kernel=stats_of(recurrent_kernel_of(operation), orthogonal=True),
        state=state_of(operation),
        table=stats_of(operation.embeddings) if kind == "embedding" else None,
        groups=groups_of(operation),
        distinct_units=distinct_of(operation),
        bias=stats_of(bias),
        scale=stats_of(_first(operation, "gamma", "scale")) if scaled else scale,
        shift=stats_of(getattr(operation, "beta", None)) if scaled else shift,
        keep=1.0 - float(operation.rate) if kind == "dropout" else 1.0,
        epsilon=float(operation.epsilon) if scaled else None,
        momentum=float(operation.momentum) if kind == "batch_norm" else None,
        parameters=sum(int(np.prod(w.shape, dtype=np.int64)) for w in getattr(operation, "weights", ())),
        trainable=bool(getattr(operation, "trainable", True)),
        shape=leaf.shape,
        shares=first if leaf.call > 0 else None,
        reduction=reduction_of(operation) if kind == "pool" else None,
        initializer=_initializer(operation) if kernel is not None else None,
    )


def _factors(leaf: Leaf) -> tuple[WeightStats | None, WeightStats | None]:
    """Return what a leaf of kind `scale` multiplies by, and what a Rescaling adds, as moments."""
    numbers = (leaf.operation.scale, leaf.operation.offset) if leaf.factor is None else (leaf.factor, None)
    arrays = (None if x is None else np.atleast_1d(np.asarray(keras.ops.convert_to_numpy(x), float)) for x in numbers)
    scale, shift = (None if array is None else weight_stats(array) for array in arrays)
    return scale, shift


def distinct_of(operation: Any) -> int | None:
    """Return the number of different units of a dense or convolution leaf; None for other kinds."""
    if kind_of(operation) not in ("dense", "conv"):
        return None
    kernel, bias = kernel_of(operation), bias_of(operation)
    flat = None if bias is None or len(bias.shape) != 1 else array_of(bias)
    array = array_of(kernel)
    return distinct_units(array.reshape(-1, array.shape[-1]), flat)


def _type(operation: Any) -> str:
    if isinstance(operation, Between):
        return operation.type
    inner = wrapped(operation)
    own = type(operation).__name__
    return own if inner is operation else f"{own}({type(inner).__name__})"


def _first(operation: Any, *names: str) -> Any:
    """Return the first of these attributes that is a variable."""
    found = (getattr(operation, name, None) for name in names)
    return next((value for value in found if hasattr(value, "assign")), None)


def _initializer(operation: Any) -> str | None:
    inner = wrapped(operation)
    names = ("kernel_initializer", "pointwise_initializer", "depthwise_initializer")
    given = next((value for name in names if (value := getattr(inner, name, None)) is not None), None)
    return None if given is None else type(given).__name__


def _units(operation: Any, shape: tuple[int | None, ...]) -> int | None:
    for attribute in ("units", "filters"):
        if isinstance(getattr(operation, attribute, None), int):
            return int(getattr(operation, attribute))
    return None if not shape or shape[-1] is None else int(shape[-1])
