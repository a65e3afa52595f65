"""Thirty Keras runs with a planted disease, each beside its cured twin."""

from __future__ import annotations

import functools

from keras import layers, losses, ops
from keras.initializers import Constant, Identity, RandomNormal, RandomUniform, VarianceScaling

from zoo import keras_networks as net
from zoo.case import Case, opt

EXPLODING, VANISHING, SATURATED, DEAD = "exploding", "vanishing", "saturated", "dead"
BLOCKED, NONFINITE, STEP, WARNED = "blocked", "nonfinite", "untrainable-step", "healthy"


def normal(sd):
    """Return what makes a Gaussian initialiser: a new one for each layer, or all kernels would be the same."""
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
    small = functools.partial(layers.Dense, 64, "tanh", kernel_initializer=RandomNormal(0.0, sd), trainable=False)
    return net.chain(*[lambda: layers.Dense(64, "tanh")] * 2, small, *[lambda: layers.Dense(64, "tanh")] * 2)


def cut(stop):
    """Return a builder of two parts; stop: no gradient passes from the second to the first."""

    def build(task):
        from keras import Model

        inputs = net.source(task)
        h = layers.Dense(4, "tanh")(layers.Dense(64, "relu")(inputs))
        h = layers.Lambda(ops.stop_gradient)(h) if stop else h
        return Model(inputs, net.head(task)(layers.Dense(32, "relu")(h)))

    return build


def rounded(function):
    """Return a builder with a function after a narrow layer: rounding passes no gradient."""
    return net.chain(
        lambda: layers.Dense(64, "relu"), lambda: layers.Dense(6, "tanh"), lambda: layers.Activation(function)
    )


def twice(task):
    """Return an output layer that gives shares, for a loss that makes shares of them again."""
    return layers.Dense(task.classes, "softmax")


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


FROM_LOGITS = losses.SparseCategoricalCrossentropy(from_logits=True)
TANH_11, RELU_3 = net.dense(11, 64, "tanh"), net.dense(3, 64, "relu", "he_normal")
STATE_KEPT = net.recurrent(layers.SimpleRNN, 32, activation="relu", recurrent_initializer=Identity(1.0))

