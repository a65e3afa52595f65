"""The loops that a script may have on TensorFlow."""

import keras
import tensorflow as tf
from loops import STEPS, batch, by_fit, sequential

from unvanish.keras import compat


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


def by_own_step():
    return by_fit(sequential(OwnStep))


def by_own_loss():
    return by_fit(sequential(OwnLoss, loss=None))


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
    "train_step": by_own_step,
    "train_step with its own loss": by_own_loss,
    "tape": by_tape,
    "compiled tape": by_compiled_tape,
    "compiled tape, loss unknown": by_compiled_tape_without_a_loss_object,
    "gradients handed out": by_gradients_handed_out,
    "loop in a function": by_a_loop_in_a_function,
}
UNPROBED = {"train_step with its own loss", "compiled tape, loss unknown"}
"""Loops whose loss only they know."""
BY_SGD = set()
PATCHED = ((tf.GradientTape, "gradient"), (compat.compiled_function(), "__call__"))
