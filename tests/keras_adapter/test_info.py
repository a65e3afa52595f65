"""Optimizer, loss and data as facts: families by what they are, chance levels by their closed forms."""

import math

import pytest

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

import numpy as np  # noqa: E402

from unvanish.keras.describe import describe  # noqa: E402
from unvanish.keras.info import data_info, loss_info, optimizer_info  # noqa: E402


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


def test_input_moments_of_the_uniform_distribution():
    x = np.random.default_rng(0).random((4000, 50))
    info = data_info(x, np.zeros((4000, 1)), samples=4000, held_out=0, batch_size=32, loss_kind="binary_crossentropy")
    assert info.input_second_moment == pytest.approx(1 / 3, rel=0.01, abs=0)
    assert info.input_cross_moment == pytest.approx(1 / 4, rel=0.01, abs=0)
    assert (info.label_kind, info.input_nonfinite, info.label_nonfinite) == ("binary", 0, 0)


def test_values_that_are_not_numbers_are_counted():
    x, y = np.ones((10, 2)), np.zeros((10, 1))
    x[3, 0], y[4, 0] = np.nan, np.inf
    info = data_info(x, y, samples=10, held_out=0, batch_size=2, loss_kind="mean_squared_error")
    assert (info.input_nonfinite, info.label_nonfinite) == (1, 1)
    assert (info.input_min, info.input_max) == (1.0, 1.0)


def test_structured_inputs_stay_unknown():
    info = data_info({"a": np.ones(3)}, None, samples=3, held_out=0, batch_size=1, loss_kind="other")
    assert info.input_second_moment is None
    assert info.label_kind == "unknown"
