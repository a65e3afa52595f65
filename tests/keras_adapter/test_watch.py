"""`unvanish.keras.Watch`: a fit is recorded, bit for bit the fit that it would have been, and nothing is left of it."""

import threading
import time

import keras
import numpy as np
import pytest
from stepped import BACKEND, STEPS, L, assert_same_bits, fitted, made, state, unwatched

import unvanish
from unvanish.core.recording import WATCH_STATS
from unvanish.errors import UnsupportedError, UsageError

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]


def watching():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("unvanish")]


def test_a_fit_is_recorded_and_is_the_fit_that_it_would_have_been(tmp_path):
    values, history = unwatched("normalised", "adamw")
    model = made("normalised", "adamw")
    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    assert fitted(model, [watch]).history == history
    assert_same_bits(state(model), values)
    found = unvanish.load(watch.run)
    assert found.to_json() == watch.recording.to_json()  # nan equals nothing
    assert watch.run.parent == tmp_path / model.name
    assert found.steps == tuple(range(STEPS))
    assert found.total_steps == STEPS
    assert found.layers == tuple(layer.name for layer in model.layers if hasattr(layer, "kernel"))
    assert found.sizes == tuple(layer.kernel.numpy().size for layer in model.layers if hasattr(layer, "kernel"))
    assert found.stats == WATCH_STATS
    assert (found.array("gradient_norm") > 0).all()
    before, step = (found.array(stat)[-1, 0] for stat in ("weight_norm", "update_norm"))
    assert 0 < step < before
    assert abs(np.linalg.norm(values[0]) - before) <= step * (1 + 1e-4)  # the last step's: before it and after
    assert found.cost.samples == STEPS
    assert BACKEND in found.about.framework
    assert watching() == []


def test_a_second_fit_is_a_run_of_its_own(tmp_path):
    model = made("residual", "sgd")
    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    fitted(model, [watch])
    first = watch.run
    fitted(model, [watch])
    assert watch.run != first
    assert unvanish.load(first).steps == unvanish.load(watch.run).steps == tuple(range(STEPS))


def test_of_two_watches_the_first_sees_all_steps_and_nothing_is_left(tmp_path, capsys):
    values, history = unwatched("residual", "sgd")
    model = made("residual", "sgd")
    first, second = (unvanish.keras.Watch(every=1, folder=tmp_path) for _ in range(2))
    before = attributes(model)
    assert fitted(model, [first, second]).history == history
    assert_same_bits(state(model), values)
    assert first.recording.steps == tuple(range(STEPS))
    assert "is trained unwatched: the model is watched already" in capsys.readouterr().err
    assert set(attributes(model)) == set(before)
    fitted(model)
    with unvanish.watch(model, folder=tmp_path), pytest.raises(UsageError, match="watched already"):
        unvanish.watch(model, folder=tmp_path).__enter__()


def test_a_context_goes_before_what_a_fit_that_raised_has_left(tmp_path):
    model = made("residual", "sgd")
    with pytest.raises(ValueError, match="beside"):
        fitted(model, [unvanish.keras.Watch(folder=tmp_path), Raise(ValueError("beside"))])
    with unvanish.watch(model, every=1, folder=tmp_path) as watch:
        model.train_on_batch(np.zeros((4, 5), "float32"), np.zeros((4, 1), "float32"))
    assert watch.recording.steps == (0,)
    assert watching() == []


@pytest.mark.parametrize("every", [1, 2, 3])
def test_where_the_batches_end_unforeseen_each_step_is_counted_and_sampled_as_asked(every, tmp_path):
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 5)).astype("float32"), np.zeros((12, 1), "float32")
    batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(4).filter(lambda *_: True)
    model, watch = made("residual", "sgd"), unvanish.keras.Watch(every=every, folder=tmp_path)
    model.fit(batches, epochs=20, verbose=0, callbacks=[watch])
    assert watch.recording.total_steps == 60
    missing = set(range(0, 60, every)) - set(watch.recording.steps)
    assert not missing
    assert watch.cost.samples == len(watch.recording.steps)


def attributes(model):
    return {name: id(value) for name, value in model.__dict__.items() if "function" in name}


