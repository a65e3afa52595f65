"""Networks to be cured, each with its data and the length of its training: labelled cases, and plain stacks.

A task's `trained` part is what the user trains on, `held_out` what fit is told to validate on, `test` what nobody sees
before the judgement. Labelled cases have no third part: their held-out one is the test.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

from data.build import data, keras_model, load_cases

WIDTH, DEPTHS, ACTIVATIONS = 64, (11, 30, 100), ("sigmoid", "tanh", "relu")
EPOCHS = {"mnist1d": (50, 100), "digits": (45, 32)}
"""Epochs and batch size: about 1,600 steps, after which the 11-layer networks that train have levelled off."""


class Task(NamedTuple):
    """Hold one network to be cured."""

    name: str
    build: Callable[[int], Any]
    """Seed -> compiled Keras model."""
    trained: tuple[Any, Any]
    held_out: tuple[Any, Any]
    test: tuple[Any, Any]
    batch_size: int
    epochs: int
    plain: tuple[int, str] | None = None
    """Depth and activation of a plain stack; None for another network."""

    @property
    def steps(self) -> int:
        """Return the optimizer steps of the user's own training."""
        return -(-len(self.trained[0]) // self.batch_size) * self.epochs


def all_tasks() -> list[Task]:
    """Return the labelled cases that are curable, then the stacks, the shallow ones first."""
    cases = [_case(case) for case in load_cases() if case["curable"]]
    return cases + [_stack(on, deep, act) for deep in DEPTHS for act in ACTIVATIONS for on in EPOCHS]


def _case(case: dict[str, Any]) -> Task:
    x, y, x_val, y_val = data(case["data"])
    held_out = x_val, y_val
    return Task(
        case["id"],
        lambda seed: keras_model(case, seed),
        (x, y),
        held_out,
        held_out,
        case["batch_size"],
        case["epochs"],
    )


def _stack(on: str, depth: int, activation: str) -> Task:
    (x, y), test = mnist1d() if on == "mnist1d" else _digits()
    x, x_val, y, y_val = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)
    epochs, batch_size = EPOCHS[on]
    return Task(
        f"{on}-{activation}-{depth}",
        lambda seed: stack(seed, depth, activation, x.shape[1]),
        (x, y),
        (x_val, y_val),
        test,
        batch_size,
        epochs,
        (depth, activation),
    )


def stack(seed: int, depth: int, activation: str, features: int, **layer: Any) -> Any:
    """Return a plain stack as a beginner writes it: Keras' own initialisation, Adam at its own rate."""
    keras.utils.set_random_seed(seed)
    model = hidden(depth, features, activation=activation, **layer)
    model.add(keras.layers.Dense(10))
    return compiled(model)


def hidden(depth: int, features: int, **layer: Any) -> Any:
    """Return so many dense layers in a row, without an output layer."""
    model = keras.Sequential([keras.Input((features,))])
    for _ in range(depth):
        model.add(keras.layers.Dense(WIDTH, **layer))
    return model


def compiled(model: Any, rate: float = 1.0) -> Any:
    """Return the model with the loss and the optimizer of all stacks, at a multiple of Adam's own learning rate."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.001 * rate), loss=loss, metrics=["accuracy"])
    return model


def mnist1d() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return MNIST-1D (Greydanus 2020), generated here: 4,000 training and 1,000 test samples of 40 numbers."""
    from mnist1d.data import get_dataset_args, make_dataset

    with contextlib.redirect_stdout(io.StringIO()):
        made = make_dataset(get_dataset_args())
    return _as_float(made["x"], made["y"]), _as_float(made["x_test"], made["y_test"])


def _digits() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    x, y = datasets.load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x / 16.0, y, test_size=0.2, random_state=0, stratify=y)
    return _as_float(x, y), _as_float(x_test, y_test)


def _as_float(x: Any, y: Any) -> tuple[Any, Any]:
    return np.asarray(x, dtype="float32"), np.asarray(y, dtype="int32")
