"""Edits of a Keras model are carried out on a copy; the model itself is only read."""

from statistics import NormalDist

import keras
import numpy as np
import pytest
from families import FAMILIES, L, dense, gate, inputs_of, nested, normed, outputs_of, recurrent, several

from unvanish.core.edit import AddNorm, AddResidual, Clip, Redraw, SwapActivation
from unvanish.errors import UnsupportedError, UsageError
from unvanish.keras import compat
from unvanish.keras.aside import aside
from unvanish.keras.describe import describe
from unvanish.keras.draw import carry, drawn, initialise
from unvanish.keras.recompile import new_optimizer, recompiled
from unvanish.keras.redraw import normal
from unvanish.keras.surgery import operated

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]


def cured(model, *edits, weights=True):
    """Return the edited copy, with the model's own weights where it has the layer."""
    with aside(model, 0):
        copy = operated(model, edits)
        if weights:
            carry(model, copy)
    return copy.model


def jittered(model):
    """Return the model with weights that no initializer gives: moving averages and biases too."""
    random = np.random.default_rng(1)
    for variable in model.weights:
        if "float" in str(variable.dtype):
            variable.assign(np.abs(random.normal(size=variable.shape)) * 0.3 + 0.05)
    return model


def value(variable):
    return np.array(keras.ops.convert_to_numpy(variable))


