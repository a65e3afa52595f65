"""A watched training that runs to its end: the same bits, the true numbers, one Python call a step."""

import contextlib
import math
import sys

import keras
import numpy as np
import pytest
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
from unvanish.core.recording import STEP_STATS, WATCH_STATS
from unvanish.keras import norms as norms_module
from unvanish.keras import running as running_module
from unvanish.keras.running import Running
from unvanish.keras.shadow import shadowed
from unvanish.watching.pace import Pace

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]

QUICK = {1: EACH, 5: [EACH[0], EACH[3]], "auto": [EACH[5]]}
GRID = [
    pytest.param(net, optimizer, every, marks=[] if (net, optimizer) in quick else pytest.mark.soak)
    for every, quick in QUICK.items()
    for net in NETS
    for optimizer in OPTIMIZERS
]


def kernels_of(model):
    return [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]


class Taken:
    """Take what a training gives."""

    def __init__(self, samples=None):
        self.samples, self.glances, self.words = [] if samples is None else samples, [], []

    def sample(self, step, numbers):
        self.samples.append((step, numbers))

    def glance(self, step, mean, steps):
        self.glances.append((step, mean, steps))

    def awaits(self, step):
        self.awaited = step

    def spoilt(self, spoilt, values):
        self.words.append((spoilt.step, "spoilt", str(spoilt)))

    def says(self, step, kind, text):
        self.words.append((step, kind, text))


def running(model, every, samples):
    return Running(
        model,
        kernels_of(model),
        Pace(every),
        Taken(samples),
        lambda error: None,
        model.__dict__.get("train_function"),
        lambda: None,
    )


def read(samples):
    """Return the steps, the losses and the statistics (samples, stats, kernels)."""
    numbers = [read() for _, read in samples]
    return [step for step, _ in samples], [loss for loss, _ in numbers], np.array([stats for _, stats in numbers])


def watched(model, every, train):
    samples = []
    with shadowed(model, train_function=running(model, every, samples)):
        result = train()
    return result, *read(samples)


@pytest.mark.parametrize(("net", "optimizer", "every"), GRID)
def test_watching_changes_no_bit(net, optimizer, every, record_property):
    values, history = unwatched(net, optimizer)
    model = made(net, optimizer)
    seen, steps, losses, _ = watched(model, every, lambda: fitted(model).history)
    assert_same_bits(state(model), values)
    assert seen == history
    assert steps == {1: list(range(STEPS)), 5: [0, 5, 10], "auto": steps}[every]
    record_property("same bits", (f"Keras on {BACKEND}, {net}, {optimizer}", str(every)))
    assert np.isfinite(losses).all()
    assert steps[:3] == [0, 1, 2] or every == 5


SEVERAL = {1: [2, 3, 6, 7, 10, 11], 5: [2, 6, 10], 100: [2]}  # three steps a call, four an epoch
if BACKEND == "torch":  # where Keras takes one step a call
    SEVERAL = {1: list(range(STEPS)), 5: [0, 5, 10], 100: [0]}


@pytest.mark.parametrize(("every", "expected"), SEVERAL.items())
def test_several_steps_a_call(every, expected, record_property):
    settings = () if BACKEND == "torch" else (("steps_per_execution", 3),)
    values, history = unwatched("residual", "adam", settings)
    model = made("residual", "adam", **dict(settings))
    seen, steps, _, _ = watched(model, every, lambda: fitted(model).history)
    assert_same_bits(state(model), values)
    assert seen == history
    assert steps == expected
    record_property("same bits", (f"Keras on {BACKEND}, residual, adam, three steps a call", str(every)))


def weights_of(model):
    return [k.numpy().astype(np.float64) for k in kernels_of(model)]


