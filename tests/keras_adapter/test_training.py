"""The short training takes the model's own steps, in an order that no shuffle of Keras replays."""

import keras
import numpy as np
import pytest

from unvanish.keras.batches import Batches
from unvanish.keras.training import train

pytestmark = pytest.mark.keras
RATE = 0.0 if keras.backend.backend() == "torch" else 0.3  # there fit and dropout draw from one generator
L = keras.layers


def made(**compiling):
    keras.utils.set_random_seed(4)
    layers = [L.Dense(6, "relu"), L.BatchNormalization(), L.Dropout(RATE), L.Dense(1, "sigmoid")]
    model = keras.Sequential([keras.Input((5,)), *layers])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], **compiling)
    return model


def batches(n=40, **kwargs):
    rng = np.random.default_rng(0)
    return Batches.of_arrays(rng.normal(size=(n, 5)), rng.integers(0, 2, (n, 1)), batch_size=8, **kwargs)


@pytest.mark.every_backend
def test_the_steps_are_those_of_a_fit_on_the_same_batches():
    results = []
    for plain in (False, True):
        model, given = made(), batches()
        if plain:
            order = list(given.epochs_order(6, 5))
            x, y = (np.concatenate([batch[part] for batch in order]) for part in (0, 1))
            model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        else:
            train(model, given, 6, 5)
        results.append([v.numpy().tobytes() for v in [*model.variables, *model.optimizer.variables]])
    assert results[0] == results[1]


def test_so_many_steps_are_taken_whatever_the_length_of_the_data():
    for n, limit in ((40, 9), (3, 5)):
        model = made(run_eagerly=True)
        train(model, batches(n), limit, 0)
        assert int(model.optimizer.iterations) == limit


def test_a_train_step_of_the_users_own_gets_what_fit_gives_it():
    structures = []

    class Own(keras.Model):
        def train_step(self, data):
            structures.append(keras.tree.map_structure(lambda part: (part.dtype.name, part.shape[1:].as_list()), data))
            return super().train_step(data)

    inputs = keras.Input((5,))
    model = Own(inputs, L.Dense(1)(inputs))
    model.compile("sgd", "mse", run_eagerly=True)
    x, y = np.zeros((8, 5)), np.zeros((8, 1), int)
    model.fit(x, y, verbose=0)
    train(model, Batches.of_arrays(x, y, validation=(x, y)), 1, 0)
    assert structures[0] == structures[1]
