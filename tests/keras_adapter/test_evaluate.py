"""Scores on held-out samples equal a slow second computation, and nothing is moved by taking them."""

import math

import keras
import numpy as np
import pytest

from unvanish.core.measures.auc import auc_sd
from unvanish.keras.batches import Batches
from unvanish.keras.evaluate import evaluate

pytestmark = pytest.mark.keras
L = keras.layers


def network(units=1, head="sigmoid", *, norm=True, loss="binary_crossentropy", **compiling):
    layers = [L.Dense(8, "tanh"), *([L.BatchNormalization()] if norm else []), L.Dropout(0.5), L.Dense(units, head)]
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile("sgd", loss, metrics=["accuracy"], **compiling)
    return model


def samples(n=300, classes=2, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, 4)).astype("float32")
    return x, np.argsort(np.argsort(x[:, 0])) * classes // n


def unsettle(model):
    """Give the moving averages values far from those of the data."""
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.moving_mean.assign(np.linspace(-2, 2, 8))
            layer.moving_variance.assign(np.linspace(0.1, 9, 8))


def counted(scores, positive):
    pairs = [
        (a, b)
        for a, p in zip(scores, positive, strict=True)
        if p
        for b, q in zip(scores, positive, strict=True)
        if not q
    ]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


def test_held_out_scores_are_those_of_keras_and_of_counting():
    model, (x, y) = network(), samples()
    unsettle(model)
    seen = evaluate(model, Batches.of_arrays(x, y, validation=(x[:80], y[:80])), 7)
    loss, accuracy = model.evaluate(x[:80], y[:80], verbose=0, batch_size=80)
    assert (seen.step, seen.train_samples, seen.held_out_samples) == (7, 80, 80)
    assert seen.held_out == pytest.approx(counted(model.predict(x[:80], verbose=0)[:, 0], y[:80]), rel=1e-12, abs=0)
    assert seen.held_out_loss == pytest.approx(loss, rel=1e-5, abs=0)
    assert seen.held_out_accuracy == pytest.approx(accuracy, rel=1e-6, abs=0)
    assert seen.held_out_sd == pytest.approx(auc_sd(int(y[:80].sum()), 80 - int(y[:80].sum())), rel=1e-12, abs=0)


def test_batch_statistics_are_those_of_the_samples_with_dropout_off():
    model, (x, y) = network(), samples()
    unsettle(model)
    seen = evaluate(model, Batches.of_arrays(x, y, validation=(x[:80], y[:80])), 0)
    dense, norm, _, head = model.layers
    h = np.tanh(x[:80] @ dense.kernel.numpy())
    h = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + norm.epsilon)
    outputs = 1 / (1 + np.exp(-(h @ head.kernel.numpy())[:, 0]))
    assert seen.held_out_batch_statistics == pytest.approx(counted(outputs, y[:80]), rel=1e-3, abs=0)
    assert seen.held_out_batch_statistics != seen.held_out
    expected = -np.mean(np.log(np.where(y[:80] == 1, outputs, 1 - outputs)))
    assert seen.held_out_loss_batch_statistics == pytest.approx(expected, rel=1e-4, abs=0)
    accuracy = np.mean((outputs > 0.5) == y[:80])
    assert seen.held_out_accuracy_batch_statistics == pytest.approx(accuracy, rel=0.03, abs=0)


def test_nothing_is_moved_and_nothing_stays_patched():
    model, (x, y) = network(), samples()
    model.train_on_batch(x[:32], y[:32])
    before = [v.numpy().tobytes() for v in [*model.variables, *model.metrics_variables]]
    names = [set(layer.__dict__) for layer in model.layers]
    evaluate(model, Batches.of_arrays(x, y), 1)
    assert [v.numpy().tobytes() for v in [*model.variables, *model.metrics_variables]] == before
    assert [set(layer.__dict__) for layer in model.layers] == names


def test_frozen_normalisations_keep_their_moving_averages():
    model, (x, y) = network(), samples()
    unsettle(model)
    model.layers[1].trainable = False
    seen = evaluate(model, Batches.of_arrays(x, y), 0)
    assert seen.held_out_batch_statistics == seen.held_out
    assert seen.held_out_loss_batch_statistics == seen.held_out_loss


@pytest.mark.parametrize("one_hot", [False, True])
def test_classes_are_scored_one_against_the_rest(one_hot):
    loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
    model, (x, y) = network(3, "softmax", loss=loss, norm=False), samples(classes=3)
    labels = np.eye(3)[y] if one_hot else y
    seen = evaluate(model, Batches.of_arrays(x, labels, validation=(x[:60], labels[:60])), 0)
    outputs = model.predict(x[:60], verbose=0)
    expected = np.mean([counted(outputs[:, k], y[:60] == k) for k in range(3)])
    assert seen.held_out == pytest.approx(expected, rel=1e-9, abs=0)
    assert seen.held_out_accuracy == pytest.approx(np.mean(outputs.argmax(axis=1) == y[:60]), rel=1e-9, abs=0)
    assert 0.02 < seen.held_out_sd < 0.08


def test_regression_is_scored_by_rank():
    model, (x, _) = network(1, "linear", loss="mse"), samples()
    seen = evaluate(model, Batches.of_arrays(x, x[:, :1] ** 3), 0)
    assert 0 <= seen.held_out <= 1
    assert seen.held_out_sd == pytest.approx(0.5 / math.sqrt(59), rel=1e-9, abs=0)
    assert seen.held_out_accuracy is None


def test_logits_are_cut_at_zero():
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model, (x, y) = network(1, "linear", loss=loss), samples()
    seen = evaluate(model, Batches.of_arrays(x, y, validation=(x, y)), 0)
    outputs = model.predict(x, verbose=0)[:, 0]
    assert seen.held_out_accuracy == pytest.approx(np.mean((outputs > 0) == y), rel=1e-9, abs=0)


def test_without_held_out_samples_the_training_is_scored():
    model, (x, y) = network(), samples()
    seen = evaluate(model, Batches.of_fit(model, {"x": x, "y": y}), 0)
    assert seen.train is not None
    assert (seen.held_out, seen.held_out_samples, seen.held_out_sd) == (None, 0, None)
    assert seen.train_samples == 300


def test_outputs_that_are_not_numbers_have_no_score():
    model, (x, y) = network(), samples()
    model.layers[0].kernel.assign(np.full((4, 8), np.nan))
    seen = evaluate(model, Batches.of_arrays(x, y), 0)
    assert (seen.train, seen.held_out, seen.held_out_loss, seen.held_out_accuracy) == (None, None, None, None)


def test_models_with_several_outputs_and_sequences_are_not_scored():
    inputs = keras.Input((4,))
    two = keras.Model(inputs, [L.Dense(1)(inputs), L.Dense(1)(inputs)])
    two.compile("sgd", ["mse", "mse"])
    x, y = samples()
    assert evaluate(two, Batches.of_arrays(x, [y, y]), 0) is None
    sequence = keras.Model(inputs, L.RepeatVector(3)(inputs))
    sequence.compile("sgd", "mse")
    assert evaluate(sequence, Batches.of_arrays(x, np.zeros((300, 3, 4))), 0) is None
