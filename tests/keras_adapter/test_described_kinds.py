"""What the theory needs to know of embeddings, recurrent layers and normalisations, read from real Keras layers."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import unvanish
from unvanish.api import forecast_spec
from unvanish.keras.describe import describe

L = keras.layers
pytestmark = [pytest.mark.keras, pytest.mark.every_backend]


def chain(shape, *layers):
    entry = keras.Input(shape)
    h = entry
    for layer in layers:
        h = layer(h)
    return keras.Model(entry, L.Dense(10, "softmax")(h))


def test_groups_and_rms() -> None:
    norms = (L.GroupNormalization(4), L.GroupNormalization(-1), L.GroupNormalization(-1, scale=False))
    model = chain((6, 6, 3), L.Conv2D(8, 3), *norms, L.RMSNormalization(), L.Flatten())
    network = describe(model)
    assert [layer.groups for layer in network.layers if layer.kind == "group_norm"] == [4, 8, 8]
    assert [layer.kind for layer in network.layers].count("rms_norm") == 1
    assert unvanish.forecast(model).not_modelled == ()


@pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`")
def test_keras_own_rms_scaling_is_none() -> None:
    x = np.array([[1.0, 2.0, 3.0, 6.0]], "float32")
    layer = L.LayerNormalization(rms_scaling=True, epsilon=0.0)
    scaled = np.asarray(keras.ops.convert_to_numpy(layer(x)))
    assert scaled == pytest.approx(x / x.std(), rel=1e-5, abs=0)  # and not x / sqrt(mean of x^2)
    assert len(unvanish.forecast(chain((4,), L.Dense(4), layer)).not_modelled) == 1


def test_words_and_states() -> None:
    embedding = L.Embedding(30, 8)
    model = chain((12,), embedding, L.SimpleRNN(6, "relu", return_sequences=True), L.SimpleRNN(5), L.Dense(4))
    network = describe(model)
    (words,) = (layer for layer in network.layers if layer.kind == "embedding")
    table = np.asarray(keras.ops.convert_to_numpy(embedding.embeddings), np.float64)
    assert words.table is not None
    assert (words.table.mean, words.table.size) == (pytest.approx(table.mean(), rel=1e-5, abs=0), 240)
    assert words.table.variance == pytest.approx(table.var(), rel=1e-5, abs=0)
    states = [(layer.state, layer.activation) for layer in network.layers if layer.kind == "recurrent"]
    assert states == [("relu", "linear"), ("tanh", "linear")]
    assert unvanish.forecast(model).not_modelled == ()


CELLS = {
    "lstm": lambda: L.LSTM(4),
    "gru": lambda: L.GRU(4),
    "dropout": lambda: L.SimpleRNN(4, dropout=0.1),
    "recurrent dropout": lambda: L.SimpleRNN(4, recurrent_dropout=0.1),
    "softmax": lambda: L.SimpleRNN(4, "softmax"),
}


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_no_simple_recurrence_is_named(cell: str) -> None:
    assert len(unvanish.forecast(chain((12, 3), CELLS[cell]())).not_modelled) == 1


@pytest.mark.parametrize(
    ("spec", "shape", "layers"),
    [
        (
            "input(20), embedding(50, 16), simple_rnn(32), dense(10, softmax)",
            (20,),
            lambda: [L.Embedding(50, 16), L.SimpleRNN(32)],
        ),
        (
            "input(8, 8, 3), conv(16, 3), group_norm(4), relu, conv(16, 3, 2, tanh), global_avg_pool, dense(10)",
            (8, 8, 3),
            lambda: [
                L.Conv2D(16, 3, padding="same"),
                L.GroupNormalization(4),
                L.ReLU(),
                L.Conv2D(16, 3, strides=2, padding="same", activation="tanh"),
                L.GlobalAveragePooling2D(),
            ],
        ),
        (
            "input(24, 4), (conv(16, 5, valid), rms_norm, gelu)*2, max_pool(2), flatten, dense(10, softmax)",
            (24, 4),
            lambda: [
                *(layer for _ in range(2) for layer in (L.Conv1D(16, 5), L.RMSNormalization(), L.Activation("gelu"))),
                L.MaxPooling1D(2),
                L.Flatten(),
            ],
        ),
    ],
)
def test_a_described_network_is_the_one_that_keras_builds(spec, shape, layers) -> None:
    told = forecast_spec(spec, initialiser="keras").forecast.log10_first_over_last
    built = [unvanish.forecast(chain(shape, *layers())).log10_first_over_last for _ in range(3)]
    assert 10 ** np.mean(built) == pytest.approx(10**told, rel=0.1, abs=0)
