"""A network of Keras with a fault planted in it, which one step of its fit brings out."""

import keras
import numpy as np

L, ops = keras.layers, keras.ops
BAD, SIZE, STEPS = 3, 16, 6
"""The step at which one row of the batch has the signal that the faulty part reacts to; rows of a batch; steps."""


FAULTS = {
    "overflow in exp": (lambda x, s: ops.exp(x * x + s * 100), "forward"),
    "log of 0": (lambda x, s: ops.log(x * x * (1 - s) + (1 - s)), "forward"),
    "division by 0": (lambda x, s: x / (1 - s), "forward"),
    "overflow of fp16": (
        lambda x, s: ops.cast(ops.square(ops.cast(s * 300 + 1 + x * 0, "float16")), "float32"),
        "forward",
    ),
    "slope of a root at 0": (lambda x, s: ops.sqrt(x * x * (1 - s) + (1 - s)), "backward"),
}


class Part(L.Layer):
    """Compute what is planted of its first input, where the second one, the signal, is 1."""

    def __init__(self, fault, **settings):
        super().__init__(**settings)
        self.fault = FAULTS[fault][0]

    def call(self, inputs):
        x, signal = inputs
        return self.fault(x, signal)


def made(fault, seed=0):
    keras.utils.set_random_seed(seed)
    given = keras.Input((6,), name="given")
    signal = keras.Input((1,), name="signal")
    x = L.Dense(8, name="first")(given)
    x = L.BatchNormalization(name="norm")(L.Dropout(0.2, name="drop")(x))
    x = L.Activation("tanh", name="bent")(x)
    x = Part(fault, name="part")([x, signal]) if fault else x
    model = keras.Model([given, signal], L.Dense(1, name="head")(x), name="planted")
    model.compile("adam", "mse")
    return model


def fitted(model, callbacks=(), *, bad=BAD, spoil=None, seed=1, steps=STEPS):
    rng = np.random.default_rng(seed)
    x, signal = rng.normal(size=(SIZE * steps, 6)).astype("float32"), np.zeros((SIZE * steps, 1), "float32")
    y = x[:, :1].copy()
    if bad >= 0:
        signal[SIZE * bad + 2] = 1
    if spoil is not None:
        spoil(x, y)
    return model.fit([x, signal], y, batch_size=SIZE, shuffle=False, verbose=0, callbacks=list(callbacks))
