"""One sick network and one batch, trained by every kind of loop that a script may have on any backend."""

import keras
import numpy as np

L = keras.layers
STEPS = 6
MADE = []
"""The models that were made, the latest last: a script that is ended does not return its own."""


def batch(n=32, seed=0):
    """Return x (n, 20) and random labels (n, 1) in float32."""
    rng = np.random.default_rng(seed)
    return rng.random((n, 20), dtype="float32"), rng.integers(0, 2, (n, 1)).astype("float32")


def stack():
    """Return the layers of a shorter version of the tutorial's sick network."""
    return [*[L.Dense(32, activation="sigmoid") for _ in range(6)], L.Dense(1, activation="sigmoid")]


def sequential(base=keras.Sequential, loss="binary_crossentropy", optimizer="adam", **compiling):
    """Return the sick network, the same weights each time, compiled."""
    keras.utils.set_random_seed(7)
    model = base([keras.Input((20,)), *stack()])
    model.compile(optimizer, loss, **compiling)
    MADE.append(model)
    return model


class Subclassed(keras.Model):
    """The same network without a static graph."""

    def __init__(self):
        super().__init__()
        self.parts = stack()

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


def by_fit(model=None):
    model = model or sequential()
    model.fit(*batch(), epochs=STEPS, shuffle=False, verbose=0)
    return model


def by_fit_subclassed():
    keras.utils.set_random_seed(7)
    model = Subclassed()
    model.compile("adam", "binary_crossentropy")
    MADE.append(model)
    return by_fit(model)


def by_batches():
    model = sequential()
    for _ in range(STEPS):
        model.train_on_batch(*batch())
    return model


def by_generator():
    model = sequential()

    def endless():
        while True:
            yield batch()

    model.fit(endless(), steps_per_epoch=2, epochs=STEPS // 2, verbose=0)
    return model


LOOPS = {
    "subclassed": by_fit_subclassed,
    "train_on_batch": by_batches,
    "generator": by_generator,
}