def steps_of(model, count, x=None, y=None):
    inputs, labels = data()
    inputs, labels = (inputs if x is None else x), (labels if y is None else y)
    seen = [weights_of(model)]

    def train():
        for _ in range(count):
            model.train_on_batch(inputs, labels)
            seen.append(weights_of(model))

    return *watched(model, 1, train)[1:], seen


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
    _, losses, stats, weights = steps_of(linear(optimizer()), 3)
    x, y = (part.astype(np.float64) for part in data())
    for i in range(3):
        expected = {
            "gradient_norm": np.linalg.norm(true_gradient(weights[i][0])),
            "weight_norm": np.linalg.norm(weights[i][0]),
            "update_norm": np.linalg.norm(weights[i + 1][0] - weights[i][0]),
            "gradient_zeros": 0.0,
            "gradient_nonfinite": 0.0,
        }
        for stat, number in zip(STEP_STATS, stats[i, : len(STEP_STATS), 0], strict=True):
            assert number == pytest.approx(expected[stat], rel=1e-5, abs=0), stat
        assert losses[i] == pytest.approx(np.mean((x @ weights[i][0] - y) ** 2), rel=1e-5, abs=0)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e15])
def test_norms_neither_underflow_nor_overflow(scale):
    _, _, stats, weights = steps_of(linear(keras.optimizers.SGD(1e-20), scale), 1)
    assert stats[0, 0, 0] == pytest.approx(np.linalg.norm(true_gradient(weights[0][0], scale)), rel=1e-5, abs=0)


def test_zeros_and_entries_that_are_not_numbers_are_counted():
    x, y = data()
    x[:, 1] = 0  # dL/dW = x^T delta: a row of zeros
    _, _, stats, _ = steps_of(linear(keras.optimizers.SGD(0.1)), 1, x)
    assert stats[0, WATCH_STATS.index("gradient_zeros"), 0] == 3
    y[0, 2] = np.inf
    _, losses, stats, _ = steps_of(linear(keras.optimizers.SGD(0.1)), 1, y=y)
    assert stats[0, WATCH_STATS.index("gradient_nonfinite"), 0] == 4
    assert not math.isfinite(losses[0])


def test_large_kernels_are_sampled_without_bias(monkeypatch):
    monkeypatch.setattr(spaced_module, "EXACT_TOTAL", 100)
    monkeypatch.setattr(spaced_module, "SAMPLE", 1024)
    model = keras.Sequential([keras.Input((80,)), L.Dense(60, use_bias=False), L.Dense(3)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 80)).astype("float32"), rng.normal(size=(16, 3)).astype("float32")
    _, _, stats, weights = steps_of(model, 2, x, y)
    for layer, tolerance in enumerate([0.1, 1e-5]):  # the first kernel has 4800 entries, the second 180
        before, after = weights[1][layer], weights[2][layer]
        assert stats[1, 1, layer] == pytest.approx(np.linalg.norm(before), rel=tolerance, abs=0)
        assert stats[1, 2, layer] == pytest.approx(np.linalg.norm(after - before), rel=tolerance, abs=0)


def test_kernels_without_a_gradient_say_so():
    inputs = keras.Input((4,))
    used, frozen, cut = L.Dense(3), L.Dense(3, trainable=False), L.Dense(3)
    stop = L.Lambda(lambda t: keras.ops.stop_gradient(t))
    model = keras.Model(inputs, L.Add()([used(inputs), frozen(inputs), stop(cut(inputs))]))
    model.compile("sgd", "mse")
    samples = []
    run = Running(
        model,
        [used.kernel, frozen.kernel, cut.kernel],
        Pace(1),
        Taken(samples),
        lambda error: None,
        None,
        lambda: None,
    )
    with shadowed(model, train_function=run):
        model.train_on_batch(*data())
    gradient, zeros = (read(samples)[2][0, WATCH_STATS.index(stat)] for stat in ("gradient_norm", "gradient_zeros"))
    assert gradient[0] > 0
    assert math.isnan(gradient[1])
    assert gradient[2] == 0
    assert zeros.tolist()[::2] == [0, 12]


def test_a_step_that_is_not_sampled_costs_one_python_call():
    model = made("residual", "adam")
    run = running(model, 1000, [])
    arguments = {"torch": 1, "tensorflow": 1, "jax": 2}[BACKEND]
    with shadowed(model, train_function=run):
        fitted(model)
    run._plain = [].append if arguments == 1 else lambda *_: None
    run._simple, run._pace.left = True, 3  # as it is once a second function was worth its compilation
    calls = []
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        run(*[None] * arguments)
    finally:
        sys.setprofile(None)
    assert calls[0] == "__call__"
    assert len(calls) <= arguments


