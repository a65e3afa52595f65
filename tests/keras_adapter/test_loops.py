"""Every kind of loop gives the verdict and the numbers of fit, and is the loop that it would have been."""

import random
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from loops import LOOPS, MADE, STEPS, batch, by_batches, by_compiled_tape, by_fit, by_tape, sequential

from unvanish.api import diagnose
from unvanish.errors import UnsupportedError
from unvanish.keras import compat
from unvanish.keras.capture import Capture
from unvanish.watching.session import Enough, Plan

pytestmark = pytest.mark.keras
L = keras.layers
UNPROBED = {"train_step with its own loss", "compiled tape, loss unknown"}


def looked(train, steps=STEPS, **plan):
    """Return what a capture saw of a script that is this function."""
    seen = Capture(Plan(steps=steps, **plan), lambda *_: None, Path(__file__))
    try:
        with seen:
            train()
    except Enough:
        pass
    if seen.error is not None:
        raise seen.error
    return seen


@pytest.fixture(scope="module")
def fitted():
    return looked(by_fit).observation


def kernels(profile, field):
    return [getattr(layer, field) for layer in profile.layers if layer.gradient_norm is not None]


@pytest.mark.parametrize("kind", LOOPS)
def test_every_loop_gives_the_verdict_and_the_numbers_of_fit(kind, fitted):
    seen = looked(LOOPS[kind])
    found = seen.observation
    assert diagnose(found).verdict == diagnose(fitted).verdict == "vanishing"
    first, expected = found.profiles[0], fitted.profiles[0]
    assert first.loss == pytest.approx(expected.loss, rel=1e-4, abs=0)
    fields = ["gradient_norm", "gradient_rms", "weight_norm"]
    if kind not in UNPROBED:
        fields += ["transmission", "activation_transmission", "preactivation_gradient_norm", "correlation"]
        assert found.loss.kind == "binary_crossentropy" or kind == "train_step with its own loss"
        assert [p.step for p in found.profiles] == [0, STEPS]
    else:
        assert any("could not be computed again" in words for words in found.not_checked)
    for field in fields:
        known = kernels(first, field), kernels(expected, field)
        assert [v for v in known[0] if v] == pytest.approx([v for v in known[1] if v], rel=1e-4, abs=0), field
    assert found.recording.total_steps == STEPS
    for stat in ("gradient_norm", "update_norm", "weight_norm", "movement"):
        assert found.recording.array(stat) == pytest.approx(fitted.recording.array(stat), rel=2e-3, abs=0), stat
    assert found.recording.losses == pytest.approx(fitted.recording.losses, rel=1e-4, abs=0)
    assert [p.optimised for p in found.network.parameters] == [True] * 20
    assert {leaf.name for leaf in found.network.layers if leaf.kind != "input"} <= seen.sites.keys()


def state(model):
    optimizer = getattr(model, "own_optimizer", None) or model.optimizer
    return [v.numpy().tobytes() for v in [*model.variables, *optimizer.variables]]


@pytest.mark.parametrize("kind", LOOPS)
def test_a_loop_that_is_looked_at_is_the_loop_it_would_have_been(kind):
    expected, draws = state(LOOPS[kind]()), (random.getstate(), np.random.get_state()[1].tolist())
    seen = looked(LOOPS[kind], steps=1000)
    assert seen.observation.recording.total_steps == STEPS
    assert state(MADE[-1]) == expected
    assert (random.getstate(), np.random.get_state()[1].tolist()) == draws


PATCHED = (
    (keras.Model, "fit"),
    (keras.Model, "train_on_batch"),
    (keras.Model, "__call__"),
    (L.Layer, "__init__"),
    (keras.losses.Loss, "__call__"),
    (keras.optimizers.Optimizer, "apply"),
    (keras.optimizers.LossScaleOptimizer, "apply"),
    (tf.GradientTape, "gradient"),
    (compat.compiled_function(), "__call__"),
)


@pytest.mark.parametrize("kind", LOOPS)
def test_nothing_stays_patched(kind):
    before = [getattr(owner, name) for owner, name in PATCHED]
    own = [name in vars(owner) for owner, name in PATCHED]
    looked(LOOPS[kind])
    assert [getattr(owner, name) for owner, name in PATCHED] == before
    assert [name in vars(owner) for owner, name in PATCHED] == own


def test_enough_ends_the_script_and_cannot_be_caught_for_long():
    steps = []

    def stubborn():
        for _ in range(3):
            try:
                by_tape()
            except BaseException:
                steps.append(1)

    seen = looked(stubborn, steps=2)
    assert seen.observation.recording.total_steps == 2
    assert len(steps) == 3


@pytest.mark.parametrize("train", [by_tape, by_batches, by_compiled_tape])
def test_an_exception_keeps_what_was_measured(train):
    def broken():
        train()
        raise RuntimeError("the user's")

    seen = Capture(Plan(steps=100), lambda *_: None, Path(__file__))
    with pytest.raises(RuntimeError, match="the user's"), seen:
        broken()
    assert seen.observation.recording.total_steps == STEPS
    assert [p.step for p in seen.observation.profiles] == [0]


def test_the_second_training_is_looked_at_when_it_is_asked_for():
    def two():
        by_fit()
        by_tape()
        by_batches()

    assert looked(two, fit=1).observation.network.name != looked(two, fit=2).observation.network.name
    for number, kind in ((1, "binary_crossentropy"), (2, "binary_crossentropy"), (3, "binary_crossentropy")):
        seen = looked(two, fit=number).observation
        assert seen.loss.kind == kind
        assert seen.recording.total_steps == STEPS
    assert looked(two, fit=4).observation is None


def test_several_fits_of_one_model():
    model = sequential()

    def three():
        for _ in range(3):
            by_fit(model)

    start = looked(three, fit=3).observation.profiles[0]
    again = sequential()
    for _ in range(2):
        by_fit(again)
    expected = looked(lambda: by_fit(again)).observation.profiles[0]
    assert kernels(start, "gradient_norm") == pytest.approx(kernels(expected, "gradient_norm"), rel=1e-5, abs=0)


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


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.optimizers.SGD(0.1, clipnorm=1e-3),
        lambda: keras.optimizers.Adam(global_clipnorm=1e-3),
        lambda: keras.optimizers.Adam(clipvalue=1e-6),
        lambda: keras.optimizers.Adam(gradient_accumulation_steps=2),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), initial_scale=2.0**10),
        lambda: keras.optimizers.SGD(0.1, loss_scale_factor=64.0),
        lambda: keras.optimizers.AdamW(weight_decay=0.1, use_ema=True),
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
