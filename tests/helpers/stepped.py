"""Small Keras trainings, each with every optimizer, and how they end when nobody watches."""

import functools

import keras
import numpy as np

BACKEND = keras.backend.backend()
L = keras.layers

OPTIMIZERS = {
    "accumulating": lambda: keras.optimizers.Adam(1e-2, gradient_accumulation_steps=3),
    "adam": lambda: keras.optimizers.Adam(1e-2),
    "adamw": lambda: keras.optimizers.AdamW(1e-2, clipnorm=0.1),
    "averaged": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=5),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(1e-2), initial_scale=2.0**24, dynamic_growth_steps=3
    ),
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5),
}


def normalised():
    layers = [L.Dense(6, "relu"), L.BatchNormalization(), L.Dropout(0.3), L.Dense(1, "sigmoid")]
    return keras.Sequential([keras.Input((5,)), *layers])


def convolution():
    layers = [L.Conv2D(3, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(1, "sigmoid")]
    return keras.Sequential([keras.Input((6, 6, 1)), *layers])


def half():
    layers = [L.Dense(6, "relu", dtype="mixed_float16"), L.Dense(6, "tanh", dtype="mixed_float16")]
    return keras.Sequential([keras.Input((5,)), *layers, L.Dense(1, "sigmoid", dtype="float32")])


def recurrent():
    return keras.Sequential([keras.Input((4, 3)), L.LSTM(5), L.Dense(1, "sigmoid")])


def residual():
    inputs = keras.Input((5,))
    h = L.Dense(5, "tanh")(inputs)
    return keras.Model(inputs, L.Dense(1, "sigmoid")(L.Add()([inputs, h])))


NETS = {
    "convolution": convolution,
    "half": half,
    "normalised": normalised,
    "recurrent": recurrent,
    "residual": residual,
}
ROWS = 70 if BACKEND == "tensorflow" else 72  # one shape less to compile
STEPS = 12  # 3 epochs of 4 batches, on TensorFlow the last one smaller


def made(net, optimizer, **compiling):
    keras.utils.set_random_seed(3)
    model = NETS[net]()
    model.compile(OPTIMIZERS[optimizer](), "binary_crossentropy", metrics=["accuracy"], **compiling)
    return model


def fitted(model, callbacks=None):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, *model.input_shape[1:])).astype("float32")
    y = (rng.random((ROWS, 1)) > 0.5).astype("float32")
    return model.fit(x, y, epochs=3, batch_size=16, verbose=0, validation_split=0.1, callbacks=callbacks)


def state(model):
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


@functools.cache
def unwatched(net, optimizer, settings=()):
    model = made(net, optimizer, **dict(settings))
    history = fitted(model).history
    return state(model), history


def assert_same_bits(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


EACH = [
    ("convolution", "adam"),
    ("half", "scaled"),
    ("normalised", "accumulating"),
    ("normalised", "adamw"),
    ("normalised", "averaged"),
    ("recurrent", "adamw"),
    ("residual", "sgd"),
]
"""Every network and every optimizer at least once; the other pairs take minutes."""


def linear(optimizer, scale=1.0, **compiling):
    """Return y = x W compiled with scale * squared error, W drawn by numpy."""
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, use_bias=False)])
    model.layers[0].kernel.assign(np.random.default_rng(1).normal(size=(4, 3)))
    model.compile(optimizer, lambda y, p: scale * keras.ops.mean(keras.ops.square(y - p), axis=-1), **compiling)
    return model


def data():
    rng = np.random.default_rng(2)
    return rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 3)).astype("float32")


def true_gradient(weights, scale=1.0):
    x, y = (part.astype(np.float64) for part in data())
    return scale * 2 * x.T @ (x @ weights - y) / y.size
