"""One small model of every family that can be rebuilt, compiled, with inputs that it takes."""

import keras
import numpy as np

L = keras.layers


def doubled(values):
    return values * 2


def gate(values):
    return keras.ops.tanh(values) * 0.5


class Scale(L.Layer):
    """A layer of the user's own, with a weight that training does not move."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.fixed = self.add_weight(name="fixed", shape=(), initializer="ones", trainable=False)

    def call(self, x):
        return x * self.fixed * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def dense():
    hidden = [L.Dense(8, "tanh", kernel_regularizer="l2", name=f"h{i}") for i in range(3)]
    return keras.Sequential([keras.Input((6,)), *hidden, L.Dense(1, "sigmoid", name="out")], name="dense")


def normed():
    parts = [L.Dense(8, name="h0"), L.BatchNormalization(), L.ReLU(), L.Dropout(0.3), L.Dense(8, gate, name="h1")]
    return keras.Sequential([keras.Input((6,)), *parts, L.LayerNormalization(), L.Dense(3)], name="normed")


def conv():
    inputs = keras.Input((8, 8, 3), name="image")
    h = L.MaxPooling2D()(L.Conv2D(4, 3, padding="same", activation="relu", name="c0")(inputs))
    h = keras.ops.relu(L.Conv2D(4, 3, padding="same", use_bias=False, name="c1")(h)) + 1.0
    return keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(L.SeparableConv2D(4, 3)(h))), name="conv")


def nested():
    block = keras.Sequential([keras.Input((6,)), L.Dense(6, "tanh", name="b0"), L.Dense(6, name="b1")], name="block")
    inputs = keras.Input((6,))
    h = block(L.Activation("relu", name="first")(block(inputs)))
    return keras.Model(inputs, L.Dense(1, name="out")(h), name="nested")


def several():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    shared = L.Dense(6, "relu", name="shared")
    u, v = shared(a), shared(b)
    joined = L.Concatenate()([u, v, Scale(0.5)(u - v)])
    outputs = {"p": L.Dense(1, name="p")(joined), "q": L.Dense(2, name="q")(L.Add()([u, v]))}
    return keras.Model({"a": a, "b": b}, outputs, name="several")


def recurrent():
    parts = [L.Embedding(20, 6, mask_zero=True), L.Bidirectional(L.LSTM(4, return_sequences=True)), L.GRU(4)]
    return keras.Sequential([keras.Input((5,)), *parts, L.Lambda(doubled), L.Dense(1)], name="recurrent")


FAMILIES = {made.__name__: made for made in (dense, normed, conv, nested, several, recurrent)}


def inputs_of(name, count=7, seed=0):
    random = np.random.default_rng(seed)
    if name == "several":
        return {key: random.normal(size=(count, 6)).astype("float32") for key in "ab"}
    if name == "recurrent":
        return random.integers(0, 20, (count, 5))
    return random.normal(size=(count, 8, 8, 3) if name == "conv" else (count, 6)).astype("float32")


def outputs_of(model, x):
    tensors = keras.tree.map_structure(keras.ops.convert_to_tensor, x)
    return [np.array(keras.ops.convert_to_numpy(y)) for y in keras.tree.flatten(model(tensors, training=False))]