class Raise(keras.callbacks.Callback):
    """Raise at a step, beside the steps."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise self.error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_behind_by_a_fit_that_raises_beside_its_steps(error, tmp_path):
    model = made("residual", "adam")
    fitted(model)
    before = attributes(model)
    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    with pytest.raises(error):
        fitted(model, [watch, Raise(error)])
    fitted(model)  # when it is trained again, at the latest
    assert attributes(model) == before
    assert watching() == []
    assert unvanish.load(watch.run).steps == (0, 1, 2)


def test_a_fit_that_raises_in_a_step_leaves_nothing_behind_at_once(tmp_path):
    model = made("residual", "adam")
    fitted(model)
    before = attributes(model)
    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    with pytest.raises(Exception):  # noqa: B017, PT011  # each backend has an error of its own
        model.fit(np.zeros((8, 7), "float32"), np.zeros((8, 1)), verbose=0, callbacks=[watch])
    assert attributes(model) == before
    assert watching() == []


def test_the_context_watches_steps_of_a_loop(tmp_path):
    model = made("residual", "adam")
    x, y = np.ones((8, 5), "float32"), np.ones((8, 1), "float32")
    model.train_on_batch(x, y)
    before = attributes(model)

    def train():
        for step in range(7):
            model.train_on_batch(x, y)
            if step == 4:
                raise RuntimeError

    run = unvanish.watch(model, every=2, folder=tmp_path)
    with pytest.raises(RuntimeError), run:
        train()
    assert run.recording.steps == (0, 2, 4)
    assert attributes(model) == before
    assert watching() == []


def test_a_saved_model_is_the_one_that_it_would_have_been(tmp_path):
    loaded = []
    for watches in ([], [unvanish.keras.Watch(every=1, folder=tmp_path)]):
        path = tmp_path / f"model-{len(watches)}.keras"
        fitted(made("normalised", "adam"), [*watches, keras.callbacks.ModelCheckpoint(path)])
        loaded.append(keras.models.load_model(path))
    assert_same_bits(state(loaded[1]), state(loaded[0]))
    assert attributes(loaded[1]).keys() == attributes(loaded[0]).keys()


def test_an_asynchronous_dispatch_stays_one():
    callbacks = keras.callbacks.CallbackList([unvanish.keras.Watch()], model=made("residual", "adam"))
    assert callbacks._async_train == keras.callbacks.CallbackList([], model=None)._async_train


def test_a_planted_spike_is_seen_and_told(tmp_path, capsys):
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), L.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-9), "mse")  # the spike moves nothing
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 1)).astype("float32")
    with unvanish.watch(model, every=1, folder=tmp_path) as run:
        for step in range(10):
            model.train_on_batch(x, y * 1e3 if step == 6 else y)
        model.train_on_batch(x, y * np.nan)
    found = run.recording
    norms = found.array("gradient_norm")[:, 0]
    assert int(np.nanargmax(norms)) == 6
    assert [(event.step, event.kind) for event in found.events] == [(6, "jump"), (10, "nonfinite")]
    assert "step 10: the first value that is no finite number comes in the loss" in capsys.readouterr().err


@pytest.mark.parametrize(
    "settings", [{"every": 0}, {"every": "sometimes"}, {"every": True}, {"budget": 0}, {"budget": 2}]
)
def test_what_no_pace_can_keep_to_is_refused(settings):
    with pytest.raises(UsageError, match=r"every is a number|the budget is a share"):
        unvanish.keras.Watch(**settings)


def test_a_jump_between_two_samples_has_the_next_step_sampled(tmp_path, monkeypatch):
    """With a budget of next to nothing: a sample in a hundred steps, but for the jump."""
    monkeypatch.setattr("unvanish.watching.pace.GLANCE_SECONDS", 1e-15)
    model = keras.Sequential([keras.Input((4,)), L.Dense(3), L.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-9), "mse")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(480, 4)).astype("float32"), rng.normal(size=(480, 1)).astype("float32")
    y[240:] *= 1e3  # from step 60 on

    class Wait(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.02)  # as long as the recorder may need to look

    watch = unvanish.keras.Watch(budget=1e-9, folder=tmp_path)
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=[watch, Wait()])
    found = watch.recording
    jump = next(event for event in found.events if event.kind == "jump")
    assert 60 <= jump.step < 64, found.events
    assert next(step for step in found.steps if step > 40) in range(jump.step + 1, jump.step + 9)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.first, self.last = L.Dense(6, "tanh"), L.Dense(1)

    def call(self, x):
        return self.last(self.first(x))


@pytest.mark.parametrize("make", [lambda: keras.Sequential([L.Dense(6, "tanh"), L.Dense(1)]), Subclassed])
def test_a_model_that_its_first_step_builds_is_watched_from_there(make, tmp_path):
    x, y = np.ones((40, 3), "float32"), np.ones((40, 1), "float32")
    weights = []
    for callbacks in ([], [unvanish.keras.Watch(every=1, folder=tmp_path)]):
        keras.utils.set_random_seed(5)
        model = make()
        model.compile("adam", "mse")
        model.fit(x, y, batch_size=8, verbose=0, callbacks=callbacks)
        weights.append([v.numpy() for v in model.variables])
    assert_same_bits(weights[1], weights[0])
    found = callbacks[0].recording
    assert found.steps[-1] == 4
    assert found.steps[0] in (0, 1)
    assert len(found.layers) == 2
    assert (found.array("gradient_norm") > 0).all()
    unseen = [event.text for event in found.events if event.kind == "activations"]
    assert unseen == (["activations are not recorded: the forward pass is not known as a graph"] * (make is Subclassed))
    assert found.looked_into().any() == (make is not Subclassed)
    assert bool(callbacks[0].cost.looks) == (make is not Subclassed)


def test_what_cannot_be_watched_is_trained_all_the_same_and_told(tmp_path, capsys):
    model = keras.Sequential([keras.Input((4,)), L.BatchNormalization()])
    model.compile("sgd", "mse")
    watch = unvanish.keras.Watch(folder=tmp_path)
    x = np.ones((8, 4), "float32")
    model.fit(x, x, verbose=0, callbacks=[watch], validation_split=0.5)
    assert "is trained unwatched: the model" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnsupportedError, match="has no kernel to watch"), unvanish.watch(model):
        pass


if BACKEND != "jax":  # where Keras itself refuses

    @pytest.mark.parametrize("watched", [False, True])
    def test_a_layer_that_is_frozen_without_compiling_is_trained_as_it_would_be(watched, tmp_path, capsys):
        """TensorFlow goes on with its trace, in which the layer is trained; the others look at each fit anew."""
        model = made("residual", "sgd")
        fitted(model)
        first = model.layers[1].get_weights()[0]
        model.layers[1].trainable = False
        fitted(model, [unvanish.keras.Watch(every=1, folder=tmp_path)] if watched else [])
        moved = bool((model.layers[1].get_weights()[0] != first).any())
        assert moved == (BACKEND == "tensorflow")
        assert ("were frozen, or let go" in capsys.readouterr().err) == (watched and BACKEND == "tensorflow")


def test_a_bug_of_ours_does_not_reach_the_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("unvanish.keras.watch.start_of", lambda model: 1 / 0)
    fitted(made("residual", "adam"), [unvanish.keras.Watch(folder=tmp_path)])
    assert "is trained unwatched: ZeroDivisionError" in capsys.readouterr().err


def test_a_training_within_the_fit_ends_the_watching_and_that_is_said(tmp_path):
    class Within(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                self.model.train_on_batch(np.ones((4, 5), "float32"), np.ones((4, 1), "float32"))

    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    fitted(made("residual", "sgd"), [watch, Within()])
    (said,) = [event for event in watch.recording.events if event.kind == "ended"]
    assert (said.step, said.text) == (3, "watching ends here: another training of the model began")
    assert watch.recording.steps == (0, 1, 2)


def test_nothing_was_watched_yet():
    with pytest.raises(UsageError, match="nothing was watched yet"):
        unvanish.keras.Watch().frame()
    with pytest.raises(UsageError, match="there is no model to watch"), unvanish.keras.Watch():
        pass
