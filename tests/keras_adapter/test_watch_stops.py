"""`Watch(stop_on="error")` ends a training at the first error that is found in it; `live` shows it meanwhile."""

import io
import sys

import keras
import numpy as np
import pytest

import unvanish
from unvanish.errors import UsageError

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]
PLANNED = 20_000


def data(spoilt_at=None):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(PLANNED * 4, 6)).astype("float32")
    if spoilt_at is not None:
        x[spoilt_at * 4] = np.nan
    return x, (x[:, :1] > 0).astype("float32")


def network(activation="tanh", layers=2):
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((6,)), *[keras.layers.Dense(6, activation) for _ in range(layers)]])
    model.add(keras.layers.Dense(1, "sigmoid"))
    model.compile("sgd", "mse")  # torch refuses the cross entropy of no number
    return model


def test_a_fit_is_stopped_soon_after_a_value_that_is_no_number(tmp_path, capsys):
    x, y = data(spoilt_at=9)
    model, watch = network(), unvanish.keras.Watch(every=1, stop_on="error", folder=tmp_path)
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=[watch])
    found = watch.recording
    assert 10 <= found.total_steps < PLANNED
    told = [(event.step, event.kind) for event in found.events]
    assert told == [(9, "nonfinite"), (9, "stopped")]  # once, and nothing of the weights that it spoilt
    assert "the training is stopped" in capsys.readouterr().err


def test_a_fit_is_stopped_by_what_a_rule_finds(tmp_path):
    x, y = data()
    model, watch = network("sigmoid", 11), unvanish.keras.Watch(every=1, stop_on="error", folder=tmp_path)
    model.fit(x, y, batch_size=4, verbose=0, callbacks=[watch])
    kinds = [event.kind for event in watch.recording.events]
    assert watch.recording.total_steps < PLANNED
    assert kinds.index("finding") < kinds.index("stopped")


def test_without_it_the_fit_goes_on(tmp_path):
    x, y = data(spoilt_at=2)
    model, watch = network(), unvanish.keras.Watch(every=1, folder=tmp_path)
    model.fit(x[:400], y[:400], batch_size=4, shuffle=False, verbose=0, callbacks=[watch])
    assert watch.recording.total_steps == 100
    assert "stopped" not in [event.kind for event in watch.recording.events]


def test_steps_of_ones_own_leave_the_context(tmp_path):
    x, y = data(spoilt_at=5)
    model, taken = network(), 0
    with unvanish.watch(model, every=1, stop_on="error", folder=tmp_path):
        for step in range(PLANNED):
            model.train_on_batch(x[4 * step : 4 * step + 4], y[4 * step : 4 * step + 4])
            taken += 1
    assert 6 <= taken < PLANNED
    model.train_on_batch(x[:4], y[:4])  # nothing is left on it


def test_a_training_can_be_stopped_on_an_error_alone():
    with pytest.raises(UsageError, match="stop_on='warning'"):
        unvanish.keras.Watch(stop_on="warning")


def test_live_tells_each_layer_and_where_the_recording_is(tmp_path, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    x, y = data()
    model, watch = network(), unvanish.keras.Watch(every=1, live=True, folder=tmp_path)
    model.fit(x[:200], y[:200], batch_size=4, verbose=0, callbacks=[watch])
    lines = stream.getvalue().splitlines()
    assert "step 0  loss " in lines[0]
    assert lines[-1] == f"recording: {watch.run}"


def test_units_that_are_dead_are_told_at_the_end_of_a_fit_and_stop_nothing(tmp_path, capsys):
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(32, "relu", kernel_initializer="he_normal") for _ in range(4)]
    model = keras.Sequential([keras.Input((8,)), *hidden, keras.layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.SGD(0.01), "binary_crossentropy")
    hidden[2].bias.assign(np.r_[np.full(31, -30.0), 0.0].astype("float32"))
    x = np.random.default_rng(0).normal(size=(32, 8)).astype("float32")
    watch = unvanish.keras.Watch(every=1, stop_on="error", folder=tmp_path)
    model.fit(x, (x[:, 0] > 0).astype("float32"), batch_size=32, epochs=20, verbose=0, callbacks=[watch])
    found = watch.recording
    assert found.total_steps == 20
    assert found.looked_into().sum() == 1
    assert [(event.kind, event.code, event.step) for event in found.events] == [("finding", "GF202", 0)]
    assert capsys.readouterr().err.count("[GF202]") == 1
