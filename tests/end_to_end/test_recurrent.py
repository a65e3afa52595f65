"""Recurrent networks end to end: what explodes through time explodes, and what learns is healthy."""

import keras
import numpy as np
import pytest
from looking import look

pytestmark = pytest.mark.keras
L = keras.layers


def looked(layer, steps):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, steps, 3)).astype("float32")
    y = (x[:, -1, 0] > 0).astype(int)[:, None]
    model = keras.Sequential([keras.Input((steps, 3)), layer, L.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return look(model, x, y, epochs=3)


def test_a_recurrent_kernel_of_twice_the_critical_gain_explodes():
    layer = L.SimpleRNN(32, activation="relu", recurrent_initializer=keras.initializers.Orthogonal(2.0))
    diagnosis = looked(layer, 60)
    assert diagnosis.verdict == "exploding"
    assert "GF702" in [finding.code for finding in diagnosis.findings]
    (profile,) = diagnosis.observation.profiles[0].through_time
    assert profile.cell == "rnn"
    assert profile.log10_gradient[0] - profile.log10_gradient[-1] > 5


@pytest.mark.parametrize("layer", [L.LSTM(32), L.GRU(32), L.Bidirectional(L.LSTM(8))])
def test_what_learns_is_healthy(layer):
    assert looked(layer, 12).verdict == "healthy"
