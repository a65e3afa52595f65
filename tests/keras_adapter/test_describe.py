"""A Keras model read as data: what it computes counts, never what it is called."""

import math
import sys
from functools import partial

import pytest

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from unvanish.errors import UnsupportedError  # noqa: E402
from unvanish.keras.describe import describe  # noqa: E402

layers = keras.layers


def stack(*parts, shape=(20,)):
    return keras.Sequential([keras.Input(shape), *parts])


def only(model, kind="dense"):
    return next(layer for layer in describe(model).layers if layer.kind == kind)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("sigmoid", "sigmoid"),
        (keras.activations.sigmoid, "sigmoid"),
        (tf.nn.sigmoid, "sigmoid"),
        (lambda x: 1 / (1 + keras.ops.exp(-x)), "sigmoid"),
        ("swish", "silu"),
        ("silu", "silu"),
        (tf.nn.relu, "relu"),
        (lambda x: keras.ops.maximum(x, 0.0), "relu"),
        ("gelu", "gelu"),
        (lambda x: keras.activations.gelu(x, approximate=True), "gelu_tanh"),
        ("softmax", "softmax"),
        (None, "linear"),
        ("linear", "linear"),
        (lambda x: keras.ops.sin(x), "other"),
    ],
)
def test_an_activation_is_known_by_what_it_computes(given, name):
    assert only(stack(layers.Dense(4, activation=given))).activation == name


@pytest.mark.parametrize(
    ("layer", "name", "parameter"),
    [
        (layers.LeakyReLU(negative_slope=0.1), "leaky_relu", 0.1),
        (layers.ELU(alpha=0.5), "elu", 0.5),
        (layers.ReLU(), "relu", None),
        (layers.ReLU(max_value=6.0), "relu6", None),
        (layers.Activation("tanh"), "tanh", None),
        (layers.Softmax(), "softmax", None),
    ],
)
def test_an_activation_layer_too(layer, name, parameter):
    found = only(stack(layers.Dense(4), layer), "activation")
    assert found.activation == name
    assert found.activation_parameter == (None if parameter is None else pytest.approx(parameter, rel=1e-6, abs=0))


def test_a_subclass_is_its_parent_unless_it_computes_something_else():
    class Renamed(layers.Dense):
        pass

    class Doubled(layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    assert [layer.kind for layer in describe(stack(Renamed(4), Doubled(4))).layers] == ["input", "dense", "other"]


def test_weight_moments_and_fans():
    model = stack(layers.Conv2D(6, 3, bias_initializer="ones"), shape=(8, 8, 5))
    conv = only(model, "conv")
    kernel = np.asarray(model.layers[0].kernel, dtype=np.float64)
    assert (conv.fan_in, conv.fan_out, conv.units) == (45, 54, 6)
    assert conv.kernel.mean == pytest.approx(kernel.mean(), rel=1e-6, abs=0)
    assert conv.kernel.variance == pytest.approx(kernel.var(), rel=1e-6, abs=0)
    assert (conv.bias.mean, conv.bias.variance) == (1.0, 0.0)


@pytest.mark.parametrize(("init", "known"), [("orthogonal", True), ("glorot_normal", False), ("zeros", False)])
@pytest.mark.parametrize("units", [20, 7, 50])
def test_orthogonal_kernels_are_recognised(init, known, units):
    assert only(stack(layers.Dense(units, kernel_initializer=init))).kernel.orthogonal is known


def test_a_constant_kernel_has_no_variance():
    kernel = only(stack(layers.Dense(8, kernel_initializer=keras.initializers.Constant(0.01)))).kernel
    assert kernel.variance == 0.0
    assert kernel.mean == pytest.approx(0.01, rel=1e-6, abs=0)


def test_edges_of_residual_nested_and_shared_layers():
    inputs = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    h = shared(inputs)
    block = keras.Sequential([layers.Dense(4, name="inner")], name="block")
    h = layers.Add(name="join")([h, block(h)])
    h = shared(h) + inputs
    model = keras.Model(inputs, layers.Dense(1, name="out")(h))
    network = describe(model)
    assert [layer.name for layer in network.layers if layer.kind != "input"] == [
        "shared",
        "block/inner",
        "join",
        "shared:2",
        network.layers[-2].name,
        "out",
    ]
    assert network.sources("join") == ("shared", "block/inner")
    assert network.sources("block/inner") == ("shared",)
    assert network.sources("shared:2") == ("join",)
    assert network.layers[-2].kind == "add"
    assert network.sources(network.layers[-2].name) == ("shared:2", network.layers[0].name)
    assert network.outputs == ("out",)


def test_normalisation_and_dropout_keep_their_numbers():
    model = stack(layers.Dense(4), layers.BatchNormalization(momentum=0.9, epsilon=0.01), layers.Dropout(0.25))
    norm, dropout = only(model, "batch_norm"), only(model, "dropout")
    assert (norm.momentum, norm.epsilon, norm.scale.mean, norm.shift.mean) == (0.9, 0.01, 1.0, 0.0)
    assert dropout.keep == 0.75


def test_what_is_not_modelled_is_named():
    model = stack(layers.Dense(4), layers.GaussianNoise(0.1, name="noise"), layers.UnitNormalization(name="unit"))
    assert describe(model).not_modelled == ("noise", "unit")


def test_a_subclassed_model_is_refused_in_four_parts():
    class Net(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UnsupportedError, match="no static graph") as caught:
        describe(Net(name="net"))
    assert "found:" in str(caught.value)
    assert "try:" in str(caught.value)


def test_a_thousand_layers(request):
    request.addfinalizer(partial(sys.setrecursionlimit, sys.getrecursionlimit()))
    sys.setrecursionlimit(10_000)  # Keras itself needs it to build such a model
    model = stack(*[layers.Dense(4) for _ in range(1000)], shape=(4,))
    assert len(describe(model).kernels) == 1000
    assert math.isfinite(describe(model).kernels[-1].kernel.variance)