CASES = (
    # vanishing
    Case(
        name="keras-sigmoid-11",
        family="dense",
        task="digits",
        build=net.dense(11, 64, "sigmoid"),
        optimizer=opt("Adam", 1e-3),
        root=VANISHING,
        codes=("GF101", "GF601"),
        cured={"build": TANH_11},
    ),
    Case(
        name="keras-small-init",
        family="dense",
        task="digits",
        build=net.dense(10, 64, "relu", normal(0.01)),
        optimizer=opt("Adam", 1e-3),
        root=VANISHING,
        codes=("GF101", "GF104", "GF601"),
        cured={"build": net.dense(10, 64, "relu", "he_normal")},
    ),
    Case(
        name="keras-hard-sigmoid-8",
        family="dense",
        task="digits",
        build=net.dense(8, 64, "hard_sigmoid"),
        optimizer=opt("RMSprop", 1e-3),
        root=VANISHING,
        codes=("GF101", "GF601"),
        cured={"build": net.dense(8, 64, "tanh")},
    ),
    Case(
        name="keras-conv-sigmoid-8",
        family="conv",
        task="bars",
        build=net.conv(8, 12, "sigmoid", "glorot_uniform"),
        optimizer=opt("Adam", 3e-3),
        root=VANISHING,
        codes=("GF101", "GF601"),
        cured={"build": net.conv(8, 12)},
    ),
    Case(
        name="keras-glorot-relu-30",
        family="dense",
        task="digits",
        build=net.dense(30, 64, "relu", "glorot_uniform"),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        root=VANISHING,
        codes=("GF101", "GF104", "GF601"),
        cured={"build": net.dense(30, 64, "tanh", "orthogonal")},
    ),
    Case(
        name="keras-scaled-down-inside",
        family="dense",
        task="digits",
        build=scaled_inside(1e-4),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        root=VANISHING,
        codes=("GF103", "GF104"),
        cured={"build": scaled_inside(1.0)},
    ),
    Case(
        name="keras-one-small-layer",
        family="frozen",
        task="digits",
        build=one_small(1e-5),
        optimizer=opt("SGD", 0.02, momentum=0.9),
        root=VANISHING,
        codes=("GF103", "GF104"),
        cured={"build": one_small(0.125)},
    ),
    Case(
        name="keras-simple-rnn-60",
        family="recurrent",
        task="first_of_60",
        build=net.recurrent(layers.SimpleRNN, 32, recurrent_initializer=gain(0.25)()),
        optimizer=opt("Adam", 1e-3, clipnorm=1.0),
        root=VANISHING,
        codes=("GF701",),
        cured={"build": STATE_KEPT},
    ),
    # exploding
    Case(
        name="keras-large-init",
        family="dense",
        task="digits",
        build=net.dense(8, 64, "relu", normal(1.0)),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        root=EXPLODING,
        accept=(NONFINITE,),
        codes=("GF102", "GF105", "GF602"),
        cured={"build": net.dense(8, 64, "relu", "he_normal")},
    ),
    Case(
        name="keras-chaotic-tanh-30",
        family="dense",
        task="digits",
        build=net.dense(30, 64, "tanh", gain(6.0)),
        optimizer=opt("SGD", 0.005, momentum=0.9),
        epochs=15,
        root=EXPLODING,
        accept=(SATURATED,),
        codes=("GF102", "GF602"),
        cured={"build": net.dense(30, 64, "tanh", "orthogonal")},
    ),
    Case(
        name="keras-batch-norm-50",
        family="normalised",
        task="digits",
        build=net.dense(50, 48, "relu", norm=layers.BatchNormalization),
        optimizer=opt("SGD", 0.02, momentum=0.9),
        root=EXPLODING,
        codes=("GF102",),
        cured={"build": net.residual(25, 48, norm=functools.partial(layers.BatchNormalization, momentum=0.9), scale=0.1)},
    ),
    Case(
        name="keras-residual-unscaled",
        family="residual",
        task="digits",
        build=net.residual(30, 48, scale=2.0),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        root=EXPLODING,
        accept=(NONFINITE,),
        codes=("GF105", "GF102", "GF602"),
        cured={"build": net.residual(30, 48, scale=0.01)},
    ),
    Case(
        name="keras-rnn-explodes",
        family="recurrent",
        task="first_of_60",
        build=net.recurrent(layers.SimpleRNN, 32, activation="relu", recurrent_initializer=Identity(2.5)),
        optimizer=opt("Adam", 1e-3),
        root=EXPLODING,
        accept=(NONFINITE,),
        codes=("GF702",),
        cured={"build": STATE_KEPT},
    ),
    # saturated and dead
    Case(
        name="keras-tanh-pixels",
        family="dense",
        task="digits_pixels",
        build=net.dense(2, 64, "tanh", normal(0.5)),
        optimizer=opt("SGD", 0.01, momentum=0.9),
        root=SATURATED,
        codes=("GF201", "GF902"),
        cured={"task": "digits", "build": net.dense(2, 64, "tanh")},
    ),
    Case(
        name="keras-sigmoid-huge-weights",
        family="binary",
        task="cancer",
        build=net.dense(3, 32, "sigmoid", normal(20.0)),
        optimizer=opt("SGD", 0.1, momentum=0.9),
        root=SATURATED,
        codes=("GF201", "GF602"),
        cured={"build": net.dense(3, 32, "tanh")},
    ),
    Case(
        name="keras-relu-low-biases",
        family="dense",
        task="digits",
        build=net.dense(3, 64, "relu", "he_normal", bias_initializer=Constant(-6.0)),
        optimizer=opt("Adam", 1e-3),
        root=DEAD,
        accept=(BLOCKED,),
        codes=("GF202",),
        cured={"build": RELU_3},
    ),
    Case(
        name="keras-relu-below-zero",
        family="conv",
        task="digits_images",
        build=net.conv(3, 24, "relu", RandomUniform(-0.3, 0.0)),
        optimizer=opt("SGD", 0.05, momentum=0.9),
        root=DEAD,
        accept=(BLOCKED,),
        codes=("GF202",),
        cured={"build": net.conv(3, 24)},
    ),
    # the step
    Case(
        name="keras-rate-tiny",
        family="conv",
        task="bars",
        build=net.conv(4, 16, norm=layers.BatchNormalization),
        optimizer=opt("SGD", 1e-6),
        epochs=15,
        root=STEP,
        codes=("GF301",),
        cured={"optimizer": opt("SGD", 0.05, momentum=0.9)},
    ),
    Case(
        name="keras-rate-huge",
        family="regression",
        task="friedman",
        build=net.dense(2, 64, "tanh"),
        optimizer=opt("SGD", 10.0),
        root=STEP,
        accept=(SATURATED, NONFINITE, EXPLODING),
        codes=("GF302",),
        cured={"optimizer": opt("SGD", 0.05)},
    ),
    # not finite
    Case(
        name="keras-nan-in-data",
        family="binary",
        task="cancer_nan",
        build=net.dense(2, 32, "relu"),
        optimizer=opt("Adam", 3e-3),
        root=NONFINITE,
        codes=("GF401",),
        cured={"task": "cancer"},
    ),
    Case(
        name="keras-log-of-zero",
        family="dense",
        task="digits",
        build=net.chain(lambda: layers.Dense(64, "relu"), end=logits),
        optimizer=opt("Adam", 3e-3),
        loss=log_of_zero,
        root=NONFINITE,
        codes=("GF401",),
        cured={"loss": FROM_LOGITS},
    ),
    # blocked
    Case(
        name="keras-gradient-stopped",
        family="dense",
        task="digits",
        build=cut(stop=True),
        optimizer=opt("Adam", 3e-3),
        epochs=15,
        root=BLOCKED,
        codes=("GF501",),
        cured={"build": cut(stop=False)},
    ),
    Case(
        name="keras-all-zero",
        family="dense",
        task="digits",
        build=net.dense(3, 64, "relu", "zeros"),
        optimizer=opt("Adam", 1e-3),
        root=BLOCKED,
        accept=(DEAD,),
        codes=("GF502", "GF603"),
        cured={"build": RELU_3},
    ),
    Case(
        name="keras-rounded",
        family="dense",
        task="digits",
        build=rounded(ops.round),
        optimizer=opt("Adam", 3e-3),
        epochs=15,
        root=BLOCKED,
        codes=("GF502", "GF501"),
        cured={"build": rounded(same)},
    ),
    Case(
        name="keras-constant-init",
        family="dense",
        task="digits",
        build=net.dense(3, 64, "tanh", functools.partial(Constant, 0.05)),
        optimizer=opt("Adam", 1e-3),
        root=BLOCKED,
        codes=("GF603",),
        cured={"build": net.dense(3, 64, "tanh")},
    ),
    Case(
        name="keras-softmax-of-one",
        family="binary",
        task="cancer",
        build=net.chain(lambda: layers.Dense(32, "relu"), end=one_softmax),
        optimizer=opt("Adam", 3e-3),
        root=BLOCKED,
        codes=("GF904", "GF502"),
        cured={"build": net.chain(lambda: layers.Dense(32, "relu"))},
    ),
    # warned of
    Case(
        name="keras-epsilon-floor",
        family="dense",
        task="digits",
        build=RELU_3,
        optimizer=opt("Adam", 1e-3),
        loss=small_loss,
        root=WARNED,
        accept=(STEP,),
        codes=("GF303", "GF301"),
        cured={"loss": None},
    ),
    Case(
        name="keras-random-labels",
        family="noisy labels",
        task="digits_random",
        build=RELU_3,
        optimizer=opt("Adam", 1e-3),
        root=WARNED,
        codes=("GF901",),
        cured={"task": "digits"},
    ),
    Case(
        name="keras-softmax-twice",
        family="dense",
        task="digits",
        build=net.chain(lambda: layers.Dense(64, "relu"), end=twice),
        optimizer=opt("SGD", 0.02, momentum=0.9),
        loss=FROM_LOGITS,
        epochs=8,
        root=WARNED,
        accept=(STEP,),
        codes=("GF904",),
        cured={"build": net.chain(lambda: layers.Dense(64, "relu"), end=logits)},
    ),
    Case(
        name="keras-statistics-lag",
        family="normalised",
        task="digits",
        build=net.dense(4, 64, "relu", norm=functools.partial(layers.BatchNormalization, momentum=0.999)),
        optimizer=opt("Adam", 1e-3),
        epochs=6,
        root=WARNED,
        codes=("GF905",),
        cured={"build": net.dense(4, 64, "relu", norm=functools.partial(layers.BatchNormalization, momentum=0.9))},
    ),
)