def kernel(model, name):
    return value(model.get_layer(name).kernel).astype(np.float64)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_an_edit_the_copy_computes_the_same_to_the_bit(family):
    model, x = jittered(FAMILIES[family]()), inputs_of(family)
    copy = cured(model)
    for old, new in zip(outputs_of(model, x), outputs_of(copy, x), strict=True):
        np.testing.assert_array_equal(new, old)
    assert [(w.name, w.shape) for w in copy.weights] == [(w.name, w.shape) for w in model.weights]
    assert not {id(w) for w in copy.variables} & {id(w) for w in model.variables}
    assert type(copy) is type(model)
    assert [layer.name for layer in compat.flat_layers(copy)] == [layer.name for layer in compat.flat_layers(model)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_copy_is_saved_and_loaded(family, tmp_path):
    model, x = jittered(FAMILIES[family]()), inputs_of(family)
    copy = cured(model)
    copy.save(tmp_path / "copy.keras")
    own = {"Scale": type(model.layers[-1]), "gate": gate}
    if family == "several":
        own["Scale"] = next(type(layer) for layer in model.layers if hasattr(layer, "factor"))
    if family == "recurrent":
        own = {"doubled": model.layers[-2].function}
    loaded = keras.models.load_model(tmp_path / "copy.keras", custom_objects=own)
    for old, new in zip(outputs_of(model, x), outputs_of(loaded, x), strict=True):
        np.testing.assert_array_equal(new, old)


def test_what_is_shared_is_made_once():
    model = several()
    copy = cured(model, AddNorm(layers=("shared",), kind="layer_norm", before=True), AddResidual(layers=("shared",)))
    names = [layer.name for layer in copy.layers]
    assert all(names.count(f"shared{part}") == 1 for part in ("", "_norm", "_activation", "_gain", "_residual"))
    assert len(nested().weights) == len(cured(nested()).weights)


def test_the_activation_is_another_and_everything_else_is_the_same():
    model, x = jittered(dense()), inputs_of("dense")
    copy = cured(model, SwapActivation(layers=("h0", "h2"), activation="leaky_relu", parameter=0.1))
    h = x.astype(np.float64)
    for name, function in (("h0", "leaky"), ("h1", "tanh"), ("h2", "leaky"), ("out", "sigmoid")):
        layer = model.get_layer(name)
        z = h @ kernel(model, name) + value(layer.bias).astype(np.float64)
        h = {"leaky": np.where(z > 0, z, 0.1 * z), "tanh": np.tanh(z), "sigmoid": 1 / (1 + np.exp(-z))}[function]
    assert outputs_of(copy, x)[0] == pytest.approx(h, rel=1e-5, abs=0)
    assert float(sum(copy.losses)) == pytest.approx(float(sum(model.losses)), rel=1e-6, abs=0)
    assert [layer.activation for layer in describe(copy).layers][1:] == ["leaky_relu", "tanh", "leaky_relu", "sigmoid"]


def test_activation_layers_and_plain_operations_are_exchanged_too():
    model = normed()
    assert "elu" in [layer.activation for layer in describe(cured(model, swap(model, "elu"))).layers]
    model = FAMILIES["conv"]()
    found = describe(cured(model, swap(model, "tanh", kinds=("activation", "conv"))))
    assert [layer.activation for layer in found.layers if layer.activation != "linear"] == ["tanh", "tanh"]


def swap(model, activation, kinds=("activation",)):
    layers = [layer.name for layer in describe(model).layers if layer.kind in kinds and layer.activation == "relu"]
    return SwapActivation(layers=tuple(layers), activation=activation)


@pytest.mark.parametrize("kind", ["batch_norm", "layer_norm"])
@pytest.mark.parametrize("before", [True, False])
def test_a_norm_stands_before_or_behind_the_activation(kind, before):
    found = describe(cured(dense(), AddNorm(layers=("h0", "h1"), kind=kind, before=before))).layers
    kinds = [layer.kind for layer in found if layer.name.startswith(("h0", "h1"))]
    assert kinds == (["dense", kind, "activation"] * 2 if before else ["dense", kind] * 2)
    applied = [layer.activation for layer in found if layer.name.startswith("h0")]
    assert applied == (["linear", "linear", "tanh"] if before else ["tanh", "linear"])


@pytest.mark.parametrize("before", [True, False])
def test_the_activation_may_be_a_layer_of_its_own(before):
    layers = [keras.Input((6,)), L.Dense(6, name="h"), L.ReLU(name="act"), L.Dense(1, name="out")]
    chain = keras.Sequential(layers)
    start = keras.Input((6,))
    h = start
    for layer in layers[1:]:
        h = type(layer).from_config(layer.get_config())(h)
    for model in (chain, keras.Model(start, h)):
        copy = cured(model, AddNorm(layers=("h",), kind="layer_norm", before=before))
        names = [layer.name for layer in describe(copy).layers][1:]
        assert names == (["h", "h_norm", "act", "out"] if before else ["h", "act", "h_norm", "out"])


def test_a_new_branch_is_the_identity_until_its_gain_moves():
    model, x = jittered(dense()), inputs_of("dense")
    block = keras.Sequential([keras.Input((8,)), L.Dense(8, "tanh", name="h"), L.Dense(8, name="g"), L.ReLU()])
    h = np.random.default_rng(0).normal(size=(5, 8)).astype("float32")
    np.testing.assert_array_equal(outputs_of(cured(block, AddResidual(layers=("h", "g"))), h)[0], h)

    copy = cured(model, AddResidual(layers=("h1",)))
    copy.get_layer("h1_gain").gain.assign(0.5)
    first = np.tanh(x @ kernel(model, "h0") + value(model.get_layer("h0").bias))
    branch = np.tanh(first @ kernel(model, "h1") + value(model.get_layer("h1").bias))
    part = keras.Model(copy.inputs, copy.get_layer("h1_residual").output)
    assert outputs_of(part, x)[0] == pytest.approx(first + 0.5 * branch, rel=1e-5, abs=0)


def test_orthogonal_kernels_are_orthogonal_and_their_biases_zero():
    copy = jittered(cured(dense()))
    initialise(copy, Redraw(layers=("h0", "h1", "out"), scheme="orthogonal", gain=1.5), seed=0)
    for name in ("h0", "h1", "out"):
        w = kernel(copy, name)
        gram = w @ w.T if w.shape[0] < w.shape[1] else w.T @ w
        np.testing.assert_allclose(gram, 2.25 * np.eye(len(gram)), rtol=1e-5, atol=1e-6)
        assert not np.any(value(copy.get_layer(name).bias))
    assert np.any(value(copy.get_layer("h2").bias)), "not named, not touched"


def test_centred_kernels_map_one_half_to_zero():
    copy = cured(dense())
    initialise(copy, Redraw(layers=("h1",), scheme="centred_orthogonal", gain=4.0), seed=0)
    layer = copy.get_layer("h1")
    half = np.full(8, 0.5) @ kernel(copy, "h1") + value(layer.bias).astype(np.float64)
    assert np.abs(half).max() < 1e-6 * np.abs(kernel(copy, "h1")).max() * 8
    np.testing.assert_allclose(kernel(copy, "h1") @ kernel(copy, "h1").T, 16 * np.eye(8), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("gain", "word"), [(2**0.5, "he_normal"), (1.0, "lecun_normal")])
def test_a_normal_draw_is_that_of_the_word_it_is_written_as(gain, word):
    """Second sources: the distribution function of a normal cut at two standard deviations, and Keras' own draw."""
    fan_in = 400
    mine = np.sort(normal((fan_in, 500), gain, np.random.default_rng(0), fan_in).ravel())
    theirs = np.sort(np.ravel(keras.ops.convert_to_numpy(type(keras.initializers.get(word))(seed=1)((fan_in, 500)))))
    bound = 2 * gain / fan_in**0.5 / 0.8796256610342398
    assert bound * 0.999 < np.abs(mine).max() <= bound
    assert np.abs(theirs).max() == pytest.approx(np.abs(mine).max(), rel=1e-3, abs=0)
    whole = NormalDist()
    below = [(whole.cdf(2 * w / bound) - whole.cdf(-2)) / (2 * whole.cdf(2) - 1) for w in mine[::1000]]
    assert np.max(np.abs(below - np.arange(0, mine.size, 1000) / mine.size)) < 1.63 / mine.size**0.5, "1 % of KS"
    apart = np.searchsorted(theirs, mine) / mine.size - np.arange(mine.size) / mine.size
    assert np.max(np.abs(apart)) < 1.95 * (2 / mine.size) ** 0.5, "0.1 % of KS"


def test_normal_kernels_have_the_gain_that_was_asked_for():
    wide = keras.Sequential([keras.Input((400,)), L.Dense(500, name="h"), L.Dense(1)])
    initialise(wide, Redraw(layers=("h",), scheme="normal", gain=1.2), seed=0)
    assert kernel(wide, "h").std() == pytest.approx(1.2 / np.sqrt(400), rel=0.01, abs=0)


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "softplus", "leaky_relu"])
def test_looks_linear_is_an_orthogonal_linear_map(activation):
    hidden = [L.Dense(12, activation, name=f"h{i}") for i in range(9)]
    model = keras.Sequential([keras.Input((6,)), *hidden, L.Dense(6, name="out")])
    initialise(model, Redraw(layers=(*(f"h{i}" for i in range(9)), "out"), scheme="looks_linear"), seed=0)
    linear = outputs_of(model, np.eye(6, dtype="float32"))[0]  # the rows of the linear map
    np.testing.assert_allclose(linear @ linear.T, np.eye(6), rtol=1e-4, atol=1e-5)
    x = inputs_of("dense")
    assert outputs_of(model, x)[0] == pytest.approx(x @ linear, rel=1e-3, abs=1e-5)


