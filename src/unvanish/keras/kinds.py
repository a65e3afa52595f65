"""What a leaf of a Keras model is: its kind, its kernels, its activation; by what it computes, never by its name."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np

from unvanish.core.activations import GRID, recognise
from unvanish.keras import compat
from unvanish.keras.between import Between

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
_MAXIMA = tuple(pool for pool in _POOLS if "Max" in pool.__name__)
RECURRENT = (_L.RNN, _L.ConvLSTM1D, _L.ConvLSTM2D, _L.ConvLSTM3D)
DEPTHWISE = (_L.DepthwiseConv1D, _L.DepthwiseConv2D)
SEPARABLE = (_L.SeparableConv1D, _L.SeparableConv2D)
TRANSPOSED = (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose)
_ATTENTION = ("AdditiveAttention", "Attention", "GroupQueryAttention", "GroupedQueryAttention", "MultiHeadAttention")
_RMS = tuple(getattr(_L, name) for name in ("RMSNormalization",) if hasattr(_L, name))
_KINDS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("input", (_L.InputLayer,)),
    ("dense", (_L.Dense,)),
    ("conv", (_L.Conv1D, _L.Conv2D, _L.Conv3D)),
    ("batch_norm", (_L.BatchNormalization,)),
    ("layer_norm", (_L.LayerNormalization,)),
    ("group_norm", (_L.GroupNormalization,)),
    ("rms_norm", _RMS),
    ("scale", (_L.Rescaling,)),
    ("dropout", (_L.Dropout,)),
    ("activation", (_L.Activation, _L.ReLU, _L.LeakyReLU, _L.ELU, _L.PReLU, _L.Softmax)),
    ("add", (_L.Add,)),
    ("concatenate", (_L.Concatenate,)),
    ("multiply", (_L.Multiply,)),
    ("flatten", (_L.Flatten, _L.Reshape)),
    ("pool", _POOLS),
    ("embedding", (_L.Embedding,)),
    ("attention", tuple(getattr(_L, name) for name in _ATTENTION if hasattr(_L, name))),
)
NORMS = ("batch_norm", "group_norm", "layer_norm", "rms_norm")


class Fans(NamedTuple):
    """Hold over how many inputs a unit of a kernel sums, and into how many units an input goes."""

    fan_in: int
    fan_out: int


def kind_of(operation: Any) -> str:
    """Return the kind of a leaf (core.network.KINDS). A subclass that overrides `call` is `other`."""
    if isinstance(operation, Between):
        return operation.kind
    if not isinstance(operation, _L.Layer):
        plain = compat.plain_operation(operation)
        return plain or ("activation" if _recognise(operation.call)[0] != "other" else "other")
    if isinstance(operation, RECURRENT):
        return "recurrent" if compat.is_keras_own(operation) else "other"
    for kind, classes in _KINDS:
        for base in classes:
            if isinstance(operation, base):
                return _told(kind, operation) if getattr(type(operation), "call", None) is base.call else "other"
    if isinstance(operation, _L.EinsumDense):
        return "dense" if compat.is_keras_own(operation) and _is_plain_product(operation) else "other"
    return "dense" if _is_dense_over_time(operation) else "other"


def _told(kind: str, operation: Any) -> str:
    """Return the kind, told apart where one class stands for two: `rms_scaling` divides by the sd, not by the RMS."""
    return "other" if kind == "layer_norm" and getattr(operation, "rms_scaling", False) else kind


def kernel_of(operation: Any) -> Any | None:
    """Return the variable that a leaf multiplies its input by; None for leaves that have none, or several.

    Of a separable convolution it is the pointwise one, which is where nearly all of its weights are.
    """
    if isinstance(operation, Between) or not isinstance(operation, _L.Layer):
        return None
    inner = wrapped(operation)
    if inner is not operation:
        return kernel_of(inner)
    kind = kind_of(operation)
    if kind in ("dense", "conv"):
        return operation.kernel
    if kind == "recurrent":
        return getattr(operation.cell, "kernel", None)
    if isinstance(operation, SEPARABLE) and compat.is_keras_own(operation):
        return operation.pointwise_kernel
    plain = isinstance(operation, (*DEPTHWISE, *TRANSPOSED, _L.EinsumDense)) and compat.is_keras_own(operation)
    return operation.kernel if plain else None


def recurrent_kernel_of(operation: Any) -> Any | None:
    """Return the variable by which a recurrent leaf multiplies its own state; None for others."""
    return getattr(operation.cell, "recurrent_kernel", None) if kind_of(operation) == "recurrent" else None


def state_of(operation: Any) -> str | None:
    """Return the activation of a simple recurrent leaf's state; None for any other cell, and one that drops out."""
    cell = getattr(operation, "cell", None)
    if kind_of(operation) != "recurrent" or not isinstance(cell, _L.SimpleRNNCell) or not compat.is_keras_own(cell):
        return None
    name = _recognise(cell.activation)[0]
    return None if cell.dropout or cell.recurrent_dropout or name in ("other", "softmax") else name


