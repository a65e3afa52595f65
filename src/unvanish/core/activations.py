"""The elementwise activations that are known by name: f and its derivative f', in float64 numpy.

An adapter recognises an activation by what it computes (`recognise`), never by what it is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function = Callable[[Array, float], Array]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
_erf = np.vectorize(math.erf, otypes=[np.float64])
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _sigmoid(x: Array) -> Array:
    # not (1 + tanh(x/2))/2, which is exactly 0 below -38: a saturated unit passes little, not nothing
    return np.asarray(np.exp(-np.logaddexp(0.0, -x)), dtype=np.float64)


def _sech_squared(x: Array) -> Array:
    return 4 * _sigmoid(2 * x) * _sigmoid(-2 * x)


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, x), dtype=np.float64)


def _normal_cdf(x: Array) -> Array:
    return np.asarray(0.5 * _erfc(-x / math.sqrt(2.0)), dtype=np.float64)


def _normal_pdf(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi), dtype=np.float64)


def _exp_below(x: Array) -> Array:
    return np.asarray(np.exp(np.minimum(x, 0.0)), dtype=np.float64)


_GELU_C = math.sqrt(2.0 / math.pi)


def _gelu_inner(x: Array) -> Array:
    """Return twice the argument of gelu's tanh: (1 + tanh(u)) / 2 = sigmoid(2 u)."""
    return np.asarray(2 * _GELU_C * (x + 0.044715 * x**3), dtype=np.float64)


def _d_gelu_tanh(x: Array, _: float) -> Array:
    gate, rest = _sigmoid(_gelu_inner(x)), _sigmoid(-_gelu_inner(x))
    return gate + x * gate * rest * 2 * _GELU_C * (1 + 3 * 0.044715 * x * x)


def _d_mish(x: Array, _: float) -> Array:
    s = _softplus(x)
    return np.asarray(np.tanh(s) + x * _sech_squared(s) * _sigmoid(x), dtype=np.float64)


def _step(x: Array) -> Array:
    return (x > 0).astype(np.float64)


def _squareplus(x: Array) -> Array:
    # of both roots of y (y - x) = 1 the larger, without cancellation
    root = np.hypot(x, 2.0)
    return np.asarray(np.where(x > 0, x + root, 4 / (root - np.minimum(x, 0.0))) / 2, dtype=np.float64)


def _tanh_shrink(x: Array) -> Array:
    # near 0 the difference would cancel: x^3/3 - 2 x^5/15 + ...
    square = np.minimum(x * x, 0.01)
    series = square * (1 / 3 - square * (2 / 15 - square * (17 / 315 - square * (62 / 2835 - square * 1382 / 155925))))
    return np.asarray(np.where(np.abs(x) < 0.1, x * series, x - np.tanh(x)), dtype=np.float64)


FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "celu": (
        lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0.0) / a)),
        lambda x, a: np.where(x > 0, 1.0, _exp_below(x / a)),
    ),
    "elu": (
        lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0.0))),
        lambda x, a: np.where(x > 0, 1.0, a * _exp_below(x)),
    ),
    "erf": (lambda x, _: _erf(x), lambda x, _: 2 / math.sqrt(math.pi) * np.exp(-x * x)),
    "exponential": (lambda x, _: np.exp(x), lambda x, _: np.exp(x)),
    "gelu": (lambda x, _: x * _normal_cdf(x), lambda x, _: _normal_cdf(x) + x * _normal_pdf(x)),
    "gelu_tanh": (lambda x, _: x * _sigmoid(_gelu_inner(x)), _d_gelu_tanh),
    "hard_shrink": (lambda x, _: np.where(np.abs(x) > 0.5, x, 0.0), lambda x, _: (np.abs(x) > 0.5).astype(np.float64)),
    "hard_sigmoid": (lambda x, _: np.clip(x / 6 + 0.5, 0, 1), lambda x, _: (np.abs(x) < 3) / 6.0),
    "hard_silu": (
        lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda x, _: np.where(np.abs(x) < 3, x / 3 + 0.5, _step(x)),
    ),
    "hard_tanh": (lambda x, _: np.clip(x, -1, 1), lambda x, _: (np.abs(x) < 1).astype(np.float64)),
    "leaky_relu": (lambda x, a: np.where(x > 0, x, a * x), lambda x, a: np.where(x > 0, 1.0, a)),
    "linear": (lambda x, _: x, lambda x, _: np.ones_like(x)),
    "log_sigmoid": (lambda x, _: -_softplus(-x), lambda x, _: _sigmoid(-x)),
    "mish": (lambda x, _: x * np.tanh(_softplus(x)), _d_mish),
    "relu": (lambda x, _: np.maximum(x, 0.0), lambda x, _: _step(x)),
    "relu6": (lambda x, _: np.clip(x, 0, 6), lambda x, _: ((x > 0) & (x < 6)).astype(np.float64)),
    "selu": (
        lambda x, _: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0.0))),
        lambda x, _: _SELU_SCALE * np.where(x > 0, 1.0, _SELU_ALPHA * _exp_below(x)),
    ),
    "sigmoid": (lambda x, _: _sigmoid(x), lambda x, _: _sigmoid(x) * _sigmoid(-x)),
    "silu": (lambda x, _: x * _sigmoid(x), lambda x, _: _sigmoid(x) * (1 + x * _sigmoid(-x))),
    "soft_shrink": (
        lambda x, a: np.sign(x) * np.maximum(np.abs(x) - a, 0.0),
        lambda x, a: (np.abs(x) > a).astype(np.float64),
    ),
    "softplus": (lambda x, _: _softplus(x), lambda x, _: _sigmoid(x)),
    "softsign": (lambda x, _: x / (1 + np.abs(x)), lambda x, _: 1 / (1 + np.abs(x)) ** 2),
    "sparse_plus": (
        lambda x, _: np.where(x > 1, x, np.square(np.clip(x + 1, 0.0, 2.0)) / 4),
        lambda x, _: np.clip((x + 1) / 2, 0, 1),
    ),
    "sparse_sigmoid": (lambda x, _: np.clip((x + 1) / 2, 0, 1), lambda x, _: (np.abs(x) < 1) / 2.0),
    "squareplus": (lambda x, _: _squareplus(x), lambda x, _: _squareplus(x) / np.hypot(x, 2.0)),
    "tanh": (lambda x, _: np.tanh(x), lambda x, _: _sech_squared(x)),
    "tanh_shrink": (lambda x, _: _tanh_shrink(x), lambda x, _: np.square(np.tanh(x))),
}
"""name -> (f, f'), called with (x, parameter): see DEFAULT_PARAMETER. Where f jumps, f' is that beside the jump."""

