"""Optimizer and loss as facts: families by what they are, chance levels by their closed forms."""

import math

import pytest

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

import numpy as np  # noqa: E402

from unvanish.keras.describe import describe  # noqa: E402
from unvanish.keras.info import loss_info, optimizer_info  # noqa: E402


class Anything(keras.optimizers.Adam):
    """An Adam by another name."""


@pytest.mark.parametrize(
    ("optimizer", "family", "epsilon"),
    [
        (keras.optimizers.SGD(0.1, momentum=0.9), "sgd", None),
        (keras.optimizers.Adam(1e-3), "adam", 1e-7),
        (Anything(1e-3, epsilon=1e-5), "adam", 1e-5),
        (keras.optimizers.AdamW(1e-3), "adam", 1e-7),
        (keras.optimizers.RMSprop(1e-3), "rmsprop", 1e-7),
        (keras.optimizers.Adagrad(1e-3), "adagrad", 1e-7),
        (keras.optimizers.Adadelta(1e-3), "adadelta", 1e-7),
        (keras.optimizers.Ftrl(1e-3), "other", None),
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3)), "adam", 1e-7),
    ],
)
def test_the_family_is_what_it_is_not_what_it_is_called(optimizer, family, epsilon):
    info = optimizer_info(optimizer)
    assert info.family == family
    assert info.epsilon == (None if epsilon is None else pytest.approx(epsilon, rel=1e-6, abs=0))


def test_a_schedule_gives_its_present_rate_and_clipping_is_said():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
    info = optimizer_info(keras.optimizers.SGD(schedule, momentum=0.9, clipnorm=1.0))
    assert info.learning_rate == pytest.approx(0.5, rel=1e-6, abs=0)
    assert (info.momentum, info.clipping) == (0.9, "clipnorm 1")


def network(activation="sigmoid", units=1):
    return describe(keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, activation=activation)]))


@pytest.mark.parametrize(
    ("loss", "labels", "kind", "chance"),
    [
        ("binary_crossentropy", [[0], [1], [1], [1]], "binary_crossentropy", 0.5623351446188083),
        (keras.losses.BinaryCrossentropy(), [[0], [1]], "binary_crossentropy", math.log(2)),
        (keras.losses.binary_crossentropy, [0, 1], "binary_crossentropy", math.log(2)),
        ("categorical_crossentropy", np.eye(4)[[0, 1, 2, 3]], "categorical_crossentropy", math.log(4)),
        ("sparse_categorical_crossentropy", [0, 0, 1, 1], "sparse_categorical_crossentropy", math.log(2)),
        ("mse", [[1.0], [3.0]], "mean_squared_error", 1.0),
        ("mean_absolute_error", [[0.0], [0.0], [3.0]], "mean_absolute_error", 1.0),
        (lambda y, p: keras.ops.mean(p), [[1.0]], "other", None),
    ],
)
def test_chance_is_the_best_constant_prediction(loss, labels, kind, chance):
    info = loss_info(loss, np.asarray(labels, dtype="float32"), network())
    assert info.kind == kind
    assert info.chance == (None if chance is None else pytest.approx(chance, rel=1e-5, abs=0))
    assert info.head == "sigmoid"


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        ("binary_crossentropy", False),
        (keras.losses.sparse_categorical_crossentropy, False),
        (keras.losses.BinaryCrossentropy(), False),
        (keras.losses.BinaryCrossentropy(from_logits=True), True),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), True),
        ("mse", None),
        (lambda y, p: keras.ops.mean(p), None),
    ],
)
def test_what_a_loss_was_told_of_logits(loss, told):
    assert loss_info(loss, None, network()).from_logits is told


def test_units_are_the_last_axis_of_the_output():
    assert loss_info("mse", None, network(units=7)).units == 7
    sequence = keras.Sequential([keras.Input((5, 3)), keras.layers.Dense(4), keras.layers.Activation("softmax")])
    info = loss_info("categorical_crossentropy", None, describe(sequence))
    assert (info.units, info.head) == (4, "softmax")
