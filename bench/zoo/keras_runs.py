"""Train one Keras run, as a user's script would: build, compile, fit, predict."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np

from zoo.case import Case
from zoo.tasks import BINARY, NUMBERS, signed

LOSSES = {BINARY: "binary_crossentropy", NUMBERS: "mean_squared_error"}


def run(case: Case, seed: int, watch: AbstractContextManager[Any]) -> list[float]:
    """Return the held-out scores: after the last fit, and before it where the run was trained already.

    watch: entered around the last fit alone. case.train may hold: `pretrained` (epochs of a fit before), `parts` (from
    the inputs to the model's several ones), `answers` (from the labels to several ones).
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    data = case.data
    parts, answers = case.train.get("parts", _same), case.train.get("answers", _same)
    model = case.build(data)
    name, rate, config = case.optimizer
    optimizer = getattr(keras.optimizers, name)(learning_rate=rate, **config)
    model.compile(optimizer, case.loss or LOSSES.get(data.kind, "sparse_categorical_crossentropy"))
    arrays = {"x": parts(data.x), "y": answers(data.y), "validation_data": (parts(data.x_val), answers(data.y_val))}
    scores, frozen = [], _frozen(model)
    if "pretrained" in case.train:
        model.fit(**arrays, batch_size=case.batch, epochs=case.train["pretrained"], verbose=0)
        scores.append(_score(case, model))
    with watch:
        model.fit(**arrays, batch_size=case.batch, epochs=case.epochs, verbose=0)
    if not all(np.array_equal(before, after) for before, after in zip(frozen, _frozen(model), strict=True)):
        raise RuntimeError(f"{case.name}: a frozen weight moved")
    return [*scores, _score(case, model)]


def _score(case: Case, model: keras.Model) -> float:
    inputs = case.train.get("parts", _same)(case.data.x_val)
    outputs = np.asarray(keras.tree.flatten(model.predict(inputs, batch_size=512, verbose=0))[0], dtype="float64")
    return case.data.score(signed(outputs - 0.5) if case.data.kind == BINARY else outputs)


def _frozen(model: keras.Model) -> list[np.ndarray]:
    return [np.array(w) for layer in model.layers if not layer.trainable for w in layer.weights]


def _same(arrays: Any) -> Any:
    return arrays
