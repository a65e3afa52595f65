"""Read a Keras model into a Network: kinds, fans, weight moments, activations; no data, nothing changed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from unvanish.core.activations import GRID, recognise
from unvanish.core.measures.norm import moments
from unvanish.core.network import Edge, Layer, Network, WeightStats
from unvanish.keras import compat
from unvanish.keras.graph import Leaf, leaves

_L = keras.layers
_POOLS = (
    _L.AveragePooling1D,
    _L.AveragePooling2D,
    _L.AveragePooling3D,
    _L.GlobalAveragePooling1D,
    _L.GlobalAveragePooling2D,
    _L.GlobalAveragePooling3D,
    _L.GlobalMaxPooling1D,
    _L.GlobalMaxPooling2D,
    _L.GlobalMaxPooling3D,
    _L.MaxPooling1D,
    _L.MaxPooling2D,
    _L.MaxPooling3D,
)
_NEARLY = 1e-9
"""A variance below this part of the mean square may be the rounding of zero: then every entry is looked at."""
_MAXIMA = tuple(pool for pool in _POOLS if "Max" in pool.__name__)
_KINDS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("input", (_L.InputLayer,)),
    ("dense", (_L.Dense,)),
    ("conv", (_L.Conv1D, _L.Conv2D, _L.Conv3D)),
    ("batch_norm", (_L.BatchNormalization,)),
    ("layer_norm", (_L.LayerNormalization,)),
    ("dropout", (_L.Dropout,)),
    ("activation", (_L.Activation, _L.ReLU, _L.LeakyReLU, _L.ELU, _L.Softmax)),
    ("add", (_L.Add,)),
    ("flatten", (_L.Flatten, _L.Reshape)),
    ("pool", _POOLS),
)


def describe(model: Any) -> Network:
    """Return the model as data. Nothing is changed. Raise UnsupportedError when it has no static graph."""
    found, outputs = leaves(model)
    known: dict[int, tuple[str, float | None]] = {}
    first = {id(leaf.operation): leaf.name for leaf in found if leaf.call == 0}
    layers = tuple(_layer(leaf, known, first[id(leaf.operation)]) for leaf in found)
    edges = tuple(Edge(source, leaf.name) for leaf in found for source in leaf.sources)
    framework = f"Keras {keras.__version__} ({keras.backend.backend()})"
    return Network(name=model.name, framework=framework, layers=layers, edges=edges, outputs=outputs)


def kind_of(operation: Any) -> str:
    """Return the kind of a leaf (core.network.KINDS). A subclass that overrides `call` is `other`."""
    if compat.is_addition(operation):
        return "add"
    if not isinstance(operation, _L.Layer) and _recognise(operation.call)[0] != "other":
        return "activation"  # a function of the framework, called on a tensor
    for kind, classes in _KINDS:
        for base in classes:
            if isinstance(operation, base):
                return kind if getattr(type(operation), "call", None) is base.call else "other"
    return "other"


def activation_of(operation: Any, known: dict[int, tuple[str, float | None]]) -> tuple[str, float | None]:
    """Return the canonical (name, parameter) of the activation that the leaf applies, by what it computes.

    known: a cache by the function's id, added to.
    """
    if kind_of(operation) == "activation":
        return _recognise(operation.call)
    function = getattr(operation, "activation", None)
    if function is None or kind_of(operation) not in ("dense", "conv"):
        return "linear", None
    if id(function) not in known:
        known[id(function)] = _recognise(function)
    return known[id(function)]


def kernel_of(operation: Any) -> Any | None:
    """Return the kernel variable of a dense or convolution leaf; None for other kinds."""
    return operation.kernel if kind_of(operation) in ("dense", "conv") else None


def _recognise(function: Any) -> tuple[str, float | None]:
    row = keras.ops.convert_to_tensor(GRID[None, :].astype("float32"))
    try:
        values = np.asarray(keras.ops.convert_to_numpy(function(row)), dtype=np.float64)
    except Exception:  # a callable of another shape of input: not elementwise
        return "other", None
    if values.shape != (1, GRID.size):
        return "other", None
    if np.all(values >= 0) and abs(values.sum() - 1.0) < 1e-4:
        return "softmax", None
    return recognise(values[0])


def _layer(leaf: Leaf, known: dict[int, tuple[str, float | None]], first: str) -> Layer:
    """Return one leaf as data; first: the name of the same operation's first call."""
    operation, kind = leaf.operation, kind_of(leaf.operation)
    if kind == "add" and len(leaf.sources) < 2:  # a constant is added
        kind = "other"
    activation, parameter = activation_of(operation, known)
    kernel = kernel_of(operation)
    shape = getattr(operation, "output", None) if leaf.call == 0 else None
    receptive = 0 if kernel is None else int(np.prod(kernel.shape[:-2], dtype=np.int64))
    return Layer(
        name=leaf.name,
        kind=kind,
        type=type(operation).__name__,
        activation=activation,
        activation_parameter=parameter,
        units=_units(operation, shape),
        fan_in=None if kernel is None else receptive * int(kernel.shape[-2]),
        fan_out=None if kernel is None else receptive * int(kernel.shape[-1]),
        kernel=None if kernel is None else _stats(kernel, orthogonal=True),
        bias=_stats(getattr(operation, "bias", None)) if kernel is not None else None,
        scale=_stats(getattr(operation, "gamma", None)) if kind in ("batch_norm", "layer_norm") else None,
        shift=_stats(getattr(operation, "beta", None)) if kind in ("batch_norm", "layer_norm") else None,
        keep=1.0 - float(operation.rate) if kind == "dropout" else 1.0,
        epsilon=float(operation.epsilon) if kind in ("batch_norm", "layer_norm") else None,
        momentum=float(operation.momentum) if kind == "batch_norm" else None,
        parameters=sum(int(np.prod(w.shape, dtype=np.int64)) for w in getattr(operation, "weights", ())),
        trainable=bool(getattr(operation, "trainable", True)),
        shape=tuple(getattr(shape, "shape", ())[1:]),
        shares=first if leaf.call > 0 else None,
        reduction=_reduction(operation) if kind == "pool" else None,
        initializer=type(operation.kernel_initializer).__name__ if kernel is not None else None,
    )


def _reduction(operation: Any) -> str:
    return "max" if isinstance(operation, _MAXIMA) else "average"


def _units(operation: Any, output: Any) -> int | None:
    for attribute in ("units", "filters"):
        if isinstance(getattr(operation, attribute, None), int):
            return int(getattr(operation, attribute))
    shape = getattr(output, "shape", None)
    return int(shape[-1]) if shape and shape[-1] is not None else None


def _stats(variable: Any, *, orthogonal: bool = False) -> WeightStats | None:
    """Return the moments of a variable, taken in float64."""
    if variable is None:
        return None
    array = np.asarray(keras.ops.convert_to_numpy(variable))
    array = array.astype(np.float32) if array.dtype.itemsize < 4 else array
    mean, second = moments(array)
    variance = max(0.0, second - mean * mean)
    constant = variance <= _NEARLY * second and (array.size == 0 or bool(np.all(array == array.flat[0])))
    return WeightStats(
        mean=mean,
        variance=0.0 if constant else variance,
        size=int(array.size),
        orthogonal=orthogonal and not constant and _is_orthogonal(array),
    )


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
