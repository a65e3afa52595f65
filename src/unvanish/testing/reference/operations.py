"""What a node of the reference computes before its activation: each operation returns its value and its pull-back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unvanish.testing.reference.windows import Windows

Array = NDArray[Any]
Weights = dict[str, Array]
PullBack = Callable[[Array], tuple[list[Array], Weights]]
"""dL/d value -> (dL/d each input, dL/d each weight that was given)."""
Result = tuple[Array, PullBack]


def identity(x: Array) -> Result:
    """Pass the input on: an input layer, a dropout that is off, an activation layer."""
    return x, lambda d: ([d], {})


def add(*inputs: Array) -> Result:
    """Add inputs of one shape."""
    return sum(inputs[1:], start=inputs[0]), lambda d: ([d for _ in inputs], {})


def flatten(x: Array) -> Result:
    """Give each sample one axis."""
    return x.reshape(len(x), -1), lambda d: ([d.reshape(x.shape)], {})


def dense(x: Array, *, kernel: Array, bias: Array | None = None) -> Result:
    """Return x @ kernel + bias over the last axis."""

    def pull_back(d: Array) -> tuple[list[Array], Weights]:
        rows, d_rows = x.reshape(-1, x.shape[-1]), d.reshape(-1, d.shape[-1])
        return [d @ kernel.T], {"kernel": rows.T @ d_rows, **_summed("bias", bias, d)}

    return x @ kernel + (0.0 if bias is None else bias), pull_back


def conv(x: Array, *, kernel: Array, bias: Array | None = None, strides: Sequence[int], padding: str) -> Result:
    """Convolve x (samples, *space, channels) with a kernel (*size, channels, filters)."""
    windows = Windows(x.shape[1:-1], kernel.shape[:-2], strides, padding)
    padded = windows.pad(x, 0.0)
    value = sum(padded[picked] @ kernel[offset] for offset, picked in windows.offsets())

    def pull_back(d: Array) -> tuple[list[Array], Weights]:
        d_kernel, d_padded = np.zeros(kernel.shape), np.zeros(padded.shape)
        for offset, picked in windows.offsets():
            rows = padded[picked].reshape(-1, padded.shape[-1])
            d_kernel[offset] = rows.T @ d.reshape(-1, d.shape[-1])
            d_padded[picked] += d @ kernel[offset].T
        return [windows.unpad(d_padded)], {"kernel": d_kernel, **_summed("bias", bias, d)}

    return np.asarray(value + (0.0 if bias is None else bias)), pull_back


def batch_norm(x: Array, *, scale: Array | None = None, shift: Array | None = None, epsilon: float) -> Result:
    """Normalise each feature (last axis) by the mean and biased variance of this batch (Ioffe & Szegedy 2015)."""
    return _normalise(x, scale, shift, epsilon, tuple(range(x.ndim - 1)))


def layer_norm(x: Array, *, scale: Array | None = None, shift: Array | None = None, epsilon: float) -> Result:
    """Normalise each sample by the mean and biased variance over its last axis (Ba et al. 2016)."""
    return _normalise(x, scale, shift, epsilon, (x.ndim - 1,))


def _normalise(x: Array, scale: Array | None, shift: Array | None, epsilon: float, axes: tuple[int, ...]) -> Result:
    """Return scale * (x - mean) / sqrt(variance + epsilon) + shift, the moments taken over the axes."""
    centred = x - x.mean(axis=axes, keepdims=True)
    root = np.sqrt((centred * centred).mean(axis=axes, keepdims=True) + epsilon)
    normal = centred / root
    factor = np.ones(x.shape[-1]) if scale is None else scale

    def pull_back(d: Array) -> tuple[list[Array], Weights]:
        d_normal = d * factor
        along = (d_normal * normal).mean(axis=axes, keepdims=True)
        d_x = (d_normal - d_normal.mean(axis=axes, keepdims=True) - normal * along) / root
        return [d_x], {**_summed("scale", scale, d * normal), **_summed("shift", shift, d)}

    return normal * factor + (0.0 if shift is None else shift), pull_back


def _summed(name: str, weight: Array | None, d: Array) -> Weights:
    """Return the gradient of a vector that every sample and position shares; nothing when there is none."""
    return {} if weight is None else {name: d.reshape(-1, d.shape[-1]).sum(axis=0)}
