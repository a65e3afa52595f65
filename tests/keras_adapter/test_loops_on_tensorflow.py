"""What loops on TensorFlow do besides what those on every backend do: several models, scaled losses, penalties."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from every_loop import kernels, looked
from loops import batch, sequential
from loops_on_tensorflow import by_tape

from unvanish.errors import UnsupportedError

pytestmark = pytest.mark.keras
L = keras.layers


def test_of_two_models_in_one_loop_each_is_a_training():
    def adversarial():
        generator = keras.Sequential([keras.Input((20,)), L.Dense(8, "relu", name="make"), L.Dense(20, name="made")])
        judge = keras.Sequential([keras.Input((20,)), L.Dense(8, "relu", name="read"), L.Dense(1, name="told")])
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        optimizers = keras.optimizers.Adam(), keras.optimizers.Adam()
        x, y = map(tf.constant, batch())
        for _ in range(4):
            for model, optimizer in zip((judge, generator), optimizers, strict=True):
                with tf.GradientTape() as tape:
                    value = loss(y, judge(generator(x, training=True), training=True))
                gradients = tape.gradient(value, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    first, second = (looked(adversarial, fit=number).observation for number in (1, 2))
    assert first.recording.layers == ("read", "told")
    assert second.recording.layers == ("make", "made")
    assert first.recording.total_steps == second.recording.total_steps == 4


def raw_gradients(model, loss):
    """Return the norms of the kernels' gradients on the batch, in float64, by an unwatched tape."""
    x, y = map(tf.constant, batch())
    with tf.GradientTape() as tape:
        value = loss(y, model(x, training=True))
    kernels = [layer.kernel for layer in model.layers]
    return [float(np.linalg.norm(np.asarray(g, np.float64))) for g in tape.gradient(value, kernels)]


OPTIMIZERS = {
    "clipnorm": lambda: keras.optimizers.SGD(0.1, clipnorm=1e-3),
    "global clipnorm": lambda: keras.optimizers.Adam(global_clipnorm=1e-3),
    "clipvalue": lambda: keras.optimizers.Adam(clipvalue=1e-6),
    "accumulating": lambda: keras.optimizers.Adam(gradient_accumulation_steps=2),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=2.0**10),
    "scale factor": lambda: keras.optimizers.SGD(0.1, loss_scale_factor=64.0),
    "averaged": lambda: keras.optimizers.AdamW(weight_decay=0.1, use_ema=True),
}
COMPILED = ("clipnorm", "accumulating", "scaled")
"""Optimizers that the quick suite has in a compiled step too: each takes seconds to trace."""


@pytest.mark.parametrize(
    ("make", "compiled"),
    [pytest.param(make, False, id=name) for name, make in OPTIMIZERS.items()]
    + [
        pytest.param(make, True, id=f"{name}, compiled", marks=[] if name in COMPILED else pytest.mark.soak)
        for name, make in OPTIMIZERS.items()
    ],
)
def test_what_is_read_is_the_raw_gradient_of_the_unscaled_loss(make, compiled):
    loss = keras.losses.BinaryCrossentropy()
    expected = raw_gradients(sequential(), loss)
    seen = looked(lambda: by_tape(compiled, loss=loss, optimizer=make())).observation
    assert seen.recording.array("gradient_norm")[0] == pytest.approx(expected, rel=1e-5, abs=0)
    assert seen.recording.losses[0] == pytest.approx(seen.profiles[0].loss, rel=1e-5, abs=0)
    assert kernels(seen.profiles[0], "transmission")[1]


def test_a_penalty_that_the_loop_adds_is_part_of_its_loss():
    def model():
        keras.utils.set_random_seed(1)
        penalty = keras.regularizers.L2(0.01)
        return keras.Sequential([keras.Input((20,)), L.Dense(8, "tanh", kernel_regularizer=penalty), L.Dense(1)])

    net = model()
    alone, whole = keras.losses.MeanSquaredError(), keras.losses.MeanSquaredError()

    def train(penalised):
        made = model()

        def train_once(x, y):
            with tf.GradientTape() as tape:
                value = whole(y, made(x, training=True))
                if penalised:
                    value += sum(made.losses)
            gradients = tape.gradient(value, made.trainable_variables)
            optimizer.apply(gradients, made.trainable_variables)

        optimizer = keras.optimizers.SGD(0.01)
        for _ in range(3):
            train_once(*map(tf.constant, batch()))

    x, y = map(tf.constant, batch())
    plain = float(alone(y, net(x)))
    without, with_it = (looked(lambda p=p: train(p)).observation.profiles[0].loss for p in (False, True))
    assert without == pytest.approx(plain, rel=1e-5, abs=0)
    assert with_it == pytest.approx(plain + 0.01 * float(tf.reduce_sum(net.layers[0].kernel ** 2)), rel=1e-5, abs=0)


def test_gradients_that_no_tape_gave_are_refused():
    def finite():
        model, optimizer = sequential(), keras.optimizers.SGD(0.1)
        optimizer.apply([tf.ones(v.shape) for v in model.trainable_variables], model.trainable_variables)

    with pytest.raises(UnsupportedError, match="cannot be looked at") as caught:
        looked(finite)
    assert "tape.gradient" in str(caught.value)


def test_a_loop_on_variables_of_no_model_is_no_training():
    def alone():
        variable, optimizer = keras.Variable([1.0]), keras.optimizers.SGD(0.1)
        with tf.GradientTape() as tape:
            loss = variable.value**2
        optimizer.apply([tape.gradient(loss, variable.value)], [variable])

    assert looked(alone).observation is None
