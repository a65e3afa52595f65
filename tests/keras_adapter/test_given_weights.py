"""What was loaded into a network: frozen layers keep it in every trial, others are told of."""

import keras
import numpy as np
import pytest

from unvanish.cures.anatomy import applying, hidden
from unvanish.keras.aside import aside
from unvanish.keras.batches import Batches
from unvanish.keras.describe import describe
from unvanish.keras.given_weights import given_weights
from unvanish.keras.surgery import operated
from unvanish.keras.trainer import KerasTrainer

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
L = keras.layers
X = np.random.default_rng(0).normal(size=(60, 6)).astype("float32")
Y = (X[:, :1] > 0).astype("float32")


def transferred():
    """Return a network on a frozen base with loaded weights, an activation layer in it, and a trainable stack."""
    inside = [L.Dense(8, name="base_dense"), L.Activation("relu", name="base_relu"), L.BatchNormalization(name="norm")]
    base = keras.Sequential([keras.Input((6,)), *inside], name="base")
    for weight in base.weights:
        weight.assign(np.abs(np.random.default_rng(5).normal(size=weight.shape)))
    base.trainable = False
    stack = [L.Dense(8, activation="sigmoid", name=f"h{i}") for i in range(3)]
    model = keras.Sequential([keras.Input((6,)), base, *stack, L.Dense(1, activation="sigmoid", name="out")])
    model.compile("adam", "binary_crossentropy")
    return model


def trainer(model):
    return KerasTrainer(model, Batches.of_arrays(X, Y), 20)


def test_a_frozen_layer_keeps_its_weights_in_every_trial():
    model = transferred()
    kept = [np.array(weight.numpy()) for weight in model.get_layer("base").weights]
    tried = trainer(model)
    for seed in (1, 2):
        tried.train(None, seed, 0.01, 3)
        for copy in (next(iter(tried._copies.values())).model, tried.fresh(None, seed)):
            for weight, value in zip(copy.get_layer("base").weights, kept, strict=True):
                np.testing.assert_array_equal(weight.numpy(), value)
    assert tried.notes == ()


def test_no_change_is_proposed_inside_what_is_frozen():
    network = describe(transferred())
    assert not {layer.name for layer in hidden(network)} & {"base_dense", "base_relu", "norm"}
    assert applying(network, "relu") == ()
    assert applying(network, "sigmoid") == ("h0", "h1", "h2")


def test_a_trainable_layer_with_loaded_weights_is_told_of():
    model = transferred()
    model.get_layer("h1").set_weights([np.random.default_rng(1).normal(size=(8, 8)), np.zeros(8)])
    model.get_layer("h2").bias.assign(np.full(8, 0.1))
    (note,) = trainer(model).notes
    assert note.startswith("the weights of h1, h2 were loaded, trained before or set by hand; all trainings here draw")


def test_a_training_before_is_told_of():
    model = transferred()
    model.fit(X, Y, epochs=1, verbose=0)
    assert trainer(model).notes[0].startswith("the weights of h0, h1, h2 ... (4) were")


@pytest.mark.parametrize("initializer", ["glorot_uniform", "he_normal", "orthogonal", "lecun_uniform", "zeros"])
def test_fresh_weights_are_not(initializer):
    for seed in range(5):
        keras.utils.set_random_seed(seed)
        inside = [
            L.Dense(7, kernel_initializer=initializer),
            L.Reshape((7, 1)),
            L.Bidirectional(L.LSTM(3, return_sequences=True)),
            L.GRU(4),
            L.PReLU(),
            L.BatchNormalization(),
        ]
        model = keras.Sequential([keras.Input((6,)), *inside, L.Dense(1, bias_initializer="random_normal")])
        with aside(model, seed):
            assert given_weights(model, operated(model).made) == ()