def test_a_second_function_is_compiled_once_the_tap_has_cost_as_much():
    model, samples = made("residual", "adam"), []
    run = running(model, 100, samples)
    tapped, plain = [], []
    run._tap, run._tapped = object(), lambda *_: tapped.append(0) or run._fake
    run._plain, run._price = lambda *_: plain.append(0) or run._result, 3.0
    run._result = ({}, None) if BACKEND == "jax" else {}
    run._fake = (({}, {"numbers": None}), None) if BACKEND == "jax" else ({}, {"numbers": None})
    for step in range(8):
        run._paid = step * 1.0
        run(*[None] * (2 if BACKEND == "jax" else 1))
    assert len(tapped) == 3  # the sample of step 0, and two whose tap had not cost the price yet
    assert len(plain) == 5
    assert run.steps == 8


def test_a_later_trace_heeds_what_the_first_one_did(monkeypatch):
    monkeypatch.setattr(Pace, "rented", lambda *_: math.inf)
    x, y = np.random.default_rng(0).normal(size=(64, 5)).astype("float32"), np.ones((64, 1), "float32")

    def trained(every):
        model = made("normalised", "adam")
        dropout = next(layer for layer in model.layers if isinstance(layer, L.Dropout))
        dropout.note = 0

        def drop(batch, logs):  # named so by Keras
            dropout.rate = 0.1 * batch
            dropout.note = np.arange(batch)  # which nothing is equal to

        run = Running(model, kernels_of(model), Pace(every or 1), taken, lambda error: None, None, lambda: None)
        with shadowed(model, train_function=run) if every else contextlib.nullcontext():
            dropping = keras.callbacks.LambdaCallback(on_train_batch_end=drop)
            model.fit(x, y, batch_size=8, verbose=0, callbacks=[dropping])
        assert dropout.rate == pytest.approx(0.7, rel=1e-9, abs=0)
        return state(model)

    taken = Taken()
    assert_same_bits(trained(5), trained(0))
    assert [step for step, _ in taken.samples] == [0, 5]


@pytest.mark.parametrize(("every", "settled"), [(1, True), (1, False), (5, True)])
def test_what_the_numbers_take_within_a_step_is_tried_out_where_no_step_is_plain(every, settled, monkeypatch):
    monkeypatch.setattr(running_module, "LASTS", 0)
    values, history = unwatched("residual", "adam")
    model, pace, taken = made("residual", "adam"), Pace(every), Taken()
    run = Running(model, kernels_of(model), pace, taken, lambda error: None, None, lambda: None)
    pace.charged(1e-9, settled=settled)
    with shadowed(model, train_function=run):
        assert fitted(model).history == history
    assert_same_bits(state(model), values)
    assert taken.words == []
    assert (pace.cost.samples, pace._inside > 0) == (STEPS if every == 1 else 3, every == 1 and settled)


def test_what_is_tried_out_are_the_numbers_of_a_sample():
    rng = np.random.default_rng(0)
    kernels = [keras.Variable(rng.normal(size=shape).astype("float32")) for shape in [(7, 5), (7, 5), (3, 4)]]
    norms = norms_module.Norms(kernels)
    table = keras.ops.convert_to_numpy(norms.as_of_a_step([kernel.value for kernel in kernels]))
    sizes = [np.linalg.norm(kernel.numpy().astype(np.float64)) for kernel in kernels]
    loss, found = norms.numbers(table)
    assert math.isnan(loss)
    for stat in ("gradient_norm", "weight_norm", "update_norm"):
        assert found[STEP_STATS.index(stat)] == pytest.approx(sizes, rel=1e-5, abs=0)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_a_step_raises_is_told(error):
    def refuse(*_):
        raise error("no")

    told = []
    run = Running(linear("sgd"), [], Pace(1), Taken(), told.append, refuse, lambda: None)
    run._tapped = refuse
    with pytest.raises(error):
        run(None, None)
    assert isinstance(told[0], error)


@pytest.mark.parametrize("ended", [StopIteration, type("OutOfRangeError", (Exception,), {})])
def test_the_end_of_an_epoch_is_no_failure(ended):
    def end(*_):
        raise ended

    told = []
    run = Running(linear("sgd"), [], Pace(1), Taken(), told.append, end, lambda: None)
    run._tapped = end
    with pytest.raises(ended):
        run(None, None)
    assert told == []
