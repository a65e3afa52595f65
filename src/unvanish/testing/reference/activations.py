"""Activations of the reference: f(z), f'(z), and the backward pass through them. Written without core.activations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""float64; complex128 in the forward pass of a complex step."""

ALPHA = {"celu": 1.0, "elu": 1.0, "leaky_relu": 0.2, "soft_shrink": 0.5}
"""Keras' default of the one parameter."""

_SELU = (1.0507009873554805, 1.6732632423543772)
"""Scale and alpha (Klambauer et al. 2017)."""
_GELU = math.sqrt(2.0 / math.pi)
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z)) without overflow."""
    positive = z.real >= 0
    small = np.exp(np.where(positive, -z, z))
    result: Array = np.where(positive, 1.0, small) / (1.0 + small)
    return result


def softplus(z: Array) -> Array:
    """Return log(1 + exp(z)) without overflow."""
    positive = z.real >= 0
    result: Array = np.where(positive, z, 0.0) + np.log1p(np.exp(np.where(positive, -z, z)))
    return result


def softmax(z: Array) -> Array:
    """Return exp(z) / sum exp(z) over the last axis."""
    e = np.exp(z - z.real.max(axis=-1, keepdims=True))
    result: Array = e / e.sum(axis=-1, keepdims=True)
    return result


def _phi(z: Array) -> Array:
    result: Array = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return result


def _cdf(z: Array) -> Array:
    result: Array = _erfc(-z / math.sqrt(2)) / 2
    return result


def _gelu_tanh(z: Array) -> Array:
    result: Array = z * sigmoid(2 * _GELU * (z + 0.044715 * z**3))
    return result


def _gelu_tanh_slope(z: Array) -> Array:
    s = sigmoid(2 * _GELU * (z + 0.044715 * z**3))
    result: Array = s + z * s * (1 - s) * 2 * _GELU * (1 + 3 * 0.044715 * z * z)
    return result


def _mish_slope(z: Array) -> Array:
    t = np.tanh(softplus(z))
    result: Array = t + z * (1 - t * t) * sigmoid(z)
    return result


def _between(z: Array, low: float, high: float) -> Array:
    result: Array = (low < z.real) & (z.real < high)
    return result


def _outside(z: Array, threshold: float) -> Array:
    result: Array = np.abs(z.real) > threshold
    return result


def _positive(z: Array, above: Array, below: Array | float) -> Array:
    result: Array = np.where(z.real > 0, above, below)
    return result


def _exp_of_negative(z: Array) -> Array:
    result: Array = np.exp(np.where(z.real < 0, z, 0.0))
    return result


_INF = math.inf
_ELEMENTWISE: dict[str, tuple[Callable[[Array, float], Array], Callable[[Array, float], Array]]] = {
    "celu": (
        lambda z, a: _positive(z, z, a * (_exp_of_negative(z / a) - 1)),
        lambda z, a: _positive(z, np.ones_like(z), _exp_of_negative(z / a)),
    ),
    "elu": (
        lambda z, a: _positive(z, z, a * (_exp_of_negative(z) - 1)),
        lambda z, a: _positive(z, np.ones_like(z), a * _exp_of_negative(z)),
    ),
    "exponential": (lambda z, _: np.exp(z), lambda z, _: np.exp(z)),
    "gelu": (lambda z, _: z * _cdf(z), lambda z, _: _cdf(z) + z * _phi(z)),
    "gelu_tanh": (lambda z, _: _gelu_tanh(z), lambda z, _: _gelu_tanh_slope(z)),
    "hard_shrink": (lambda z, _: z * _outside(z, 0.5), lambda z, _: 1.0 * _outside(z, 0.5)),
    "hard_sigmoid": (lambda z, _: np.clip(z / 6 + 0.5, 0, 1), lambda z, _: _between(z, -3, 3) / 6),
    "hard_silu": (
        lambda z, _: z * np.clip(z / 6 + 0.5, 0, 1),
        lambda z, _: _between(z, -3, 3) * (z / 3 + 0.5) + _between(z, 3, _INF),
    ),
    "hard_tanh": (lambda z, _: np.clip(z, -1, 1), lambda z, _: 1.0 * _between(z, -1, 1)),
    "leaky_relu": (lambda z, a: _positive(z, z, a * z), lambda z, a: _positive(z, np.ones_like(z), a)),
    "linear": (lambda z, _: z, lambda z, _: np.ones_like(z)),
    "log_sigmoid": (lambda z, _: np.log(sigmoid(z)), lambda z, _: sigmoid(-z)),
    "mish": (lambda z, _: z * np.tanh(softplus(z)), lambda z, _: _mish_slope(z)),
    "relu": (lambda z, _: _positive(z, z, 0.0), lambda z, _: 1.0 * _between(z, 0, _INF)),
    "relu6": (lambda z, _: np.clip(z, 0, 6), lambda z, _: 1.0 * _between(z, 0, 6)),
    "selu": (
        lambda z, _: _SELU[0] * _positive(z, z, _SELU[1] * (_exp_of_negative(z) - 1)),
        lambda z, _: _SELU[0] * _positive(z, np.ones_like(z), _SELU[1] * _exp_of_negative(z)),
    ),
    "sigmoid": (lambda z, _: sigmoid(z), lambda z, _: sigmoid(z) * sigmoid(-z)),
    "silu": (lambda z, _: z * sigmoid(z), lambda z, _: sigmoid(z) * (1 + z * sigmoid(-z))),
    "soft_shrink": (
        lambda z, a: _outside(z, a) * (z - a * np.sign(z.real)),
        lambda z, a: 1.0 * _outside(z, a),
    ),
    "softplus": (lambda z, _: softplus(z), lambda z, _: sigmoid(z)),
    "softsign": (lambda z, _: z / (1 + np.abs(z)), lambda z, _: (1 + np.abs(z)) ** -2.0),
    "sparse_plus": (
        lambda z, _: _between(z, -1, 1) * (z + 1) ** 2 / 4 + (z.real >= 1) * z,
        lambda z, _: _between(z, -1, 1) * (z + 1) / 2 + _between(z, 1, _INF),
    ),
    "sparse_sigmoid": (
        lambda z, _: _between(z, -1, 1) * (z + 1) / 2 + (z.real >= 1),
        lambda z, _: _between(z, -1, 1) / 2,
    ),
    "squareplus": (
        lambda z, _: (z + np.sqrt(z * z + 4)) / 2,
        lambda z, _: (1 + z / np.sqrt(z * z + 4)) / 2,
    ),
    "tanh": (lambda z, _: np.tanh(z), lambda z, _: np.cosh(np.clip(z, -300, 300)) ** -2.0),
    "tanh_shrink": (lambda z, _: z - np.tanh(z), lambda z, _: np.tanh(z) ** 2),
}
NAMES = (*_ELEMENTWISE, "softmax")


def apply(name: str, z: Array, parameter: float | None = None) -> Array:
    """Return f(z), same shape; softmax runs over the last axis. Raise KeyError for an unknown name."""
    if name == "softmax":
        return softmax(z)
    return _ELEMENTWISE[name][0](z, _alpha(name, parameter))


def slope(name: str, z: Array, parameter: float | None = None) -> Array | None:
    """Return f'(z), same shape (0 at the kink of relu); None for softmax, which is not elementwise."""
    return None if name == "softmax" else _ELEMENTWISE[name][1](z, _alpha(name, parameter))


def pull_back(name: str, z: Array, parameter: float | None, d_output: Array) -> Array:
    """Return dL/dz given dL/df(z)."""
    if name == "softmax":
        p = softmax(z)
        result: Array = p * (d_output - (p * d_output).sum(axis=-1, keepdims=True))
        return result
    return d_output * _ELEMENTWISE[name][1](z, _alpha(name, parameter))


def _alpha(name: str, parameter: float | None) -> float:
    return ALPHA.get(name, 0.0) if parameter is None else parameter
