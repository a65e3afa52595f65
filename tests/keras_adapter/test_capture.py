"""A fit of the user's own script is looked at, changes no bit of it, and leaves nothing patched."""

import inspect
import linecache
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from unvanish.errors import DataError, UnsupportedError, UsageError
from unvanish.keras.capture import Capture
from unvanish.watching.session import Enough, Plan

pytestmark = pytest.mark.keras
L = keras.layers
OWNER = next(base for base in keras.Model.__mro__ if "fit" in vars(base))


def capture(**plan):
    return Capture(Plan(**plan), lambda *_: None, Path(__file__))


def patched():
    return vars(OWNER)["fit"], vars(L.Layer)["__init__"]


EAGERLY = keras.backend.backend() != "jax"  # operation by operation, which takes JAX longer than compiling


def data(n=40):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 5)), rng.integers(0, 2, (n, 1))


def made(*, built=True, **compiling):
    model = keras.Sequential([keras.Input((5,))] if built else [])
    for layer in (L.Dense(6, "relu"), L.BatchNormalization(), L.Dropout(0.3), L.Dense(1, "sigmoid")):
        model.add(layer)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"], **compiling)
    return model


def looked(model, *args, plan=None, **kwargs):
    with capture(**(plan or {})) as seen, pytest.raises(Enough):
        model.fit(*args, verbose=0, **kwargs)
    return seen


def bits(model):
    return [v.numpy().tobytes() for v in [*model.variables, *model.optimizer.variables]]


