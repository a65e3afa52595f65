"""Watched training: the same bits, the true numbers, and no trace."""

import math
from contextlib import nullcontext

import keras
import numpy as np
import pytest
from own_steps import Enclosed, Own
from stepped import (
    BACKEND,
    EACH,
    NETS,
    OPTIMIZERS,
    STEPS,
    L,
    assert_same_bits,
    data,
    fitted,
    linear,
    made,
    state,
    true_gradient,
    unwatched,
)

from unvanish.core import spaced as spaced_module
from unvanish.core.recording import LAYER_STATS
from unvanish.keras import backends
from unvanish.keras.steps import watched
from unvanish.watching.session import Enough, Plan, Session

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]


def kernels_of(model):
    return [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]


def session_of(model, *, planned=STEPS, samples=1000, steps=None):
    kernels = kernels_of(model)
    plan = Plan(samples=samples, steps=steps)
    return Session(plan, [k.path for k in kernels], [math.prod(k.shape) for k in kernels], planned, lambda *_: None)


def watched_fit(net, optimizer, *, samples, settings=()):
    model = made(net, optimizer, **dict(settings))
    session = session_of(model, samples=samples)
    with watched(model, session, kernels_of(model), plain=samples < STEPS):
        history = fitted(model).history
    return model, history, session.recording()


GRID = [
    pytest.param(net, optimizer, marks=[] if (net, optimizer) in EACH else pytest.mark.soak)
    for net in NETS
    for optimizer in OPTIMIZERS
]
SLOW_ON_JAX = [pytest.mark.soak] if BACKEND == "jax" else []  # operation by operation


@pytest.mark.parametrize(("net", "optimizer"), GRID)
def test_watching_every_step_changes_no_bit(net, optimizer):
    values, history = unwatched(net, optimizer)
    model, seen, recording = watched_fit(net, optimizer, samples=1000)
    assert_same_bits(state(model), values)
    assert seen == history
    assert recording.steps == tuple(range(STEPS))
    assert recording.total_steps == STEPS


@pytest.mark.parametrize(("net", "optimizer"), [EACH[0], EACH[3], EACH[5]])
def test_watching_every_third_step_changes_no_bit(net, optimizer):
    values, history = unwatched(net, optimizer)
    model, seen, recording = watched_fit(net, optimizer, samples=4)
    assert_same_bits(state(model), values)
    assert seen == history
    assert recording.steps == (0, 1, 2, 3, 6, 9, 11)


WAYS = [
    pytest.param((("run_eagerly", True),), marks=SLOW_ON_JAX),
    pytest.param((("jit_compile", True),), marks=pytest.mark.soak),
    pytest.param((("jit_compile", False),), marks=pytest.mark.soak),
]
if BACKEND != "torch":  # where Keras takes one step a call
    WAYS += [(("steps_per_execution", 3),), pytest.param((("steps_per_execution", 5),), marks=pytest.mark.soak)]


@pytest.mark.parametrize("settings", WAYS, ids=str)
def test_ways_of_running_change_no_bit(settings):
    values, history = unwatched("residual", "adam", settings)
    model, seen, recording = watched_fit("residual", "adam", samples=1000, settings=settings)
    assert_same_bits(state(model), values)
    assert seen == history
    assert recording.total_steps == STEPS
    several = {3: (2, 3, 6, 7, 10, 11), 5: (3, 7, 11)}  # the last step of each call; an epoch has four
    assert recording.steps == several.get(dict(settings).get("steps_per_execution"), tuple(range(STEPS)))


def steps_of(model, count, x=None):
    """Take so many steps on the same batch; return the recording and the weights before and after each."""
    inputs, labels = data()
    inputs = inputs if x is None else x
    session = session_of(model, planned=None, steps=count + 1)
    weights = [model.layers[0].kernel.numpy().astype(np.float64)]
    with watched(model, session, kernels_of(model)):
        for _ in range(count):
            model.train_on_batch(inputs, labels)
            weights.append(model.layers[0].kernel.numpy().astype(np.float64))
    return session.recording(), weights


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.SGD(0.1),
        lambda: keras.optimizers.SGD(0.1, clipnorm=1e-3),
        lambda: keras.optimizers.SGD(0.1, loss_scale_factor=1024.0),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=4096.0),
    ],
    ids=["plain", "clipped", "scaled", "LossScaleOptimizer"],
)
def test_numbers_are_those_of_numpy_raw_before_clipping_and_after_unscaling(optimizer):
    recording, weights = steps_of(linear(optimizer()), 3)
    for i in range(3):
        expected = {
            "gradient_norm": np.linalg.norm(true_gradient(weights[i])),
            "weight_norm": np.linalg.norm(weights[i]),
            "update_norm": np.linalg.norm(weights[i + 1] - weights[i]),
            "movement": np.linalg.norm(weights[i] - weights[0]) / np.linalg.norm(weights[0]),
            "gradient_nonfinite": 0.0,
        }
        for stat in LAYER_STATS:
            assert recording.array(stat)[i, 0] == pytest.approx(expected[stat], rel=1e-5, abs=0), stat
    x, y = (part.astype(np.float64) for part in data())
    losses = [np.mean((x @ w - y) ** 2) for w in weights[:3]]
    assert recording.losses == pytest.approx(losses, rel=1e-5, abs=0)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e15])
