"""What a watched Keras training shows of its layers' outputs: the true numbers, the same bits, and nothing left."""

import random

import keras
import numpy as np
import pytest
from stepped import BACKEND, EACH, STEPS, L, assert_same_bits, fitted, made, state, unwatched

import unvanish
import unvanish.keras
from unvanish.core.recording import ACTIVATION_STATS
from unvanish.keras import looks
from unvanish.watching import pace

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]


@pytest.fixture(autouse=True)
def every_sample(monkeypatch):
    monkeypatch.setattr(pace, "LOOK_STEPS", 1)


def stack(*layers, inputs=6):
    model = keras.Sequential([keras.Input((inputs,)), *layers])
    model.compile(keras.optimizers.SGD(0.5), "binary_crossentropy")
    return model


def data(rows=32, inputs=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, inputs)).astype("float32")
    return x, (x[:, :1] > 0).astype("float32")


def watched(model, folder, every=1, epochs=3, rows=32, **more):
    watch = unvanish.keras.Watch(every=every, folder=folder)
    x, y = data(rows)
    model.fit(x, y, batch_size=32, epochs=epochs, shuffle=False, verbose=0, callbacks=[watch], **more)
    return watch.recording


def agrees(found, wanted):
    assert (np.isnan(found) == np.isnan(wanted)).all()
    there = ~np.isnan(wanted)
    assert found[there] == pytest.approx(wanted[there], rel=2e-5, abs=0)


def logistic(z):
    return 1 / (1 + np.exp(-z))


def expected(weights, x):
    """Return all but the transmissions, in float64."""
    w1, b1, w2, b2, w3, b3 = weights
    z1 = x.astype(np.float64) @ w1 + b1
    z2 = np.tanh(z1) @ w2 + b2
    h2 = np.maximum(z2, 0)
    z3 = h2 @ w3 + b3
    moments = [[np.square(z).mean() for z in (z1, z2, z3)]]
    moments.append([np.square(h).mean() for h in (np.tanh(z1), h2, logistic(z3))])
    dead = [np.nan, (h2 == 0).all(axis=0).mean(), np.nan]
    slopes = logistic(z3) * logistic(-z3)
    return np.array([*moments, dead, [(1 - np.tanh(z1) ** 2 < 0.01).mean(), np.nan, (slopes < 0.0025).mean()]])


@pytest.mark.parametrize("scale", [0.1, 1.0, 20.0])
@pytest.mark.parametrize("seed", range(2))
def test_the_numbers_are_those_of_float64_by_hand(seed, scale, tmp_path):
    keras.utils.set_random_seed(seed)
    model = stack(L.Dense(8, "tanh"), L.Dense(10), L.ReLU(), L.Dense(1, "sigmoid"))
    model.layers[0].kernel.assign(model.layers[0].kernel.numpy() * scale)
    before = []
    with unvanish.watch(model, every=1, folder=tmp_path) as watch:
        for _ in range(3):
            before.append([w.astype(np.float64) for w in model.get_weights()])
            model.train_on_batch(*data())
    recording = watch.recording
    assert [event.kind for event in recording.events if event.kind != "finding"] == []
    assert recording.looked_into().all()
    for step, weights in enumerate(before):
        found = np.array([recording.array(stat)[step] for stat in ACTIVATION_STATS[:4]])
        agrees(found, expected(weights, data()[0]))
    assert np.isnan(recording.array("transmission")).all()


@pytest.mark.parametrize("dead", [0, 3, 10])
@pytest.mark.parametrize("saturated", [0, 2, 8])
def test_units_that_are_dead_or_saturated_are_counted(dead, saturated, tmp_path):
    keras.utils.set_random_seed(0)
    model = stack(L.Dense(8, "tanh"), L.Dense(10, "relu"), L.Dense(1, "sigmoid"))
    first, second, _ = model.layers
    first.kernel.assign(0.1 * first.kernel.numpy())
    first.bias.assign(np.where(np.arange(8) < saturated, -5.0, 0.0))
    second.bias.assign(np.where(np.arange(10) < dead, -100.0, 100.0))
    recording = watched(model, tmp_path, epochs=1)
    assert recording.array("dead_share")[0, 1] == pytest.approx(dead / 10, rel=1e-6, abs=0)
    assert recording.array("saturated_share")[0, 0] == pytest.approx(saturated / 8, rel=1e-6, abs=0)


def test_dropout_draws_what_the_step_draws(tmp_path):
    """The mean square behind a dropout whose mask is known: that of the step, not another one."""
    keras.utils.set_random_seed(0)
    model = stack(L.Dropout(0.5, seed=7), L.Dense(4, "tanh"), L.Dense(1, "sigmoid"))
    twin = L.Dropout(0.5, seed=7)
    with unvanish.watch(model, every=1, folder=tmp_path) as watch:
        wanted = []
        for _ in range(3):
            kernel, bias = (v.numpy().astype(np.float64) for v in model.layers[1].weights)
            masked = keras.ops.convert_to_numpy(twin(data()[0], training=True)).astype(np.float64)
            wanted.append(np.square(masked @ kernel + bias).mean())
            model.train_on_batch(*data())
    found = watch.recording.array("preactivation_second_moment")[:, 0]
    assert found == pytest.approx(wanted, rel=2e-5, abs=0)


