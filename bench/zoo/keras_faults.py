"""What plants the faults of the Keras runs: initial weights, cut graphs, ends and losses that do not fit."""

from __future__ import annotations

import functools

import keras
from keras import layers, losses, ops
from keras.initializers import RandomNormal, VarianceScaling

from zoo import keras_networks as net


def normal(sd):
    """Return what makes a Gaussian initialiser, for each layer anew: one of Keras draws the same numbers every time."""
    return functools.partial(RandomNormal, 0.0, sd)


def gain(squared):
    """Return what makes an initialiser of variance `squared / fan-in`."""
    return functools.partial(VarianceScaling, squared, "fan_in")


def scaled_inside(scale):
    """Return a builder of a tanh stack with a constant factor between its third and its fourth layer."""
    three = [lambda: layers.Dense(64, "tanh")] * 3
    return net.chain(*three, lambda: layers.Rescaling(scale), *three)


def one_small(sd):
    """Return a builder of a stack one layer of which starts with small weights that training may not enlarge."""

    def small():
        return layers.Dense(64, "tanh", kernel_initializer=RandomNormal(0.0, sd), trainable=False)

    return net.chain(*[lambda: layers.Dense(64, "tanh")] * 2, small, *[lambda: layers.Dense(64, "tanh")] * 2)


def cut(stop):
    """Return a builder of two parts; stop: no gradient passes from the second to the first."""

    def build(task):
        inputs = net.source(task)
        h = layers.Dense(4, "tanh")(layers.Dense(64, "relu")(inputs))
        h = layers.Lambda(ops.stop_gradient)(h) if stop else h
        return keras.Model(inputs, net.head(task)(layers.Dense(32, "relu")(h)))

    return build


def rounded(function):
    """Return a builder with a function after a narrow layer: rounding passes no gradient."""
    return net.chain(
        lambda: layers.Dense(64, "relu"), lambda: layers.Dense(6, "tanh"), lambda: layers.Activation(function)
    )


def softmax(_):
    """Return a softmax of its own, for a layer that has one already: Keras itself undoes `from_logits` on shares."""
    return layers.Softmax()


def logits(task):
    return layers.Dense(task.classes)


def one_softmax(_):
    return layers.Dense(1, "softmax")


def same(x):
    return x


def log_of_zero(y_true, y_pred):
    """Return a cross-entropy of shares that a relu made: log of zero where it is closed."""
    shares = ops.relu(y_pred)
    own = ops.take_along_axis(shares, ops.cast(ops.reshape(y_true, (-1, 1)), "int32"), axis=1)
    return -ops.log(own / ops.sum(shares, axis=1, keepdims=True))


def small_loss(y_true, y_pred):
    """Return the cross-entropy in units so large that Adam's epsilon outweighs every gradient."""
    return losses.sparse_categorical_crossentropy(y_true, y_pred) * 1e-8
