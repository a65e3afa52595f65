"""A look from Python leaves everything as it was, to the bit."""

import random

import keras
import numpy as np
import pytest

from unvanish.errors import UnsupportedError
from unvanish.keras.batches import Batches
from unvanish.keras.snapshot import untouched
from unvanish.keras.steps import watched
from unvanish.keras.training import train
from unvanish.watching.session import Enough, Plan, Session

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
EAGERLY = keras.backend.backend() != "jax"
L = keras.layers

ADAM = "adam"
SCALED = "scaled"


class Unwilling(keras.optimizers.SGD):
    """An optimizer of the user's own that cannot be copied."""

    def __init__(self, rate):
        super().__init__(learning_rate=rate)

    @classmethod
    def from_config(cls, config):
        raise TypeError("not made for copying")


def made(optimizer=ADAM, metric=None, **compiling):
    inputs = keras.Input((5,))
    h = L.BatchNormalization()(L.Dense(6, "relu", kernel_regularizer="l2")(inputs))
    h = L.Dropout(0.4)(L.Add()([h, L.Dense(6, "tanh")(h)]))
    model = keras.Model(inputs, L.Dense(1, "sigmoid")(h))
    if optimizer == SCALED:
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())
    metrics = ["accuracy", *([metric] if metric else [])]
    model.compile(optimizer, "binary_crossentropy", metrics=metrics, **compiling)
    return model


def data(n=60):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 5)).astype("float32"), (rng.random((n, 1)) > 0.5).astype("float32")


def look(model, error=None):
    """Do what a look does: train watched, on own batches; raise the error if there is one."""
    batches = Batches.of_arrays(*data(), batch_size=16)
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    session = Session(Plan(steps=4), [k.path for k in kernels], [1] * len(kernels), None, lambda *_: None)
    with untouched(model):
        before = values(model)
        with pytest.raises(Enough), watched(model, session, kernels):
            train(model, batches, 4, 0)
        assert values(model) != before
        random.random(), np.random.rand(), keras.random.uniform(())
        L.Dense(1)
        if error is not None:
            raise error


def values(model):
    metrics = [v for metric in model.metrics for v in metric.variables]
    return [v.numpy().tobytes() for v in [*model.variables, *metrics]]


def inside(value, depth=3):
    """Return the attributes of an object and of the Keras objects it holds, by identity, and what containers hold."""
    found = {}
    for name, item in value.__dict__.items():
        if name == "_value" and not ON_TENSORFLOW:  # what a variable of JAX holds cannot be written to
            continue
        found[name] = id(item)
        if type(item) in (list, dict, set) or type(item).__name__.startswith("Tracked"):
            held = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else item
            found[name] = [id(item), [repr(k) if isinstance(k, str | int | tuple) else id(k) for k in held]]
        elif depth and type(item).__module__.startswith("keras.") and hasattr(item, "__dict__"):
            found[name] = [id(item), inside(item, depth - 1) if depth > 1 else None]
    return found


def everything(model):
    owners = [model, model.optimizer, model._compile_loss, model._compile_metrics, model._loss_tracker, *model.layers]
    return values(model), [inside(owner) for owner in owners]


def drawn_by_backend():
    if ON_TENSORFLOW:
        import tensorflow

        return float(tensorflow.random.uniform(()))
    if keras.backend.backend() == "torch":
        import torch

        return float(torch.rand(()))
    return 0.0  # JAX has no generator of its own


def drawn():
    """Return the next draws of every generator, and the next free name."""
    return random.random(), np.random.rand(), drawn_by_backend(), L.Dense(1).name


@pytest.mark.parametrize(
    ("optimizer", "error"), [(ADAM, None), (SCALED, None), (ADAM, ValueError), (ADAM, KeyboardInterrupt)]
)
def test_a_fresh_model_stays_fresh(optimizer, error):
    model = made(optimizer, run_eagerly=EAGERLY and error is not None)
    before = everything(model)
    if error is None:
        look(model)
    else:
        with pytest.raises(error):
            look(model, error)
    assert everything(model) == before
    assert not model.optimizer.built
    assert model.train_function is None


@pytest.mark.parametrize("optimizer", [ADAM, SCALED])
def test_a_trained_model_goes_on_as_if_nothing_had_been(optimizer):
    results = []
    for looked in (False, True):
        keras.utils.set_random_seed(1)
        model = made(optimizer, run_eagerly=EAGERLY)
        model.fit(*data(), epochs=1, verbose=0)
        if looked:
            before = everything(model), [v.numpy().tobytes() for v in model.optimizer.variables]
            look(model)
            assert (everything(model), [v.numpy().tobytes() for v in model.optimizer.variables]) == before
        history = model.fit(*data(), epochs=2, verbose=0).history
        results.append((values(model), [v.numpy().tobytes() for v in model.optimizer.variables], history))
    assert results[0] == results[1]


def test_a_look_goes_on_from_the_state_of_the_optimizer():
    model = made()
    model.fit(*data(), epochs=1, verbose=0)
    state = [v.numpy() for v in model.optimizer.variables]
    with untouched(model):
        assert [v.numpy().tobytes() for v in model.optimizer.variables] == [v.tobytes() for v in state]
        assert model.optimizer.iterations is not state


def test_random_streams_go_on_as_if_nothing_had_been():
    streams = []
    for looked in (False, True):
        keras.utils.set_random_seed(2)
        model = made(run_eagerly=EAGERLY)
        if looked:
            look(model)
        streams.append([np.float64(n) if isinstance(n, float) else n.rpartition("_")[0] for n in drawn()])
    assert streams[0] == streams[1]


def test_names_are_not_used_up():
    keras.utils.clear_session()
    model = made(run_eagerly=EAGERLY)
    look(model)
    assert L.Dense(1).name == "dense_3"


def test_metric_objects_of_the_user_are_put_back_before_they_were_taken_up():
    metric = keras.metrics.BinaryAccuracy()
    metric.update_state([1.0, 0.0], [0.9, 0.8])
    look(made(metric=metric, run_eagerly=EAGERLY))
    assert float(metric.result()) == 0.5


def test_an_optimizer_that_cannot_be_copied_is_put_back_or_refused():
    model = made(Unwilling(0.1), run_eagerly=EAGERLY)
    with pytest.raises(UnsupportedError) as caught:
        look(model)
    assert "Unwilling cannot be copied" in caught.value.what
    assert "not made for copying" in caught.value.found
    assert caught.value.numbers == {"optimizer steps taken": 0}
    assert "optimizer.build" in caught.value.hint
    model.optimizer.build(model.trainable_variables)
    before = everything(model), [v.numpy().tobytes() for v in model.optimizer.variables]
    look(model)
    assert (everything(model), [v.numpy().tobytes() for v in model.optimizer.variables]) == before
