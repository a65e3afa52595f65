"""Every kind of layer: recognised by its class and what it computes, with the statistics of its own weights."""

import math

import keras
import numpy as np
import pytest
from looking import look

from unvanish.keras.describe import describe
from unvanish.keras.kinds import fans_of, kernel_of, kind_of

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
L = keras.layers


def built(layer, shape, *others):
    """Return the layer's only leaf, of a model of one input (or one for each shape)."""
    entries = [keras.Input(each) for each in (shape, *others)]
    model = keras.Model(entries, layer(entries if others else entries[0]))
    return next(found for found in describe(model).layers if found.name == layer.name)


SEQUENCE, IMAGE, ROW = (7, 5), (8, 8, 3), (6,)


@pytest.mark.parametrize(
    ("layer", "shape", "kind"),
    [
        (L.SimpleRNN(4), SEQUENCE, "recurrent"),
        (L.LSTM(4), SEQUENCE, "recurrent"),
        (L.GRU(4, return_sequences=True), SEQUENCE, "recurrent"),
        (L.RNN(L.LSTMCell(4)), SEQUENCE, "recurrent"),
        (L.RNN([L.LSTMCell(4), L.GRUCell(3)]), SEQUENCE, "recurrent"),
        (L.ConvLSTM1D(4, 3), (5, 6, 2), "recurrent"),
        (L.Embedding(9, 4), (7,), "embedding"),
        (L.GroupNormalization(groups=3), IMAGE, "group_norm"),
        (L.RMSNormalization(), ROW, "rms_norm"),
        (L.LayerNormalization(), ROW, "layer_norm"),
        (L.UnitNormalization(), ROW, "other"),
        (L.SpectralNormalization(L.Dense(4)), ROW, "other"),
        (L.TimeDistributed(L.Dense(4)), SEQUENCE, "dense"),
        (L.TimeDistributed(L.Dense(4, "tanh")), SEQUENCE, "other"),
        (L.TimeDistributed(L.Conv1D(2, 3)), (4, 6, 2), "other"),
        (L.DepthwiseConv2D(3), IMAGE, "other"),
        (L.SeparableConv2D(4, 3), IMAGE, "other"),
        (L.Conv2DTranspose(4, 3, strides=2), IMAGE, "other"),
        (L.EinsumDense("abc,cd->abd", (None, 4)), SEQUENCE, "dense"),
        (L.EinsumDense("...x,xy->...y", 4), ROW, "dense"),
        (L.EinsumDense("abc,cde->abde", (None, 2, 3)), SEQUENCE, "other"),
        (L.PReLU(), ROW, "activation"),
        (L.Permute((2, 1)), SEQUENCE, "other"),
        (L.ZeroPadding2D(1), IMAGE, "other"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, L.Layer) else None,
)
def test_one_input(layer, shape, kind):
    found = built(layer, shape)
    assert found.kind == kind
    assert found.parameters == layer.count_params()
    assert found.type.partition("(")[0] == type(layer).__name__


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (L.Concatenate(), "concatenate"),
        (L.Multiply(), "multiply"),
        (L.Add(), "add"),
        (L.Average(), "other"),
        (L.Subtract(), "other"),
        (L.Attention(), "attention"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, L.Layer) else None,
)
def test_two_inputs(layer, kind):
    assert built(layer, SEQUENCE, SEQUENCE).kind == kind


def test_attention_with_heads():
    entry = keras.Input(SEQUENCE)
    layer = L.MultiHeadAttention(2, 3, name="heads")
    network = describe(keras.Model(entry, layer(entry, entry)))
    assert network.layer("heads").kind == "attention"
    assert network.layer("heads").parameters == layer.count_params() == 4 * 5 * 6 + 3 * 6 + 5
    assert {p.layer for p in network.parameters} == {"heads"}


@pytest.mark.parametrize("kind", [L.SimpleRNN, L.LSTM, L.GRU])
def test_a_recurrent_layer_has_two_kernels(kind):
    layer = kind(4, recurrent_initializer=keras.initializers.Orthogonal(0.5))
    found = built(layer, SEQUENCE)
    cell = layer.cell
    for stats, variable in ((found.kernel, cell.kernel), (found.recurrent_kernel, cell.recurrent_kernel)):
        array = np.asarray(variable, dtype=np.float64)
        assert (stats.mean, stats.variance) == pytest.approx((array.mean(), array.var()), rel=1e-5, abs=0)
    assert found.recurrent_kernel.orthogonal
    assert (found.units, found.fan_in) == (4, 5)
    assert found.distinct_units is None


def test_a_bidirectional_is_its_two_layers_and_what_joins_them():
    entry = keras.Input(SEQUENCE)
    for mode, kind in (("concat", "concatenate"), ("sum", "add"), ("mul", "multiply"), ("ave", "other")):
        layer = L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode=mode, name=f"both_{mode}")
        network = describe(keras.Model(entry, L.Dense(1, name="head")(layer(entry))))
        names = tuple(f"both_{mode}/{part.name}" for part in (layer.forward_layer, layer.backward_layer))
        assert [network.layer(name).kind for name in names] == ["recurrent"] * 2
        assert network.layer(f"both_{mode}").kind == kind
        assert network.sources(f"both_{mode}") == names
        assert network.sources("head") == (f"both_{mode}",)
        assert {p.layer for p in network.parameters} == {*names, "head"}