def test_looks_linear_goes_through_convolutions_and_flattening():
    parts = [L.Conv2D(4, 3, padding="same", activation="relu", name="c0"), L.AveragePooling2D(2)]
    parts.append(L.Conv2D(6, 3, name="c1"))
    model = keras.Sequential([keras.Input((8, 8, 1)), *parts, L.ReLU(), L.Flatten(), L.Dense(3, name="out")])
    initialise(model, Redraw(layers=("c0", "c1", "out"), scheme="looks_linear"), seed=0)
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 5, 8, 8, 1)).astype("float32")
    mixed = outputs_of(model, 2 * a - b)[0]
    assert mixed == pytest.approx(2 * outputs_of(model, a)[0] - outputs_of(model, b)[0], rel=1e-3, abs=1e-5)
    assert np.abs(mixed).max() > 0.01


def odd():
    return keras.Sequential([keras.Input((6,)), L.Dense(7, "relu", name="h"), L.Dense(1, name="out")])


def dropping():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, "relu", name="h"), L.Dropout(0.5), L.Dense(1, name="out")])


def bent():
    return keras.Sequential([keras.Input((6,)), L.Dense(8, "tanh", name="h"), L.Dense(1, name="out")])


@pytest.mark.parametrize(("made", "words"), [(odd, "odd"), (dropping, "dropout"), (bent, "tanh")])
def test_looks_linear_is_refused_where_it_is_not_linear(made, words):
    with pytest.raises(UnsupportedError, match=words):
        drawn(made(), [Redraw(layers=("h", "out"), scheme="looks_linear")], 0)


def test_looks_linear_needs_all_layers_up_to_the_output():
    model = keras.Sequential([keras.Input((6,)), L.Dense(8, "relu", name="h"), L.Dense(1, name="out")])
    with pytest.raises(UnsupportedError, match="all of them redrawn"):
        drawn(model, [Redraw(layers=("h",), scheme="looks_linear")], 0)


