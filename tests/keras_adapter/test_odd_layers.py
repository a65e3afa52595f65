"""Layers that do as they like with their weights: looked at on the variables themselves, and left as they were."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from looking import look

import unvanish
from unvanish.keras.probe import probe

pytestmark = pytest.mark.keras
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
L = keras.layers


class Compiled(L.Layer):
    """A layer whose call is a tf.function of its own: traced once, and used ever after."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 6))

    @tf.function
    def call(self, x):
        return tf.tanh(tf.matmul(x, self.kernel))


class Gathering(L.Layer):
    """A layer that reads the resource behind its weight."""

    def build(self, shape):
        self.table = self.add_weight(shape=(4, 6), initializer="uniform")

    def call(self, x):
        rows = tf.cast(tf.abs(x[:, 0]), tf.int32) % 4
        return x[:, :1] * tf.raw_ops.ResourceGather(resource=self.table.handle, indices=rows, dtype=tf.float32)


class Recomputed(L.Layer):
    """A layer that is run again on the way back, instead of keeping its activations."""

    def __init__(self):
        super().__init__()
        self.inner = L.Dense(6, "relu")

    def build(self, shape):
        self.inner.build(shape)
        self.again = keras.remat(self.inner.call)

    def call(self, x):
        return self.again(x)


class Fading(L.Layer):
    """A layer that fades in: by variables that Keras does not track, one of them TensorFlow's; and counts its calls."""

    def build(self, shape):
        hidden = keras.Variable(0.0, trainable=False)
        object.__setattr__(self, "hidden", [tf.Variable(0.0, trainable=False) if ON_TENSORFLOW else hidden, hidden])
        self.calls = 0

    def call(self, x, training=False):
        self.calls += 1
        if training:
            for variable in self.hidden:
                variable.assign_add(1.0)
        return x * keras.ops.minimum((self.hidden[0] + self.hidden[1].value) / 20.0, 1.0)


class Penalised(keras.Model):
    """A model whose loss takes the gradient by its weights."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(y, self(x)))
        return loss + 0.01 * sum(tf.reduce_sum(g**2) for g in tape.gradient(loss, self.trainable_variables))


def spectral():
    return L.SpectralNormalization(L.Dense(6, "relu"))


ODD = [Compiled, Gathering, Recomputed, Fading, spectral, None] if ON_TENSORFLOW else [Recomputed, Fading, spectral]


def made(layer):
    keras.utils.set_random_seed(3)
    entry = keras.Input((5,))
    h = entry if layer is None else layer()(entry)
    output = L.Dense(1, "sigmoid", name="last")(L.Dense(6, "tanh", name="middle")(h))
    if layer is None:
        model = Penalised(entry, output)
        model.compile("adam")
    else:
        model = keras.Model(entry, output)
        model.compile("adam", "binary_crossentropy")
    return model


def data(n=96):
    x = np.random.default_rng(0).normal(size=(n, 5)).astype("float32")
    return x, (x[:, :1] > 0).astype("float32")


def state(model):
    listed = [v.numpy().tobytes() for v in [*model.variables, *model.optimizer.variables]]
    return listed, [[float(v.numpy()) for v in i.hidden] for i in model.layers if isinstance(i, Fading)]


def calls(model):
    return [layer.calls for layer in model.layers if isinstance(layer, Fading)]


def fit(model):
    return model.fit(*data(), epochs=3, batch_size=16, shuffle=False, verbose=0).history["loss"]


@functools.cache
def never_looked_at(layer):
    """Return the losses and the state of a training that nobody looked at."""
    model = made(layer)
    return fit(model), state(model)


@pytest.mark.every_backend
@pytest.mark.parametrize("layer", ODD)
def test_a_training_after_a_look_from_python_is_the_training_it_would_have_been(layer):
    model = made(layer)
    before, called = state(model), calls(model)
    unvanish.check(model, *data(), batch_size=16, steps=5, progress=lambda *_: None)
    assert (state(model), calls(model)) == (before, called)
    assert (fit(model), state(model)) == never_looked_at(layer)


@pytest.mark.every_backend
@pytest.mark.parametrize("layer", ODD)
def test_a_training_that_is_looked_at_is_the_training_it_would_have_been(layer):
    model = made(layer)
    look(model, *data(), epochs=3, batch_size=16, shuffle=False)
    _, expected = never_looked_at(layer)
    assert state(model) == expected


@pytest.mark.parametrize("layer", ODD)
def test_gradients_are_those_of_a_plain_tape(layer):
    model, plain, (x, y) = made(layer), made(layer), data(16)
    with tf.GradientTape() as tape:
        output = plain(x, training=True)
        loss = plain.compute_loss(x=x, y=tf.constant(y), y_pred=output)
    gradients = tape.gradient(loss, plain.trainable_variables)
    expected = {
        v.path: None if g is None else float(np.linalg.norm(np.asarray(tf.convert_to_tensor(g), np.float64)))
        for v, g in zip(plain.trainable_variables, gradients, strict=True)
    }
    seen = probe(model, [(x, y, None)], 0)
    assert len(seen.unreached) == list(expected.values()).count(None)
    assert seen.loss == pytest.approx(float(loss), rel=1e-6, abs=0)
    for name in ("middle", "last"):
        assert seen.layer(name).gradient_norm == pytest.approx(expected[f"{name}/kernel"], rel=1e-5, abs=0)
