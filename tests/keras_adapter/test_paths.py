"""A weight to which no path leads from the loss is told from one whose gradient is small, or zero."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from unvanish.keras.probe import probe

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
L = keras.layers
BACKEND = keras.backend.backend()


def batch():
    r = np.random.default_rng(0)
    return r.random((8, 4), dtype="float32"), r.random((8, 3), dtype="float32"), None


def crossing(**compiling):
    """Return a model with a branch behind stop_gradient, and a dead one, whose gradient is zero by its values."""
    inputs = keras.Input((4,))
    low = keras.initializers.Constant(-9.0)
    cut = L.Lambda(keras.ops.stop_gradient)(L.Dense(3, name="cut")(inputs))
    dead = L.Dense(3, "relu", bias_initializer=low, name="dead")(inputs)
    model = keras.Model(inputs, L.Add()([L.Dense(3, name="used")(inputs), cut, dead]))
    model.compile("sgd", "mse", **compiling)
    return model


def test_no_path_is_not_a_zero_gradient():
    model = crossing()
    profile = probe(model, [batch(), batch()], 0)
    assert [profile.layer(name).reached for name in ("used", "cut", "dead")] == [True, False, True]
    assert profile.unreached == tuple(v.path for v in model.get_layer("cut").trainable_variables)
    assert profile.layer("cut").gradient_norm == profile.layer("dead").gradient_norm == 0
    assert profile.layer("used").gradient_norm > 0


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_paths_through_recurrent_layers_are_found(activation):
    model = keras.Sequential([keras.Input((5, 4)), L.LSTM(3, activation), L.Dropout(0.2), L.Dense(3)])
    model.compile("sgd", "mse")
    x, y, _ = batch()
    profile = probe(model, [(np.stack([x] * 5, axis=1), y, None)], 0)
    assert profile.unreached == ()
    assert all(layer.reached for layer in profile.layers if layer.gradient_norm is not None)


def test_what_is_not_known_is_said_to_be_unknown():
    profile = probe(crossing(run_eagerly=True), [batch()], 0)
    known = BACKEND != "jax"  # which would have to trace what is not to be traced
    assert profile.layer("used").reached is (True if known else None)
    assert bool(profile.unreached) is known
