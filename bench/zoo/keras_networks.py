"""Builders of the Keras networks. Each returns an uncompiled model for a task; the global seed decides its weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from zoo.tasks import BINARY, NUMBERS, Task


def head(task: Task) -> Any:
    """Return the output layer that the task asks for."""
    if task.kind == NUMBERS:
        return layers.Dense(task.classes)
    return layers.Dense(1, "sigmoid") if task.kind == BINARY else layers.Dense(task.classes, "softmax")


def source(task: Task) -> Any:
    return keras.Input(task.x.shape[1:], dtype=task.x.dtype.name)


def drawn(init):
    """Return an initialiser: a new one where what makes it is given: the seed of the run decides its weights."""
    return init() if isinstance(init, functools.partial) else init


def chain(*parts: Callable[[], Any], end: Callable[[Task], Any] = head) -> Callable[[Task], Any]:
    """Return a builder of a Sequential model of these layers, made anew for each model."""
    return lambda task: keras.Sequential([source(task), *(part() for part in parts), end(task)])


def dense(depth, width, activation, init="glorot_uniform", *, norm=None, **config):
    """Return a builder of a plain stack; norm: what makes a normalisation that stands before the activation."""

    def build(task):
        model = keras.Sequential([source(task)])
        if len(task.x.shape) > 2:
            model.add(layers.Flatten())
        for _ in range(depth):
            model.add(layers.Dense(width, None if norm else activation, kernel_initializer=drawn(init), **config))
            if norm:
                model.add(norm())
                model.add(layers.Activation(activation))
        model.add(head(task))
        return model

    return build


def conv(depth, width, activation="relu", init="he_normal", *, norm=None, pool_every=2):
    """Return a builder of 3 x 3 convolutions that ends in global average pooling."""

    def build(task):
        h = inputs = source(task)
        for i in range(depth):
            h = layers.Conv2D(width, 3, padding="same", kernel_initializer=drawn(init))(h)
            h = norm()(h) if norm else h
            h = layers.Activation(activation)(h)
            if i % pool_every == pool_every - 1 and h.shape[1] >= 4:
                h = layers.MaxPooling2D()(h)
        return keras.Model(inputs, head(task)(layers.GlobalAveragePooling2D()(h)))

    return build


def residual(depth, width, activation="relu", *, norm=None, before=True, zero=False, scale=1.0):
    """Return a builder of dense residual blocks; before: norm and activation stand before the weights."""

    def build(task):
        inputs = source(task)
        h = layers.Dense(width)(inputs)
        for _ in range(depth):
            branch = norm()(h) if norm else h
            branch = layers.Activation(activation)(branch) if before else branch
            branch = layers.Dense(width, activation, kernel_initializer="he_normal")(branch)
            last = "zeros" if zero else keras.initializers.VarianceScaling(scale, "fan_in")
            h = layers.Add()([h, layers.Dense(width, kernel_initializer=last)(branch)])
            h = h if before else layers.Activation(activation)(h)
        return keras.Model(inputs, head(task)(norm()(h) if norm else h))

    return build


def resnet(task):
    """Build a small convolutional residual network whose branches are normalised, and end in a gamma of zero."""
    inputs = source(task)
    h = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(inputs)))
    for _ in range(3):
        branch = layers.Conv2D(16, 3, padding="same", use_bias=False)(h)
        branch = layers.Activation("relu")(layers.BatchNormalization()(branch))
        branch = layers.Conv2D(16, 3, padding="same", use_bias=False)(branch)
        branch = layers.BatchNormalization(gamma_initializer="zeros")(branch)
        h = layers.Activation("relu")(layers.Add()([h, branch]))
    return keras.Model(inputs, head(task)(layers.GlobalAveragePooling2D()(h)))


def recurrent(cell, units, *, embed=0, **config):
    """Return a builder of a recurrent network that reads the whole sequence and answers at its end."""

    def build(task):
        model = keras.Sequential([source(task)])
        if embed:
            model.add(layers.Embedding(27, embed))
        model.add(cell(units, **{name: drawn(value) for name, value in config.items()}))
        model.add(head(task))
        return model

    return build


def attention(task, blocks=2, width=32):
    """Build a small pre-norm transformer over the rows of an image, or over symbols."""
    inputs = source(task)
    length = task.x.shape[1]
    embedded = layers.Embedding(27, width) if task.x.dtype.kind == "i" else layers.Dense(width)
    place = layers.Embedding(length, width)(ops.arange(length))
    h = embedded(inputs) + place
    for _ in range(blocks):
        n = layers.LayerNormalization()(h)
        h = layers.Add()([h, layers.MultiHeadAttention(4, width // 4)(n, n)])
        n = layers.LayerNormalization()(h)
        h = layers.Add()([h, layers.Dense(width)(layers.Dense(2 * width, "gelu")(n))])
    return keras.Model(inputs, head(task)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(h))))


def bag_of_embeddings(task):
    inputs = source(task)
    h = layers.Flatten()(layers.Embedding(27, 16)(inputs))
    return keras.Model(inputs, head(task)(layers.Dense(64, "relu")(h)))


def autoencoder(task):
    inputs = source(task)
    code = layers.Dense(8, name="code")(layers.Dense(64, "elu")(inputs))
    return keras.Model(inputs, layers.Dense(task.x.shape[1])(layers.Dense(64, "elu")(code)))


def two_halves_two_answers(task):
    """Build a model that reads the left and the right half, and answers with the digit and with its parity."""
    left, right = keras.Input((task.x.shape[1] // 2,), name="left"), keras.Input((task.x.shape[1] // 2,), name="right")
    h = layers.Concatenate()([layers.Dense(32, "relu")(left), layers.Dense(32, "relu")(right)])
    h = layers.Dense(64, "relu")(h)
    return keras.Model(
        [left, right], [layers.Dense(10, "softmax", name="digit")(h), layers.Dense(1, "sigmoid", name="odd")(h)]
    )


def frozen_below(task):
    """Build a stack whose first layer keeps its random weights."""
    model = dense(3, 128, "relu", "he_normal")(task)
    model.layers[0].trainable = False
    return model