@pytest.mark.parametrize("large", [True, False])
def test_norms_neither_underflow_nor_overflow(scale, large, monkeypatch):
    monkeypatch.setattr(backends.current(), "LARGE", 0 if large else 2**18, raising=False)
    recording, weights = steps_of(linear(keras.optimizers.SGD(1e-20), scale=scale), 1)
    expected = np.linalg.norm(true_gradient(weights[0], scale))
    assert recording.array("gradient_norm")[0, 0] == pytest.approx(expected, rel=1e-5, abs=0)


@pytest.mark.parametrize("large", [True, False])
def test_entries_that_are_not_numbers_are_counted(large, monkeypatch):
    monkeypatch.setattr(backends.current(), "LARGE", 0 if large else 2**18, raising=False)
    x, _ = data()
    x[0, 1] = np.nan  # dL/dW = x^T delta, and delta of that sample is nan too: everything is
    recording, _ = steps_of(linear(keras.optimizers.SGD(0.1)), 1, x)
    assert recording.array("gradient_nonfinite")[0, 0] == 12
    assert math.isnan(recording.losses[0])


def test_large_kernels_are_sampled_without_bias(monkeypatch):
    monkeypatch.setattr(spaced_module, "EXACT_TOTAL", 100)
    monkeypatch.setattr(spaced_module, "SAMPLE", 1024)
    model = keras.Sequential([keras.Input((80,)), L.Dense(60, use_bias=False), L.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    rng = np.random.default_rng(0)
    session = session_of(model, planned=None, steps=9)
    weights = []
    with watched(model, session, kernels_of(model)):
        for _ in range(3):
            weights.append([k.numpy() for k in kernels_of(model)])
            model.train_on_batch(rng.normal(size=(16, 80)).astype("float32"), rng.normal(size=(16, 1)))
    recording, after = session.recording(), [k.numpy() for k in kernels_of(model)]
    tolerance = [0.1, 1e-5]  # the first kernel has 4800 entries, the second 60
    for layer in range(2):
        start, last = weights[0][layer], weights[2][layer]
        expected = {
            "weight_norm": np.linalg.norm(last),
            "update_norm": np.linalg.norm(after[layer] - last),
            "movement": np.linalg.norm(last - start) / np.linalg.norm(start),
        }
        for stat, number in expected.items():
            assert recording.array(stat)[2, layer] == pytest.approx(number, rel=tolerance[layer], abs=0), stat


def test_kernels_without_a_gradient_say_so():
    inputs = keras.Input((4,))
    used, frozen, cut = L.Dense(3), L.Dense(3, trainable=False), L.Dense(3)
    stop = L.Lambda(lambda t: keras.ops.stop_gradient(t))
    model = keras.Model(inputs, L.Add()([used(inputs), frozen(inputs), stop(cut(inputs))]))
    model.compile("sgd", "mse")
    kernels = [used.kernel, frozen.kernel, cut.kernel]
    session = Session(Plan(steps=2), ["used", "frozen", "cut"], [12] * 3, None, lambda *_: None)
    with watched(model, session, kernels):
        model.train_on_batch(*data())
    norms = session.recording().array("gradient_norm")[0]
    assert norms[0] > 0
    assert math.isnan(norms[1])
    assert norms[2] == 0
    assert session.recording().array("movement")[0].tolist() == [0, 0, 0]


def test_a_kernel_that_starts_at_zero_has_moved_infinitely_far():
    model = linear(keras.optimizers.SGD(0.1))
    model.layers[0].kernel.assign(np.zeros((4, 3)))
    recording, _ = steps_of(model, 2)
    assert recording.array("movement")[:, 0].tolist() == [0, math.inf]


def attributes(model):
    return [dict(owner.__dict__) for owner in (model, model.optimizer, *model.layers)]


def assert_same_attributes(found, expected):
    for after, before in zip(found, expected, strict=True):
        assert after.keys() == before.keys()
        assert [name for name in before if after[name] is not before[name]] == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Enough])
