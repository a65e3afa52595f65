"""Look at a fit in this process, as `unvanish check` looks at a script's."""

from pathlib import Path

import keras
import numpy as np

from unvanish.diagnosing import diagnose
from unvanish.keras.capture import Capture
from unvanish.watching.session import Enough, Plan

layers = keras.layers


def look(model, x, y, *, plan=None, **fit):
    """Return the diagnosis of one fit."""
    capture = Capture(plan or Plan(), lambda *_: None, Path(__file__))
    try:
        with capture:
            model.fit(x, y, verbose=0, **fit)
    except Enough:
        pass
    if capture.error is not None:
        raise capture.error
    return diagnose(capture.observation, title=model.name)


def labelled(kind, seed=0):
    """Return the tutorial's inputs with its random labels, or with labels of a fixed teacher."""
    r = np.random.default_rng(seed)
    x = r.random((1000, 20))
    if kind == "random":
        return x, r.integers(2, size=(1000, 1))
    w1, w2 = r.normal(size=(20, 16)), r.normal(size=16)
    score = np.tanh((x - 0.5) @ w1 * 2) @ w2
    return x, (score > np.median(score)).astype(int)[:, None]


def improved(*, depth=11, width=64):
    """Return the tutorial's improved network, or the same of another size, compiled."""
    model = keras.Sequential([keras.Input((20,))])
    for _ in range(depth):
        model.add(layers.Dense(width))
        model.add(layers.ReLU())
        model.add(layers.BatchNormalization())
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def sick(activation="sigmoid", *, depth=11, width=64, **options):
    """Return the tutorial's sick network, or the same with another activation or of another size, compiled."""
    model = keras.Sequential([keras.Input((20,))])
    for _ in range(depth):
        model.add(layers.Dense(width, activation=activation, **options))
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model