@pytest.mark.parametrize(
    ("layer", "shape", "fans"),
    [
        (L.DepthwiseConv2D(3, depth_multiplier=2), IMAGE, (9, 18)),
        (L.SeparableConv2D(4, 3, depth_multiplier=2), IMAGE, (6, 4)),
        (L.Conv2DTranspose(4, 3, strides=1), IMAGE, (27, 36)),
        (L.Conv1DTranspose(4, 4, strides=2), (8, 3), (6, 16)),
        (L.EinsumDense("abc,cde->abde", (None, 2, 3)), SEQUENCE, (5, 6)),
        (L.EinsumDense("abc,bcd->ad", 4), SEQUENCE, (35, 4)),
        (L.TimeDistributed(L.Dense(4)), SEQUENCE, (5, 4)),
        (L.SpectralNormalization(L.Conv1D(4, 3)), SEQUENCE, (15, 12)),
        (L.LSTM(4), SEQUENCE, (5, 16)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, L.Layer) else None,
)
def test_fans(layer, shape, fans):
    """By hand: over how many inputs a unit sums, and how many units one input reaches."""
    found = built(layer, shape)
    assert (found.fan_in, found.fan_out) == fans == tuple(fans_of(layer))
    assert found.kernel.size == math.prod(kernel_of(layer).shape)


def test_a_fan_is_the_gain_of_white_noise():
    """Second source: q_out = fan_in Var(w) q_in, on white noise of unit variance."""
    rng = np.random.default_rng(0)
    cases = (
        (L.DepthwiseConv2D(3, depthwise_initializer="random_normal"), (16, 12, 12, 64)),
        (L.Conv1DTranspose(32, 4, strides=2, kernel_initializer="random_normal"), (16, 64, 48)),
        (L.EinsumDense("abc,bcd->ad", 64, kernel_initializer="random_normal"), (64, 8, 16)),
    )
    for layer, shape in cases:
        x = rng.normal(size=shape).astype("float32")
        out = np.asarray(keras.ops.convert_to_numpy(layer(x)), dtype=np.float64)
        inner = out[:, 4:-4] if out.ndim == 3 else out
        kernel = np.asarray(keras.ops.convert_to_numpy(kernel_of(layer)), dtype=np.float64)
        expected = fans_of(layer).fan_in * np.mean(kernel**2)
        assert np.mean(inner**2) == pytest.approx(expected, rel=0.1, abs=0), layer.name


def test_a_prelu_is_leaky_while_its_slopes_are_one():
    layer = L.PReLU(alpha_initializer=keras.initializers.Constant(0.3))
    found = built(layer, ROW)
    assert (found.activation, found.activation_parameter) == ("leaky_relu", pytest.approx(0.3, rel=1e-6, abs=0))
    layer.alpha.assign(np.arange(6.0))
    assert kind_of(layer) == "activation"
    assert built(layer, ROW).activation == "other"


def test_a_subclass_that_computes_something_else_is_other():
    class Mine(L.LSTM):
        def call(self, sequences, initial_state=None, mask=None, training=False):
            return 2 * super().call(sequences, initial_state, mask, training)

    class Renamed(L.LSTM):
        pass

    assert built(Mine(3), SEQUENCE).kind == "other"
    assert built(Renamed(3), SEQUENCE).kind == "recurrent"


def test_distinct_units():
    same = L.Dense(6, kernel_initializer="ones")
    assert built(same, ROW).distinct_units == 1
    assert built(L.Dense(6), ROW).distinct_units == 6
    assert built(L.Conv2D(5, 3, kernel_initializer="zeros"), IMAGE).distinct_units == 1
    two = L.Dense(4, kernel_initializer="zeros")
    built(two, ROW)
    two.bias.assign([0.0, 1.0, 0.0, 1.0])
    assert built(two, ROW).distinct_units == 2


ON_JAX = keras.backend.backend() == "jax"  # which compiles everything for half a minute


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param(3, marks=[pytest.mark.soak] if ON_JAX else []),
        pytest.param(1, marks=[] if ON_JAX else [pytest.mark.soak]),
    ],
)
def test_every_parameter_of_everything_is_accounted_for(cells):
    entry = keras.Input((7,))
    h = L.Embedding(20, 6, name="words", mask_zero=True)(entry)
    if cells == 3:
        h = L.Bidirectional(L.LSTM(3, return_sequences=True))(h)
        h = L.LayerNormalization()(L.MultiHeadAttention(2, 3)(h, h) + h)
    h = L.TimeDistributed(L.Dense(4, "relu"))(h)
    h = L.BatchNormalization()(L.GRU(5)(h))
    model = keras.Model(entry, L.Dense(1, "sigmoid")(h))
    model.get_layer("words").trainable = False
    model.compile("adam", "binary_crossentropy")
    rng = np.random.default_rng(0)
    seen = look(model, rng.integers(0, 20, (64, 7)), rng.integers(0, 2, (64, 1)), epochs=2)
    network = seen.network
    assert [p.name for p in network.parameters] == [w.path for w in model.weights]
    assert [p.shape for p in network.parameters] == [tuple(w.shape) for w in model.weights]
    assert sum(p.size for p in network.parameters) == model.count_params()
    assert all(p.layer for p in network.parameters)
    trained = {w.path for w in model.trainable_weights}
    assert {p.name for p in network.parameters if p.trainable} == trained
    assert {p.name for p in network.parameters if p.optimised} == trained
    assert len(seen.observation.profiles[0].through_time) == cells
    skipped = [words.split(" ")[0] for words in seen.observation.not_checked]
    assert set(skipped) == set(network.not_modelled)