def pipeline(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(40).batch(8)


@pytest.mark.every_backend
@pytest.mark.parametrize("kind", ["arrays", "unbuilt", "pipeline"])
def test_a_fit_that_is_looked_at_is_the_fit_it_would_have_been(kind):
    results = []
    for look in (False, True):
        keras.utils.set_random_seed(5)
        model, (x, y) = made(built=kind != "unbuilt"), data()
        given = (pipeline(x, y),) if kind == "pipeline" else (x, y)
        settings = {"epochs": 3} if kind == "pipeline" else {"epochs": 3, "batch_size": 8, "validation_split": 0.2}
        if look:
            seen = looked(model, *given, **settings)
            assert seen.observation.recording.total_steps == seen.observation.planned_steps
        else:
            model.fit(*given, verbose=0, **settings)
        results.append(bits(model))
    assert results[0] == results[1]


@pytest.mark.every_backend
def test_what_was_seen():
    before = patched()
    model, (x, y) = made(run_eagerly=EAGERLY), data()
    seen = looked(model, x, y, epochs=2, batch_size=8, validation_split=0.2)
    recording = seen.observation.recording
    assert recording.total_steps == seen.observation.planned_steps == 8
    assert [p.step for p in seen.observation.profiles] == [0, 8]
    assert seen.observation.data.samples == 32
    assert seen.observation.evaluation.held_out_samples == 8
    assert recording.layers == tuple(layer.name for layer in seen.observation.network.kernels)
    assert recording.sizes == (30, 6)
    assert seen.cost.steps == 8
    assert seen.error is None
    assert patched() == before


@pytest.mark.every_backend
def test_the_first_gradient_of_the_training_is_that_of_the_same_batch_by_probe():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((5,)), L.Dense(6, "tanh"), L.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", run_eagerly=True)
    x, y = data(16)
    seen = looked(model, x, y, batch_size=16).observation
    for position, name in enumerate(seen.recording.layers):
        expected = seen.profiles[0].layer(name).gradient_norm
        assert seen.recording.array("gradient_norm")[0, position] == pytest.approx(expected, rel=1e-5, abs=0)


@pytest.mark.every_backend
def test_training_stops_when_enough_was_seen():
    class Epochs(keras.callbacks.Callback):
        ended = 0

        def on_epoch_end(self, epoch, logs=None):
            self.ended += 1

    model, (x, y), epochs = made(run_eagerly=EAGERLY), data(), Epochs()
    seen = looked(model, x, y, epochs=1000, batch_size=8, plan={"steps": 7}, callbacks=[epochs])
    assert int(model.optimizer.iterations) == seen.observation.recording.total_steps == 7
    assert epochs.ended == 1


def test_a_later_fit_is_looked_at_when_asked_for():
    model, (x, y) = made(run_eagerly=True), data()
    with capture(fit=2) as seen:
        history = model.fit(x, y, batch_size=20, verbose=0)
        assert len(history.history["loss"]) == 1
        assert seen.observation is None
        with pytest.raises(Enough):
            model.fit(x, y, batch_size=20, verbose=0)
        with pytest.raises(Enough):  # a script that caught the first one
            model.fit(x, y, verbose=0)
    assert seen.observation.recording.total_steps == 2
    assert int(model.optimizer.iterations) == 4


@pytest.mark.every_backend
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_what_the_users_fit_raises_comes_through_and_nothing_measured_is_lost(error):
    class Break(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise error("the user's")

    before, model, (x, y) = patched(), made(run_eagerly=EAGERLY), data()
    with pytest.raises(error, match="the user's"), capture() as seen:
        model.fit(x, y, batch_size=8, verbose=0, callbacks=Break())
    steps = seen.observation.recording.total_steps
    assert steps == 3 or (keras.backend.backend() != "tensorflow" and steps > 3)  # callbacks run in a thread there
    assert len(seen.observation.profiles) == 1
    assert seen.cost is not None
    assert patched() == before
    assert not {"train_step", "compute_loss"} & set(model.__dict__)
    assert "apply" not in model.optimizer.__dict__
    assert model.__dict__["train_function"] is None


def test_callbacks_that_write_files_are_left_out_and_named(tmp_path):
    class Count(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            self.steps += 1

    class Mine(keras.callbacks.CSVLogger):
        pass

    writers = [keras.callbacks.ModelCheckpoint(str(tmp_path / "a.keras")), Mine(str(tmp_path / "b.csv"))]
    model, (x, y), count = made(run_eagerly=True), data(), Count()
    seen = looked(model, x, y, batch_size=20, callbacks=[writers, count])
    assert seen.suspended == ("ModelCheckpoint", "Mine")
    assert list(tmp_path.iterdir()) == []
    assert count.steps == 2
    listed = keras.callbacks.CallbackList([writers[1], count], model=model)
    held = list(listed.callbacks)
    seen = looked(model, x, y, batch_size=20, callbacks=listed)
    assert seen.suspended == ("Mine",)
    assert count.steps == 4
    assert listed.callbacks == held
    assert looked(model, x, y, callbacks=None).suspended == ()


def test_every_layer_knows_its_line():
    with capture() as seen:
        block = keras.Sequential([keras.Input((5,)), L.Dense(6)], name="block")
        model = keras.Sequential([block, L.Dense(1, name="last")])
        model.compile("sgd", "mse", run_eagerly=True)
        with pytest.raises(Enough):
            model.fit(*data(), verbose=0)
    texts = {name.rpartition("/")[2].split("_")[0]: site.text for name, site in seen.sites.items()}
    assert 'L.Dense(6)], name="block")' in texts["dense"]
    assert 'L.Dense(1, name="last")' in texts["last"]
    assert all(linecache.getline(site.file, site.line).strip() == site.text for site in seen.sites.values())
    assert {site.file for site in seen.sites.values()} == {str(Path(__file__).absolute())}


class Plain(L.Layer):
    """A layer without a constructor of its own: Keras reads its config off the signature of Layer's."""

    def call(self, inputs):
        return inputs


class Own(L.Layer):
    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size


def test_layers_have_the_config_that_they_would_have_had():
    expected = Plain(name="plain").get_config(), Own(3, name="own").get_config(), inspect.signature(keras.Model.fit)
    with capture():
        found = Plain(name="plain").get_config(), Own(3, name="own").get_config(), inspect.signature(keras.Model.fit)
    assert found == expected


def uncompiled():
    return keras.Sequential([keras.Input((5,)), L.Dense(1)])


def frozen():
    model = made(run_eagerly=True)
    model.trainable = False
    return model


def weightless():
    model = keras.Sequential([keras.Input((5,)), L.Flatten()])
    model.compile("sgd", "mse")
    return model


def sparse():
    model = keras.Sequential([keras.Input((5,)), L.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


X, Y = data()
REFUSED = {
    "uncompiled": (uncompiled, (X, Y), UsageError, ["not compiled", "model.compile("]),
    "frozen": (frozen, (X, Y), UsageError, ["no trainable weights", "weights in all: 8", "trainable = True"]),
    "weightless": (weightless, (X, X), UsageError, ["no trainable weights", "weights in all: 0"]),
    "labels": (sparse, (X, Y + 1), DataError, ["out of range", "the label 2", "0 to 1"]),
    "negative": (sparse, (X, Y - 1), DataError, ["out of range", "the label -1", "start at 0"]),
    "lengths": (made, (X, Y[1:]), DataError, ["different lengths", "samples in x: 40", "samples in y: 39"]),
    "empty": (made, (X[:0], Y[:0]), DataError, ["empty", "samples in x: 0"]),
    "iterator": (made, (iter([(X, Y)]),), UnsupportedError, ["an iterator", "tf.data.Dataset"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_is_refused_in_four_parts_before_the_first_step(case):
    make, given, kind, words = REFUSED[case]
    seen = looked(make(), *given)
    assert isinstance(seen.error, kind)
    assert seen.observation is None
    text = str(seen.error)
    assert [word for word in words if word not in text] == []
    assert all((seen.error.what, seen.error.found, seen.error.hint))


def test_wrong_arguments_get_the_error_of_keras_itself():
    with capture() as seen, pytest.raises(TypeError, match="nonsense"):
        made().fit(*data(), nonsense=1)
    assert seen.error is None


@pytest.mark.parametrize(
    ("fits", "plan", "found"),
    [
        ([{"epochs": 0}], {}, "fit ran, and took no step: epochs=0, initial_epoch=0"),
        ([{"epochs": 3, "initial_epoch": 3}], {}, "fit ran, and took no step: epochs=3, initial_epoch=3"),
        ([{"epochs": 1}, {"epochs": 1}], {"fit": 3}, "2 trainings were seen, and --fit 3 asks for a later one"),
        ([], {}, None),
    ],
)
def test_fits_that_are_no_training_to_look_at_are_told(fits, plan, found):
    x, y = data()
    model = made()
    with capture(**plan) as seen:
        for arguments in fits:
            model.fit(x, y, verbose=0, **arguments)
    assert (seen.observation, seen.error) == (None, None)
    assert (seen.idle and seen.idle.found) == found


def test_a_fit_of_no_step_before_the_training_is_not_told():
    x, y = data()
    model = made()
    with capture() as seen:
        model.fit(x, y, epochs=0, verbose=0)
        with pytest.raises(Enough):
            model.fit(x, y, epochs=1, verbose=0)
    assert seen.observation is not None
    assert seen.idle is None


class Unasked(keras.Model):
    """A model that trains without ever being called."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = L.Dense(1)

    def build(self, shape):
        self.inner.build(shape)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.inner(data[0]) - tf.cast(data[1], tf.float32)) ** 2)
        weights = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


@pytest.mark.parametrize("way", ["fit", "train_on_batch"])
def test_a_model_that_trains_but_cannot_be_looked_at_is_no_failure_of_the_script(way):
    model, (x, y) = Unasked(name="unasked"), data()
    model.compile("adam")
    with capture() as seen, pytest.raises(Enough):
        model.fit(x, y, verbose=0) if way == "fit" else model.train_on_batch(x, y)
    assert isinstance(seen.error, UnsupportedError)
    assert "'unasked' trains, but it could not be looked at" in str(seen.error)
    assert int(model.optimizer.iterations) == 1


def test_a_training_that_fails_as_its_look_does_fails_with_its_own_words():
    model, (x, _) = made(), data()
    with pytest.raises(ValueError, match="same shape"), capture() as seen:
        model.fit(x, np.zeros((40, 3)), verbose=0)
    assert seen.error is None


def test_replicas_are_refused_since_their_gradients_are_parts():
    model, (x, y) = made(), data()
    model._distribute_strategy = SimpleNamespace(num_replicas_in_sync=2)
    with capture() as seen, pytest.raises(Enough):
        model.fit(x, y, verbose=0)
    assert "2 replicas" in str(seen.error)


def test_a_model_made_in_the_scope_of_a_strategy_is_looked_at():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = made()
    seen = looked(model, *data(), batch_size=8)
    assert seen.error is None
    assert seen.observation.recording.total_steps == 5
