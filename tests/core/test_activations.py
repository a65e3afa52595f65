"""The named activations: values and slopes against independent sources, and recognition by what a function computes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from unvanish.core import activations
from unvanish.core.activations import DEFAULT_PARAMETER, FUNCTIONS, GRID, ZERO_BELOW, derivative, recognise, value
from unvanish.testing.reference import activations as reference

KINKS = np.array([-3.0, -1.0, -0.5, -0.35, 0.0, 0.35, 0.5, 1.0, 3.0, 6.0])
X = np.linspace(-9.0, 9.0, 721) + 1e-3

SCIPY = {
    "erf": special.erf,
    "exponential": np.exp,
    "gelu": lambda x: x * special.ndtr(x),
    "sigmoid": special.expit,
    "silu": lambda x: x * special.expit(x),
    "softplus": lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "log_sigmoid": special.log_expit,
    "tanh_shrink": lambda x: x - np.tanh(x),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
}


@pytest.mark.parametrize("name", sorted(SCIPY))
def test_values_equal_scipys(name):
    assert value(name, X) == pytest.approx(SCIPY[name](X), rel=1e-9, abs=0)


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - {"erf"}))
def test_values_and_slopes_equal_the_references(name):
    assert value(name, X) == pytest.approx(reference.apply(name, X), rel=1e-9, abs=0)
    assert derivative(name, X) == pytest.approx(reference.slope(name, X), rel=1e-9, abs=0)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("parameter", [None, 0.35])
def test_the_derivative_is_that_of_the_value(name, parameter):
    x = X[np.min(np.abs(X[:, None] - KINKS), axis=1) > 1e-3]
    step = 1e-5
    high, low = value(name, x + step, parameter), value(name, x - step, parameter)
    slope = (high - low) / (2 * step)
    rounding = 4 * np.finfo(float).eps * np.maximum(np.maximum(np.abs(high), np.abs(low)), np.abs(x * slope)) / step
    assert np.all(np.abs(derivative(name, x, parameter) - slope) <= 1e-6 * np.abs(slope) + rounding)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - {"exponential"}))
def test_huge_inputs_neither_overflow_nor_warn(name):
    x = np.array([-1e150, -1e4, -800.0, 800.0, 1e4, 1e150])
    with np.errstate(under="ignore", over="ignore" if name == "gelu_tanh" else "warn"):
        assert np.all(np.isfinite(value(name, x)))
        slopes = derivative(name, x)
    if name != "gelu_tanh":  # its inner cube overflows; the slope is 0 * inf there
        assert np.all(np.isfinite(slopes))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_shape_and_dtype_are_kept(name):
    x = np.linspace(-1, 1, 24, dtype=np.float64).reshape(2, 3, 4)
    before = x.copy()
    for result in (value(name, x), derivative(name, x)):
        assert result.shape == x.shape
        assert result.dtype == np.float64
    assert np.array_equal(x, before)


@pytest.mark.parametrize("name", sorted(ZERO_BELOW))
def test_what_is_zero_below_is_dead_there(name):
    x = np.array([-3.0, -1e-9, 0.0])
    assert np.all(value(name, x) == 0)
    assert np.all(derivative(name, x) == 0)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_activation_recognises_itself(name):
    found, parameter = recognise(value(name, GRID))
    assert found == ("elu" if name == "celu" else name)  # the same for alpha 1
    assert parameter == pytest.approx(DEFAULT_PARAMETER[name], rel=1e-5, abs=0) if name in DEFAULT_PARAMETER else True


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_float32_is_precise_enough(name):
    assert recognise(value(name, GRID, 0.7 if name == "celu" else None).astype(np.float32))[0] == name


@given(st.floats(0.01, 0.9))
def test_the_slope_of_a_leaky_relu_is_estimated(slope):
    name, parameter = recognise(value("leaky_relu", GRID, slope))
    assert name == "leaky_relu"
    assert parameter == pytest.approx(slope, rel=1e-4, abs=0)


@given(st.floats(0.05, 3.0).filter(lambda alpha: abs(alpha - 1) > 1e-3))
def test_the_alpha_of_an_elu_is_estimated(alpha):
    name, parameter = recognise(value("elu", GRID, alpha))
    assert name == "elu"
    assert parameter == pytest.approx(alpha, rel=2e-5, abs=0)


@given(st.floats(0.05, 3.0).filter(lambda alpha: abs(alpha - 1) > 1e-3))
def test_the_alpha_of_a_celu_is_estimated(alpha):
    name, parameter = recognise(value("celu", GRID, alpha))
    assert name == "celu"
    assert parameter == pytest.approx(alpha, rel=2e-5, abs=0)


@given(st.floats(0.01, 5.0))
def test_the_threshold_of_a_soft_shrink_is_estimated(threshold):
    name, parameter = recognise(value("soft_shrink", GRID, threshold))
    assert name == "soft_shrink"
    assert parameter == pytest.approx(threshold, rel=1e-4, abs=0)


def test_the_parameter_is_used():
    assert value("leaky_relu", np.array([-2.0]), 0.3)[0] == pytest.approx(-0.6, rel=1e-12, abs=0)
    assert derivative("elu", np.array([-1.0]), 2.0)[0] == pytest.approx(2 * math.exp(-1), rel=1e-12, abs=0)
    assert value("leaky_relu", np.array([-2.0]))[0] == pytest.approx(-0.4, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    "values",
    [
        np.sin(GRID),
        1.001 * np.tanh(GRID),
        np.maximum(GRID, 0) ** 2,
        GRID + 1,
        np.zeros_like(GRID),
        np.full_like(GRID, np.nan),
        np.where(GRID > 0, np.inf, 0.0),
        np.tanh(GRID)[:-1],
        np.tanh(GRID).reshape(1, -1),
    ],
)
def test_anything_else_is_other(values):
    assert recognise(values) == ("other", None)


def test_a_function_is_known_by_what_it_computes_not_by_its_name():
    def relu(x):
        return np.tanh(x)

    assert recognise(relu(GRID)) == ("tanh", None)
    assert recognise(GRID / (1 + np.exp(-GRID)))[0] == "silu"


def test_an_unknown_name_is_a_key_error():
    for function in (value, derivative):
        with pytest.raises(KeyError):
            function("swoosh", GRID)


def test_the_table_is_sorted_and_complete():
    assert list(FUNCTIONS) == sorted(FUNCTIONS)
    assert set(FUNCTIONS) >= DEFAULT_PARAMETER.keys() | ZERO_BELOW
    assert activations.GRID is GRID
    assert np.any(GRID == -0.01)


@pytest.mark.parametrize("name", ["gelu", "sigmoid", "silu", "tanh"])
def test_a_saturated_unit_passes_little_not_nothing(name):
    far = {"gelu": -20.0, "sigmoid": -60.0, "silu": -60.0, "tanh": -60.0}[name]
    exact = {
        "gelu": special.ndtr(-20.0) - 20.0 * math.exp(-200.0) / math.sqrt(2 * math.pi),
        "sigmoid": math.exp(-60.0),
        "silu": -59.0 * math.exp(-60.0),
        "tanh": 4 * math.exp(-120.0),
    }[name]
    assert derivative(name, np.array([far]))[0] == pytest.approx(exact, rel=1e-9, abs=0)
