"""Models that take batches of one size alone: a stateful layer, a shape that the user's own code fixes."""

import pytest

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

import numpy as np  # noqa: E402
from looking import look  # noqa: E402

import unvanish  # noqa: E402
from unvanish.core.measures.auc import auc  # noqa: E402
from unvanish.keras import observe  # noqa: E402
from unvanish.keras.batches import Batches  # noqa: E402
from unvanish.keras.evaluate import evaluate  # noqa: E402

L = keras.layers
X = np.random.default_rng(0).standard_normal((200, 5, 4)).astype("float32")
Y = (X[:, 0, :1] > 0).astype("float32")


def stateful(size=16, units=8):
    return compiled(keras.Input(batch_shape=(size, 5, 4)), L.LSTM(units, stateful=True))


def reshaped(size=16):
    return compiled(keras.Input((5, 4)), L.Lambda(lambda x: keras.ops.reshape(x, (size, 20))))


def compiled(*parts):
    model = keras.Sequential([*parts, L.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def states(model):
    return [np.copy(state.numpy()) for layer in model.layers for state in getattr(layer, "states", None) or ()]


@pytest.mark.parametrize("make", [stateful, reshaped])
def test_a_check_evaluates_in_batches_of_that_size(make):
    model = make()
    before = states(model)
    seen = unvanish.check(model, X, Y, steps=4, batch_size=16).observation
    assert seen.evaluation.held_out_samples == 40  # two batches and a half
    assert seen.evaluation.held_out is not None
    assert seen.evaluation.held_out_loss is not None
    assert all(np.array_equal(a, b) for a, b in zip(before, states(model), strict=True))


@pytest.mark.parametrize("make", [stateful, reshaped])
def test_so_does_a_look_at_a_fit(make):
    diagnosis = look(make(), X[:160], Y[:160], batch_size=16, epochs=1, validation_data=(X[160:192], Y[160:192]))
    assert diagnosis.observation.evaluation.held_out_samples == 32


def test_what_fills_the_last_batch_up_does_not_count():
    model = reshaped()
    seen = evaluate(model, Batches.of_arrays(X, Y, validation=(X[:40], Y[:40]), batch_size=16), 0)
    flat = X[:40].reshape(40, 20)
    kernel, bias = (v.numpy() for v in model.layers[-1].weights)
    outputs = 1 / (1 + np.exp(-(flat @ kernel + bias)))[:, 0]
    truth = Y[:40, 0]
    assert seen.held_out == pytest.approx(auc(outputs, truth == 1), rel=1e-9, abs=0)
    by_hand = -np.mean(truth * np.log(outputs) + (1 - truth) * np.log(1 - outputs))
    assert seen.held_out_loss == pytest.approx(by_hand, rel=1e-5, abs=0)


def test_states_are_those_that_the_training_left():
    model = stateful()
    model.train_on_batch(X[:16], Y[:16])
    before = states(model)
    assert any(np.any(state) for state in before)
    evaluate(model, Batches.of_arrays(X, Y, batch_size=16), 1)
    assert all(np.array_equal(a, b) for a, b in zip(before, states(model), strict=True))


def test_a_large_one_is_probed_on_a_whole_batch(monkeypatch):
    monkeypatch.setattr(observe, "_SMALL", 100)
    seen = unvanish.check(stateful(80), np.tile(X, (2, 1, 1)), np.tile(Y, (2, 1)), steps=2, batch_size=80).observation
    assert seen.profiles[0].batch_size == 80
    assert seen.profiles[0].through_time


@pytest.mark.parametrize(("samples", "size", "found"), [(200, 32, "batch_size=32"), (18, 16, "15 of them to train on")])
def test_batches_that_the_model_cannot_take_are_refused(samples, size, found):
    with pytest.raises(unvanish.UnvanishError, match="takes batches of 16 samples alone") as caught:
        unvanish.check(stateful(), X[:samples], Y[:samples], batch_size=size)
    assert found in caught.value.found
    assert "batch_size=16" in caught.value.hint