def test_weights_are_drawn_from_the_seed_alone():
    seeded = keras.initializers.GlorotUniform(seed=3)
    twin = [L.Dense(6, kernel_initializer=seeded) for _ in range(2)]
    frozen = L.Dense(6, trainable=False)
    model = jittered(
        keras.Sequential([keras.Input((6,)), *twin, frozen, L.BatchNormalization(), L.Dropout(0.5), L.Dense(3)])
    )
    first, again, other = drawn(model, (), 0), drawn(model, (), 0), drawn(model, (), 1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[-2], other[-2])
    assert not np.array_equal(first[0], other[0]), "a seed that the user wrote is mixed with ours"
    np.testing.assert_array_equal(first[0], first[2])  # and what he wrote twice stays the same twice
    np.testing.assert_array_equal(first[4], value(frozen.kernel))
    assert not np.array_equal(first[4], first[0])
    assert not np.any(first[1])
    np.testing.assert_array_equal(first[6], np.ones(6))
    np.testing.assert_array_equal(first[9], np.ones(6))  # moving variance: as at the start, not the user's


def test_compile_settings_are_kept():
    def own_loss(y, p):
        return keras.ops.mean((y - p) ** 2)

    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    model = dense()
    model.compile(keras.optimizers.SGD(schedule, momentum=0.5, clipvalue=3.0), own_loss, metrics=["accuracy", "mae"])
    copy = recompiled(cured(model), model, [Clip(kind="global_norm", bound=2.0)])
    assert copy.loss is own_loss
    assert isinstance(copy.optimizer, keras.optimizers.SGD)
    assert copy.optimizer is not model.optimizer
    assert (copy.optimizer.momentum, copy.optimizer.global_clipnorm, copy.optimizer.clipvalue) == (0.5, 2.0, None)
    assert model.optimizer.clipvalue == 3.0
    x = inputs_of("dense")
    copy.fit(x, np.ones((7, 1)), verbose=0)
    assert set(copy.get_metrics_result()) == {"loss", "accuracy", "mae"}


def test_clipping_goes_through_a_loss_scale():
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02), initial_scale=64.0)
    copy = new_optimizer(scaled, [Clip(kind="norm", bound=1.0)])
    assert (copy.initial_scale, copy.inner_optimizer.clipnorm) == (64.0, 1.0)
    assert float(copy.inner_optimizer.learning_rate) == pytest.approx(0.02, rel=1e-6, abs=0)
    assert scaled.inner_optimizer.clipnorm is None


def test_the_model_is_left_as_it_was():
    model = jittered(recurrent())
    weights = [value(w) for w in model.weights]
    config, calls = str(model.get_config()), [len(compat.calls_of(layer)) for layer in model.layers]
    drawn(model, [SwapActivation(layers=(describe(model).layers[-1].name,), activation="tanh")], 0)
    cured(model)
    assert str(model.get_config()) == config
    assert [len(compat.calls_of(layer)) for layer in model.layers] == calls
    assert all(np.array_equal(old, value(new)) for old, new in zip(weights, model.weights, strict=True))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.out = L.Dense(1)

    def call(self, x):
        return self.out(x)


class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


class OwnStepUnwilling(OwnStep):
    def __init__(self):
        inputs = keras.Input((6,))
        super().__init__(inputs, L.Dense(1)(inputs))


def test_a_model_that_holds_a_subclassed_one_says_so():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, Subclassed()(inputs))
    with pytest.raises(UnsupportedError, match="cannot be rebuilt") as caught:
        operated(model)
    assert "subclassed" in caught.value.found


def test_a_train_step_of_the_users_own_is_not_lost():
    inputs = keras.Input((6,))
    assert type(cured(OwnStep(inputs, L.Dense(1)(inputs)))) is OwnStep
    with pytest.raises(UnsupportedError, match="its own train_step"):
        operated(OwnStepUnwilling())


class Closed(L.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return x * self.factor


def test_what_cannot_be_done_says_what_and_why():
    model = dense()
    with pytest.raises(UsageError, match="no layer 'hidden'"):
        operated(model, [SwapActivation(layers=("hidden",), activation="relu")])
    with pytest.raises(UnsupportedError, match="no activation 'gelu_tanh'"):
        operated(model, [SwapActivation(layers=("h0",), activation="gelu_tanh")])
    with pytest.raises(UnsupportedError, match="cannot be added"):
        operated(model, [AddResidual(layers=("h0",))])
    closed = keras.Sequential([keras.Input((6,)), Closed(2.0), L.Dense(1)])
    with pytest.raises(UnsupportedError, match="cannot be made a second time"):
        operated(closed)
    inner = keras.Sequential([keras.Input((6,)), L.Dense(6, name="last")], name="inner")
    outer = keras.Sequential([keras.Input((6,)), inner, L.ReLU(), L.Dense(1)])
    with pytest.raises(UnsupportedError, match="outside of it"):
        operated(outer, [AddResidual(layers=("inner/last",))])