DEFAULT_PARAMETER = {"celu": 1.0, "elu": 1.0, "leaky_relu": 0.2, "soft_shrink": 0.5}
"""Of those that have one: slope of leaky_relu, alpha of elu and celu, threshold of soft_shrink."""
ZERO_BELOW = frozenset({"relu", "relu6"})
"""Activations whose output and derivative vanish together on a half line: a unit there is dead."""

GRID: Array = np.concatenate([np.linspace(-7.31, 7.29, 74), [-0.01, 0.01]])
"""The points at which an adapter evaluates an unknown activation for `recognise`: none where one of them jumps."""
_LAST = int(np.argmax(GRID))


def value(name: str, x: Array, parameter: float | None = None) -> Array:
    """Return f(x) in float64, same shape as x. Raise KeyError for an unknown name."""
    return np.asarray(FUNCTIONS[name][0](x, _parameter(name, parameter)), dtype=np.float64)


def derivative(name: str, x: Array, parameter: float | None = None) -> Array:
    """Return f'(x) in float64, same shape as x (0 at the kink of relu). Raise KeyError for an unknown name."""
    return np.asarray(FUNCTIONS[name][1](x, _parameter(name, parameter)), dtype=np.float64)


def recognise(values: Array) -> tuple[str, float | None]:
    """Return (name, parameter) of the activation whose values on GRID are these, or ("other", None).

    values: shape of GRID, at least float32 precision. Relative tolerance 1e-4 of the largest value on the grid.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != GRID.shape or not np.all(np.isfinite(values)):
        return "other", None
    for name in sorted(FUNCTIONS, key=_generality):
        parameter = _estimate(name, values)
        expected = value(name, GRID, parameter)
        if np.all(np.abs(values - expected) <= 1e-4 * np.maximum(np.abs(expected), 1e-2)):
            return name, parameter
    return "other", None


def _parameter(name: str, parameter: float | None) -> float:
    return DEFAULT_PARAMETER.get(name, 0.0) if parameter is None else parameter


def _generality(name: str) -> tuple[bool, bool, str]:
    """Order the plain ones first; a celu of alpha 1 is an elu."""
    return name in DEFAULT_PARAMETER, name == "celu", name


def _estimate(name: str, values: Array) -> float | None:
    first, last = float(values[0]), float(values[_LAST])
    match name:
        case "leaky_relu":
            return round(first / float(GRID[0]), 6)
        case "elu":
            return round(first / math.expm1(float(GRID[0])), 6)
        case "soft_shrink":
            return round(float(GRID[_LAST]) - last, 6)
        case "celu":
            return _alpha_of_celu(-first)
    return None


def _alpha_of_celu(below: float) -> float:
    """Return alpha where alpha (1 - exp(x / alpha)), rising with alpha, is `below` at the grid's first x."""
    low, high = 1e-3, 1e3
    for _ in range(60):
        alpha = (low + high) / 2
        low, high = (alpha, high) if -alpha * math.expm1(float(GRID[0]) / alpha) < below else (low, alpha)
    return round(high, 6)