def groups_of(operation: Any) -> int | None:
    """Return the groups of a group normalisation; None for other leaves."""
    if kind_of(operation) != "group_norm":
        return None
    return int(operation.gamma.shape[0] if operation.groups == -1 and operation.gamma is not None else operation.groups)


def bias_of(operation: Any) -> Any | None:
    """Return the bias of a leaf with a kernel, one entry a unit; None where there is none."""
    inner = wrapped(operation)
    owner = inner.cell if kind_of(inner) == "recurrent" else inner
    return getattr(owner, "bias", None)


def fans_of(operation: Any) -> Fans | None:
    """Return the fans of a leaf's kernel; None without one."""
    kernel, inner = kernel_of(operation), wrapped(operation)
    if kernel is None:
        return None
    shape = tuple(int(size) for size in kernel.shape)
    receptive = int(np.prod(shape[:-2], dtype=np.int64))
    if isinstance(inner, DEPTHWISE):
        return Fans(receptive, receptive * shape[-1])
    if isinstance(inner, TRANSPOSED):
        return Fans(max(1, receptive * shape[-1] // int(np.prod(inner.strides))), receptive * shape[-2])
    if isinstance(inner, _L.EinsumDense):
        return _einsum_fans(inner, shape)
    return Fans(receptive * shape[-2], receptive * shape[-1])


def wrapped(operation: Any) -> Any:
    """Return the layer that a TimeDistributed or a SpectralNormalization applies; else the operation itself."""
    known = isinstance(operation, _L.TimeDistributed | _L.SpectralNormalization)
    return operation.layer if known and compat.is_keras_own(operation) else operation


def activation_of(operation: Any, known: dict[int, tuple[str, float | None]]) -> tuple[str, float | None]:
    """Return the canonical (name, parameter) of the activation that the leaf applies, by what it computes.

    known: a cache by the function's id, added to.
    """
    kind = kind_of(operation)
    if isinstance(operation, Between):
        return operation.activation_name, None
    if isinstance(operation, _L.PReLU) and kind == "activation":
        return _learned(operation)
    if kind == "activation":
        return _recognise(operation.call)
    function = getattr(operation, "activation", None)
    if function is None or kind not in ("dense", "conv"):
        return "linear", None
    if id(function) not in known:
        known[id(function)] = _recognise(function)
    return known[id(function)]


def reduction_of(operation: Any) -> str:
    """Return what a pooling leaf takes of its window."""
    return "max" if isinstance(operation, _MAXIMA) else "average"


def _learned(operation: Any) -> tuple[str, float | None]:
    """Return what a PReLU is while all its slopes are one."""
    slopes = np.asarray(keras.ops.convert_to_numpy(operation.alpha), dtype=np.float64)
    return ("leaky_relu", float(slopes.flat[0])) if slopes.size and np.ptp(slopes) == 0 else ("other", None)


def _is_plain_product(operation: Any) -> bool:
    """Say whether an EinsumDense multiplies the last axis by a matrix, as Dense does."""
    given, _, result = operation.equation.replace(" ", "").replace("...", "_").partition("->")
    inputs, _, kernel = given.partition(",")
    return len(kernel) == 2 and inputs[-1:] == kernel[0] and result == inputs[:-1] + kernel[1]


def _is_dense_over_time(operation: Any) -> bool:
    inner = wrapped(operation)
    plain = isinstance(operation, _L.TimeDistributed) and inner is not operation
    return plain and kind_of(inner) == "dense" and activation_of(inner, {})[0] == "linear"


def _einsum_fans(operation: Any, shape: tuple[int, ...]) -> Fans:
    """Return the sizes of the axes that are summed over, and of those that are new."""
    given, _, result = operation.equation.replace(" ", "").partition("->")
    letters = given.partition(",")[2]
    summed = [size for letter, size in zip(letters, shape, strict=True) if letter not in result]
    new = [size for letter, size in zip(letters, shape, strict=True) if letter in result]
    return Fans(int(np.prod(summed, dtype=np.int64)), int(np.prod(new, dtype=np.int64)))


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