@pytest.mark.parametrize(("net", "optimizer"), EACH)
def test_looking_into_every_step_changes_no_bit(net, optimizer, tmp_path):
    values, history = unwatched(net, optimizer)
    model = made(net, optimizer)
    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    seen = fitted(model, [watch]).history
    assert_same_bits(state(model), values)
    assert seen == history
    into, kinds = watch.recording.looked_into(), [event.kind for event in watch.recording.events]
    assert len(into) == STEPS
    if optimizer == "scaled" and BACKEND != "torch":  # such a step does not hand out its weights
        assert not into.any()
        assert kinds.count("activations") == 1
    else:  # on TensorFlow the last batch of an epoch is smaller
        assert list(np.flatnonzero(~into)) == ([3, 7, 11] if BACKEND == "tensorflow" else [])
        assert watch.cost.looks == into.sum()
        assert "activations" not in kinds


def test_no_random_number_is_drawn(tmp_path):
    states = []
    for callbacks in (None, [unvanish.keras.Watch(every=1, folder=tmp_path)]):
        fitted(made("normalised", "adam"), callbacks)
        states.append((random.getstate(), np.random.get_state()[1].tolist(), float(keras.random.normal(()))))
    assert states[0] == states[1]


def test_nothing_is_left_on_the_model(tmp_path):
    keras.utils.set_random_seed(0)
    model = made("normalised", "adam")
    fitted(model)
    before = [(layer.name, sorted(vars(layer))) for layer in model.layers]
    calls = [layer.call.__func__ for layer in model.layers]
    fitted(model, [unvanish.keras.Watch(every=1, folder=tmp_path)])
    assert [(layer.name, sorted(vars(layer))) for layer in model.layers] == before
    assert [layer.call.__func__ for layer in model.layers] == calls


@keras.saving.register_keras_serializable("looks")
class Own(L.Layer):
    """A layer whose pass does more than compute."""

    def call(self, x):
        self.calls = getattr(self, "calls", 0) + 1
        return x


@pytest.mark.parametrize("own", [True, False])
def test_what_cannot_be_looked_into_is_told_once_and_trained_all_the_same(own, tmp_path, monkeypatch):
    keras.utils.set_random_seed(0)
    model = stack(L.Dense(8, "tanh"), *([Own()] if own else []), L.Dense(1, "sigmoid"))
    if not own:
        monkeypatch.setattr(looks, "_table", lambda *_: 1 / 0)
    recording = watched(model, tmp_path)
    (event,) = [event for event in recording.events if event.kind == "activations"]
    assert ("not Keras' own" if own else "ZeroDivisionError") in event.text
    assert not recording.looked_into().any()
    assert (recording.array("gradient_norm") > 0).all()
    assert recording.cost.looks == 0


@pytest.mark.parametrize("rows", [4, 32])
def test_rules_hear_of_dead_units_and_of_how_many_samples_they_saw(rows, tmp_path):
    keras.utils.set_random_seed(0)
    model = stack(L.Dense(32, "relu"), L.Dense(32, "relu"), L.Dense(1, "sigmoid"))
    bias = np.where(np.arange(32) < 30, -30.0, 0.5)
    model.layers[1].bias.assign(bias)
    recording = watched(model, tmp_path, epochs=20, rows=rows)
    told = [event.layer for event in recording.events if "DEAD" in event.text]
    assert told == ([model.layers[1].name] if rows == 32 else [])


def test_samples_between_looks_are_not_looked_into(tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "LOOK_STEPS", 4)
    keras.utils.set_random_seed(0)
    recording = watched(stack(L.Dense(8, "tanh"), L.Dense(1, "sigmoid")), tmp_path, epochs=11)
    assert list(np.flatnonzero(recording.looked_into())) == [0, 4, 8]
    assert len(recording.steps) == 11


def test_only_sampled_steps_are_looked_into(tmp_path, monkeypatch):
    """Also while unsampled steps run the tapped function, for a second one is not worth its compilation yet."""
    calls = []
    table = looks._table

    def counting(*arguments):
        calls.append(1)
        return table(*arguments)

    monkeypatch.setattr(looks, "_table", counting)
    keras.utils.set_random_seed(0)
    model = stack(L.Dense(8, "tanh"), L.Dense(1, "sigmoid"))
    recording = watched(model, tmp_path, every=5, epochs=12)
    assert list(recording.steps) == [0, 5, 10]
    assert len(calls) == (1 if BACKEND == "jax" else 3)  # traced once
