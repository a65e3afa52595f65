"""Every activation that Keras ships is known by what it computes, or named as not modelled: a new one fails here."""

import keras
import pytest

import unvanish
from unvanish.core.activations import FUNCTIONS
from unvanish.keras.describe import describe

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
NO_FUNCTIONS = {"deserialize", "get", "serialize"}
NOT_ELEMENTWISE = {"glu", "log_softmax", "softmax", "sparsemax"}
SHIPPED = sorted(name for name in dir(keras.activations) if not name.startswith("_") and name not in NO_FUNCTIONS)
SYNONYMS = {"celu": "elu", "hard_swish": "hard_silu", "swish": "silu"}
"""A celu of alpha 1 is an elu."""


def applying(function):
    layers = [keras.Input((6,)), keras.layers.Dense(8, name="kernel"), keras.layers.Activation(function, name="bent")]
    return keras.Sequential([*layers, keras.layers.Dense(1, name="head")])


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "threshold"])
def test_each_is_recognised_or_named(name):
    model = applying(getattr(keras.activations, name))
    found = describe(model).layer("bent").activation
    if name in NOT_ELEMENTWISE:
        assert found not in FUNCTIONS
        assert unvanish.forecast(model).not_modelled == ("bent",)
    else:
        assert found == SYNONYMS.get(name, name)
        assert unvanish.forecast(model).not_modelled == ()


@pytest.mark.parametrize(("threshold", "instead", "expected"), [(0.0, 0.0, "relu"), (0.3, 0.1, "other")])
def test_a_threshold_has_no_default_and_is_known_where_it_is_a_relu(threshold, instead, expected):
    model = applying(lambda x: keras.activations.threshold(x, threshold, instead))
    assert describe(model).layer("bent").activation in (expected, "linear")
    assert unvanish.forecast(model).not_modelled == (() if expected == "relu" else ("bent",))


def test_the_parameter_is_found():
    for name, argument, parameter in (("celu", "alpha", 0.6), ("elu", "alpha", 1.4), ("soft_shrink", "threshold", 0.2)):
        layer = describe(
            applying(lambda x, n=name, a=argument, p=parameter: getattr(keras.activations, n)(x, **{a: p}))
        )
        found = layer.layer("bent")
        assert (found.activation, found.activation_parameter) == (name, pytest.approx(parameter, rel=1e-4, abs=0))
