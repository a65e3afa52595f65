"""Every number of a probe against float64 numpy backpropagation of the same weights and batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

import numpy as np  # noqa: E402
from reference_model import expected_loss, expected_profile  # noqa: E402

from unvanish.core.profile import LayerProfile  # noqa: E402
from unvanish.keras.probe import probe  # noqa: E402

layers = keras.layers
Dense = layers.Dense
COUNTS = ("gradient_nonfinite", "output_nonfinite")
NUMBERS = tuple(name for name in LayerProfile.__struct_fields__ if name not in ("name", *COUNTS))

BINARY, CLASSES, SPARSE = "binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"
SQUARED, ABSOLUTE = "mean_squared_error", "mean_absolute_error"


BACKEND = keras.backend.backend()
AVERAGED = (2, 2, "valid") if BACKEND == "torch" else (3, 2, "same")
"""Keras 3.15 on torch counts the zeros of an uneven padding into the average; the reference does as TensorFlow does."""


def chain(shape: tuple[int, ...], *parts: Any) -> Any:
    return keras.Sequential([keras.Input(shape), *parts])


def tutorial() -> Any:
    return chain((20,), *(Dense(64, "sigmoid") for _ in range(11)), Dense(1, "sigmoid"))


def improved() -> Any:
    block = [layer for _ in range(11) for layer in (Dense(64), layers.ReLU(), layers.BatchNormalization())]
    return chain((20,), *block, Dense(1, "sigmoid"))


def head(activation: str) -> Any:
    return chain((8,), Dense(12, "tanh"), Dense(3, activation))


def norm_before(norm: Any, activation: str) -> Any:
    block = [layer for _ in range(6) for layer in (Dense(24), norm(), layers.Activation(activation))]
    return chain((12,), *block, Dense(3, "softmax"))


def norm_after(norm: Any, activation: str) -> Any:
    block = [layer for _ in range(6) for layer in (Dense(24, activation), norm())]
    return chain((12,), *block, Dense(3, "softmax"))


def deep(depth: int, width: int) -> Any:
    return chain((8,), *(Dense(width, "sigmoid") for _ in range(depth)), Dense(1, "sigmoid"))


def growing() -> Any:
    init = keras.initializers.RandomNormal(stddev=3.0)
    return chain((8,), *(Dense(32, "relu", kernel_initializer=init) for _ in range(12)), Dense(1))


def residual() -> Any:
    """Return blocks that add to the stem, by the layer and by `+`, one of them read twice more."""
    x = keras.Input((10,))
    h = first = Dense(16, "tanh")(x)
    for i in range(4):
        branch = Dense(16, "relu")(h)
        branch = layers.BatchNormalization()(Dense(16)(branch))
        h = layers.Add()([h, branch]) if i % 2 else h + branch
    h = layers.Add()([h, first, layers.Dropout(0.0)(first)])
    return keras.Model(x, Dense(3, "softmax")(layers.LayerNormalization()(h)))


def convolutions() -> Any:
    return chain(
        (9, 8, 3),
        layers.Conv2D(6, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(2),
        layers.Conv2D(8, (2, 3), strides=(1, 2), padding="same", activation="gelu"),
        layers.AveragePooling2D(*AVERAGED),
        layers.LayerNormalization(),
        layers.Conv2D(5, (2, 1), activation="tanh"),
        layers.Flatten(),
        Dense(4, "relu"),
        Dense(3),
        layers.Softmax(),
    )


def overlapping_pools() -> Any:
    return chain(
        (10, 10, 2),
        layers.Conv2D(4, 3, activation="silu"),
        layers.MaxPooling2D(3, 2, "same"),
        layers.Conv2D(4, 2, activation="silu"),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Flatten(),
        Dense(1),
    )


def line() -> Any:
    return chain(
        (17, 3),
        layers.Conv1D(8, 4, strides=2, padding="same", activation="elu"),
        layers.BatchNormalization(scale=False),
        layers.Conv1D(8, 3, activation="relu"),
        layers.MaxPooling1D(2, padding="same"),
        Dense(6, "leaky_relu"),
        layers.GlobalMaxPooling1D(),
        Dense(1),
    )


BOUNDED = ["hard_sigmoid", "hard_tanh", "relu6", "sigmoid", "softsign", "tanh"]
UNBOUNDED = ["elu", "gelu", "hard_silu", "leaky_relu", "linear", "mish", "relu", "selu", "silu", "softplus"]


def activations_by_name() -> Any:
    return chain((12,), *(Dense(20, name) for name in BOUNDED + UNBOUNDED), Dense(2))


def activation_layers() -> Any:
    kinds = [layers.ReLU(), layers.ReLU(max_value=6), layers.LeakyReLU(negative_slope=0.1), layers.ELU(alpha=0.5)]
    kinds += [layers.Activation("tanh"), layers.Activation("mish")]
    return chain(
        (12,), *(layer for kind in kinds for layer in (Dense(20), kind)), Dense(1), layers.Activation("sigmoid")
    )


def shared() -> Any:
    x, side = keras.Input((6,)), keras.Input((4,))
    twice = Dense(8, "tanh")
    h = twice(layers.Add()([Dense(8, "silu")(x), Dense(8)(side)]))
    return keras.Model([x, side], Dense(1)(twice(h)))


def nested() -> Any:
    return chain((8,), keras.Sequential([Dense(12, "relu"), layers.BatchNormalization()]), Dense(12, "tanh"), Dense(1))


def thrice() -> Any:
    again = Dense(8, "tanh")
    return chain((8,), again, layers.BatchNormalization(), again, layers.LayerNormalization(), again, Dense(1))


def saturated() -> Any:
    wide = keras.initializers.RandomNormal(stddev=0.5)
    return chain((8,), *(Dense(40, "tanh", kernel_initializer=wide) for _ in range(2)), Dense(1, "sigmoid"))


def dying() -> Any:
    low = keras.initializers.Constant(-0.6)
    return chain((8,), *(Dense(40, "relu", bias_initializer=low) for _ in range(2)), Dense(1, "sigmoid"))


MODELS: dict[str, tuple[Any, str, int]] = {
    "activation layers": (activation_layers, BINARY, 1),
    "activations by name": (activations_by_name, ABSOLUTE, 2),
    "batch norm after": (lambda: norm_after(layers.BatchNormalization, "sigmoid"), CLASSES, 3),
    "batch norm before": (lambda: norm_before(layers.BatchNormalization, "sigmoid"), SPARSE, 3),
    "convolutions": (convolutions, CLASSES, 3),
    "deep sigmoid": (lambda: deep(50, 24), BINARY, 1),
    "dying": (dying, BINARY, 1),
    "growing": (growing, SQUARED, 1),
    "improved": (improved, BINARY, 1),
    "layer norm after": (lambda: norm_after(layers.LayerNormalization, "relu"), SPARSE, 3),
    "layer norm before": (lambda: norm_before(layers.LayerNormalization, "gelu"), CLASSES, 3),
    "line": (line, SQUARED, 1),
    "mismatched binary": (lambda: head("softmax"), BINARY, 3),
    "mismatched classes": (lambda: head("sigmoid"), CLASSES, 3),
    "mismatched sparse": (lambda: head("sigmoid"), SPARSE, 3),
    "nested": (nested, SQUARED, 1),
    "overlapping pools": (overlapping_pools, SQUARED, 1),
    "probabilities of classes": (lambda: head("softplus"), CLASSES, 3),
    "probabilities of sparse classes": (lambda: head("hard_sigmoid"), SPARSE, 3),
    "probabilities": (lambda: head("hard_sigmoid"), BINARY, 3),
    "residual": (residual, SPARSE, 3),
    "saturated": (saturated, BINARY, 1),
    "shared": (shared, SQUARED, 1),
    "squared sigmoid": (lambda: head("sigmoid"), SQUARED, 3),
    "thrice": (thrice, SQUARED, 1),
    "tutorial": (tutorial, BINARY, 1),
}
FLOAT32_CONSTANTS = {"activation layers", "activations by name", "convolutions", "layer norm before", "line"}
"""Models with gelu or leaky_relu: TensorFlow keeps a constant of each in float32, whatever it computes in."""


FLOAT32 = 1e-4
"""How well a float32 pass agrees with the float64 reference."""

SLOW = {"deep sigmoid", "improved"}
"""Models that show nothing in float64 that the others do not."""


def draw(model: Any, loss: str, outputs: int, seed: int) -> tuple[Any, Any]:
    r = np.random.default_rng(seed)
    inputs = [r.random((32, *tensor.shape[1:]), dtype="float32") for tensor in model.inputs]
    x = inputs[0] if len(inputs) == 1 else inputs
    if loss == SPARSE:
        return x, r.integers(0, outputs, 32)
    if loss == CLASSES:
        return x, np.eye(outputs, dtype="float32")[r.integers(0, outputs, 32)]
    if loss == BINARY:
        return x, r.integers(0, 2, (32, outputs)).astype("float32")
    return x, r.normal(size=(32, outputs)).astype("float32")


def by_name(model: Any, x: Any) -> Any:
    names = [tensor._keras_history.operation.name for tensor in model.inputs]
    return dict(zip(names, x, strict=True)) if isinstance(x, list) else x


@pytest.fixture
def floats(request: pytest.FixtureRequest) -> Iterator[str]:
    """Let Keras compute everything, losses too, in floats of the parameter's width."""
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def built(name: str) -> tuple[Any, str, list[tuple[Any, Any]]]:
    """Return the model with its biases, scales and shifts moved off their starts, its loss, and two batches.

    Kernels are drawn anew, with the spread that they have: each backend would draw others from the same seed.
    """
    make, loss, outputs = MODELS[name]
    keras.utils.set_random_seed(7)
    model = make()
    r = np.random.default_rng(3)
    for variable in model.trainable_variables:
        spread = np.std(variable.numpy()) if variable.name == "kernel" else 0.1
        start = 0.0 if variable.name == "kernel" else variable.numpy()
        variable.assign(start + spread * r.normal(size=variable.shape))
    model.compile("sgd", loss)
    return model, loss, [draw(model, loss, outputs, seed) for seed in (1, 2)]