def test_nothing_is_left_behind_when_training_is_interrupted(error):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise error

    model = made("residual", "adam", run_eagerly=BACKEND != "jax")
    model.fit(*[np.zeros((4, n), "float32") for n in (5, 1)], verbose=0)  # builds what a first step builds
    before, variables = attributes(model), len(model.optimizer.variables)
    session = session_of(model)
    with pytest.raises(error), watched(model, session, kernels_of(model)):
        fitted(model, [Interrupt()])
    left = {"history", "_eval_epoch_iterator", "training", "_jax_state", "_jax_state_synced"} & before[0].keys()
    for name in left:  # fit leaves these by itself
        model.__dict__[name] = before[0][name]
    assert_same_attributes(attributes(model), before)
    assert len(model.optimizer.variables) == variables
    assert session.recording().steps == (0, 1, 2)


def test_training_stops_when_enough_was_seen_but_not_at_its_own_end():
    model = made("residual", "sgd", run_eagerly=True)
    session = session_of(model, steps=5)
    with pytest.raises(Enough), watched(model, session, kernels_of(model)):
        fitted(model)
    assert session.done == 5
    session = session_of(model)
    with watched(model, session, kernels_of(model)):
        history = fitted(model)
        assert len(history.epoch) == 3
        with pytest.raises(Enough):
            fitted(model)
    assert session.done == STEPS


def test_a_train_function_that_is_there_is_used_for_plain_steps():
    model = made("residual", "sgd")
    fitted(model)
    function, session = model.train_function, session_of(model, samples=4)
    with watched(model, session, kernels_of(model)) as steps:
        fitted(model)
    assert (len(steps.watched_seconds), len(steps.plain_seconds)) == (7, 5)
    assert model.train_function is function


def test_a_train_step_of_the_users_own_is_tapped_too():
    inputs = keras.Input((4,))
    model = Own(inputs, L.Dense(3, use_bias=False)(inputs))
    model.compile(keras.optimizers.SGD(0.1))
    start = model.layers[1].kernel.numpy().astype(np.float64)
    session = session_of(model, planned=None, steps=9)
    with watched(model, session, kernels_of(model)):
        assert model.fit(*data(), verbose=0).history.keys() == {"mine"}
    recording = session.recording()
    expected = np.linalg.norm(true_gradient(start))
    assert recording.array("gradient_norm")[0, 0] == pytest.approx(expected, rel=1e-5, abs=0)
    x, y = (part.astype(np.float64) for part in data())  # its loss never passes through compute_loss: read off the logs
    assert recording.losses[0] == pytest.approx(np.mean((x @ start - y) ** 2), rel=1e-5, abs=0)


if Enclosed:  # torch traces nothing

    @pytest.mark.parametrize("kind", Enclosed)
    @pytest.mark.parametrize("settings", [{"jit_compile": False}, {"run_eagerly": True}, {}])
    def test_a_step_that_is_taken_where_no_tensor_leaves_is_trained_all_the_same(kind, settings):
        def trained(watching):
            keras.utils.set_random_seed(3)
            inputs = keras.Input((4,))
            model = kind(inputs, L.Dense(3, use_bias=False)(inputs))
            model.layers[1].kernel.assign(np.random.default_rng(1).normal(size=(4, 3)))
            model.compile(keras.optimizers.Adam(0.1), "mse", **settings)
            session = session_of(model, planned=None, steps=9)
            with watched(model, session, kernels_of(model)) if watching else nullcontext():
                history = model.fit(*data(), epochs=3, verbose=0).history
            return state(model), history, session.recording()

        (values, history, _), (expected, same, _) = trained(True), trained(False)
        assert_same_bits(values, expected)
        assert history == same
        recording = trained(True)[2]
        assert list(recording.losses) == pytest.approx(history["mine"], rel=1e-6, abs=0)
        seen = settings.get("run_eagerly") and BACKEND == "tensorflow" and "Branching" in kind.__name__
        assert np.isnan(recording.array("gradient_norm")).all() != bool(seen)


def test_a_model_without_kernels_can_be_watched():
    model = keras.Sequential([keras.Input((4,)), L.BatchNormalization(), L.Lambda(lambda t: t[:, :3])])
    model.compile("sgd", "mse")
    session = Session(Plan(steps=9), [], [], None, lambda *_: None)
    with watched(model, session, []):
        model.train_on_batch(*data())
    assert session.recording().array("gradient_norm").shape == (1, 0)
