"""One sick network and one batch, trained by every kind of loop that a script may have."""

import keras
import numpy as np
import tensorflow as tf

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
    return [*[L.Dense(32, activation="sigmoid") for _ in range(9)], L.Dense(1, activation="sigmoid")]


def sequential(base=keras.Sequential, loss="binary_crossentropy", **compiling):
    """Return the sick network, the same weights each time, compiled."""
    keras.utils.set_random_seed(7)
    model = base([keras.Input((20,)), *stack()])
    model.compile("adam", loss, **compiling)
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


class OwnStep(keras.Sequential):
    """A train step of its own, with the compiled loss."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"mine": loss}


class OwnLoss(keras.Sequential):
    """A train step of its own, with a loss that only it knows."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(y, self(x, training=True)))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"mine": loss}


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


def by_own_step():
    return by_fit(sequential(OwnStep))


def by_own_loss():
    return by_fit(sequential(OwnLoss, loss=None))


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


def by_tape(compiled=False, loss=None, optimizer=None, model=None):
    """Train by a GradientTape loop; loss: called with (y, output)."""
    model = model or sequential(loss=None)
    optimizer = optimizer or keras.optimizers.Adam()
    loss = loss or keras.losses.BinaryCrossentropy()
    model.own_optimizer = optimizer

    def step(x, y):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
            scaled = optimizer.scale_loss(value)
        gradients = tape.gradient(scaled, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    step = tf.function(step) if compiled else step
    for _ in range(STEPS):
        step(*map(tf.constant, batch()))
    return model


def by_compiled_tape():
    return by_tape(compiled=True)


def by_compiled_tape_without_a_loss_object():
    return by_tape(compiled=True, loss=lambda y, p: tf.reduce_mean(keras.losses.binary_crossentropy(y, p)))


def by_gradients_handed_out():
    """The gradients leave the compiled function, and the step is taken outside."""
    model, optimizer, loss = sequential(loss=None), keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()
    model.own_optimizer = optimizer

    @tf.function
    def gradients(x, y):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        return value, tape.gradient(value, model.trainable_variables)

    for _ in range(STEPS):
        _, found = gradients(*map(tf.constant, batch()))
        optimizer.apply(found, model.trainable_variables)
    return model


def by_a_loop_in_a_function():
    """All steps are taken by one call of a compiled function."""
    model, optimizer, loss = sequential(loss=None), keras.optimizers.Adam(), keras.losses.BinaryCrossentropy()
    model.own_optimizer = optimizer
    optimizer.build(model.trainable_variables)

    @tf.function
    def train(x, y):
        for _ in tf.range(STEPS):
            with tf.GradientTape() as tape:
                value = loss(y, model(x, training=True))
            optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)

    train(*map(tf.constant, batch()))
    return model


LOOPS = {
    "subclassed": by_fit_subclassed,
    "train_step": by_own_step,
    "train_step with its own loss": by_own_loss,
    "train_on_batch": by_batches,
    "generator": by_generator,
    "tape": by_tape,
    "compiled tape": by_compiled_tape,
    "compiled tape, loss unknown": by_compiled_tape_without_a_loss_object,
    "gradients handed out": by_gradients_handed_out,
    "loop in a function": by_a_loop_in_a_function,
}