def disagreements(found: LayerProfile, expected: LayerProfile, rel: float) -> list[str]:
    """Return a line for each number that is not the expected one to the relative tolerance."""
    lines = []
    for name in NUMBERS:
        a, b = getattr(found, name), getattr(expected, name)
        near = 0.1 if name == "saturated_share" and rel == FLOAT32 else rel  # an entry on the border of saturation
        if (a is None) != (b is None) or (a is not None and a != pytest.approx(b, rel=near, abs=0)):
            lines.append(f"{found.name}.{name}: probe {a}, reference {b}")
    return lines + [f"{found.name}.{name}: {getattr(found, name)}" for name in COUNTS if getattr(found, name)]


def test_the_comparison_can_fail() -> None:
    tiny = LayerProfile(name="a", gradient_norm=1e-30)
    off = LayerProfile(name="a", gradient_norm=1.0002e-30)
    assert disagreements(off, tiny, FLOAT32) == ["a.gradient_norm: probe 1.0002e-30, reference 1e-30"]
    assert disagreements(LayerProfile(name="a"), tiny, FLOAT32) == ["a.gradient_norm: probe None, reference 1e-30"]
    assert disagreements(LayerProfile(name="a", gradient_nonfinite=2), LayerProfile(name="a"), FLOAT32)
    assert not disagreements(tiny, tiny, 1e-15)


