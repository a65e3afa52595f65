"""The script's own fit gives model and data away, to train copies of it, and takes no step itself."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from families import L

from unvanish.diagnosing import diagnose
from unvanish.keras.batches import Batches
from unvanish.keras.taking import Capture
from unvanish.script.captures import FOR_TRIALS
from unvanish.script.check import look
from unvanish.watching.session import Enough, Plan

pytestmark = pytest.mark.keras
ROOT = Path(__file__).parents[2]


def made():
    model = keras.Sequential([keras.Input((6,)), L.Dense(8, "tanh"), L.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def data(n=100):
    x = np.random.default_rng(0).normal(size=(n, 6)).astype("float32")
    return x, (x[:, :1] > 0).astype("float32")


def taken(model, *args, **kwargs):
    with Capture(Plan(), lambda *_: None, Path(__file__)) as capture, pytest.raises(Enough):
        model.fit(*args, verbose=0, **kwargs)
    return capture


def test_fit_gives_a_trainer_and_takes_no_step():
    model = made()
    before = [np.array(w) for w in model.weights]
    capture = taken(model, *data(), epochs=3, batch_size=10, validation_split=0.2)
    assert capture.error is None
    assert all(np.array_equal(old, np.array(new)) for old, new in zip(before, model.weights, strict=True))
    trials = capture.trainer
    assert trials.planned_steps == 24
    assert [layer.kind for layer in trials.network.layers] == ["input", "dense", "dense"]
    run, _ = trials.train(None, 0, 1e-2, 40)
    assert run.score > 0.7
    assert diagnose(capture.observation).verdict == "healthy"


def test_a_stream_is_kept_and_drawn_in_an_order_of_our_own():
    x, y = data()
    stream = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(100).batch(10)
    trials = taken(made(), stream, epochs=2).trainer
    assert trials.train(None, 0, 1e-2, 20)[0].loss == trials.train(None, 0, 1e-2, 20)[0].loss
    kept = Batches.of_fit(made(), {"x": stream}).for_trials()
    assert (kept.samples, kept.held_out_samples, kept.batch_size) == (80, 20, 10)


def test_a_fifth_is_held_out_where_fit_holds_out_nothing():
    x, y = data()
    batches = Batches.of_fit(made(), {"x": x, "y": y}).for_trials()
    assert (batches.samples, batches.held_out_samples) == (80, 20)
    rows = {tuple(row) for row in x}
    held, training = batches.held_out()[0], batches.training_arrays()[0]
    assert {tuple(row) for row in held} | {tuple(row) for row in training} == rows
    validated = Batches.of_fit(made(), {"x": x, "y": y, "validation_data": (x[:5], y[:5])}).for_trials()
    assert (validated.samples, validated.held_out_samples) == (100, 5)


def test_a_script_is_run_up_to_its_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = look(ROOT / "examples" / "sick.py", [], Plan(), lambda *_: None, FOR_TRIALS)
    assert run.outcome == "enough"
    assert run.trainer.planned_steps == 125
    assert diagnose(run.observation).verdict == "vanishing"
    assert {site.line for site in run.sites.values()} == {9, 11, 12}
    assert run.trainer.train(None, 0, 1e-3, 20)[0].stuck


def test_what_fit_itself_would_raise_is_the_scripts_own():
    x, y = data()
    with Capture(Plan(), lambda *_: None, Path(__file__)) as capture, pytest.raises(ValueError, match="6"):
        made().fit(x[:, :4], y, verbose=0)
    assert (capture.error, capture.trainer) == (None, None)


def test_what_only_a_copy_raises_is_told_and_not_called_the_scripts_own(monkeypatch):
    def look(*_):
        raise RuntimeError("a copy raised")

    monkeypatch.setattr("unvanish.keras.trainer.KerasTrainer.look", look)
    capture = taken(made(), *data())
    assert "trains, but it could not be looked at" in str(capture.error)
    assert "RuntimeError: a copy raised" in str(capture.error)
    assert capture.trainer is None