ON_JAX = {"convolutions", "dying", "mismatched binary", "nested", "residual", "saturated", "shared", "tutorial"}
"""Models that are compared on JAX: compiling each takes seconds, and the others show little more."""


@pytest.mark.every_backend
@pytest.mark.parametrize(
    ("name", "floats"),
    [
        pytest.param(name, "float32", marks=[pytest.mark.soak] if BACKEND == "jax" and name not in ON_JAX else [])
        for name in MODELS
    ]
    + [(name, "float64") for name in MODELS if name not in SLOW and BACKEND == "tensorflow"],
    indirect=["floats"],
)
def test_every_number_of_the_probe(name: str, floats: str) -> None:
    rel = FLOAT32 if floats == "float32" else 1e-7 if name in FLOAT32_CONSTANTS else 1e-9
    model, loss, batches = built(name)
    profile = probe(model, [(x, y, None) for x, y in batches], 0)
    named = [(by_name(model, x), y) for x, y in batches]
    expected = expected_profile(model, named, loss)
    assert [layer.name for layer in profile.layers] == list(expected)
    wrong = [line for layer in profile.layers for line in disagreements(layer, expected[layer.name], rel)]
    assert not wrong, "\n".join(wrong)
    assert profile.loss == pytest.approx(expected_loss(model, named, loss), rel=rel / 10, abs=0)
    assert (profile.batches, profile.batch_size, profile.dtype) == (2, 32, floats)


def test_the_models_go_where_they_should() -> None:
    """The comparison above would be worth little if no model vanished, exploded, saturated or died."""

    def of(name: str) -> list[LayerProfile]:
        model, loss, batches = built(name)
        return list(expected_profile(model, [(by_name(model, x), y) for x, y in batches], loss).values())

    assert 0 < min(layer.gradient_norm for layer in of("deep sigmoid") if layer.gradient_norm is not None) < 1e-30
    assert max(layer.gradient_norm for layer in of("growing") if layer.gradient_norm is not None) > 1e20
    assert any(0.05 < (layer.saturated_share or 0) < 1 for layer in of("saturated"))
    assert {layer.dead_share == 1 for layer in of("dying") if layer.dead_share} == {True, False}


def test_where_float32_ends_the_probe_says_exactly_zero() -> None:
    """TensorFlow flushes entries below 1e-38 to zero, so that a norm of 1e-34 is the last one it gives right."""
    keras.utils.set_random_seed(7)
    model = deep(75, 16)
    model.compile("sgd", BINARY)
    x, y = draw(model, BINARY, 1, 1)
    expected = expected_profile(model, [(x, y)], BINARY)
    kernels = [layer for layer in probe(model, [(x, y, None)], 0).layers if layer.gradient_norm is not None]
    inside = [layer for layer in kernels if expected[layer.name].gradient_norm > 1e-33]
    assert len(inside) > 40
    for layer in inside:
        assert layer.gradient_norm == pytest.approx(expected[layer.name].gradient_norm, rel=1e-4, abs=0)
    assert 0 < expected[kernels[0].name].gradient_norm < 1e-40
    assert (kernels[0].gradient_norm, kernels[0].gradient_zero_share) == (0.0, 1.0)
