"""Where the first value of a fit that is no finite number comes from: planted, located, kept, run again."""

import os
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from planted import BAD, FAULTS, SIZE, STEPS, fitted, made
from stepped import assert_same_bits, state

import unvanish
from unvanish.core import spoilt_file
from unvanish.keras.norms import Norms

pytestmark = [pytest.mark.keras, pytest.mark.every_backend]

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=[] if ON_TENSORFLOW else pytest.mark.soak)])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_located_at_its_step_and_changes_no_bit(fault, seed, tmp_path):
    alone = made(fault, seed)
    fitted(alone, seed=seed)
    model, watch = made(fault, seed), unvanish.keras.Watch(every=1, folder=tmp_path)
    fitted(model, [watch], seed=seed)
    assert_same_bits(state(model), state(alone))
    spoilt = spoilt_file.read(watch.run)[0]
    assert (spoilt.step, spoilt.state) == (BAD, "before")
    assert (spoilt.located.where, spoilt.located.layer) == (FAULTS[fault][1], "part")
    events = [event for event in watch.recording.events if event.kind == "nonfinite"]
    assert [(event.step, event.text, event.layer) for event in events] == [(BAD, str(spoilt), "part")]
    assert spoilt.located.inputs.nonfinite == 0
    assert spoilt.located.inputs.largest == 1.0  # the signal: a tanh stays below
    assert spoilt.located.inputs.entries == SIZE * 9


@pytest.mark.parametrize(("which", "found"), [("x", "data"), ("y", "loss")])
def test_a_nan_in_the_data_is_said_to_be_there(which, found, tmp_path):
    def spoil(x, y):
        (x if which == "x" else y)[SIZE * BAD + 5, 0] = np.nan

    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    fitted(made(None), [watch], bad=-1, spoil=spoil)
    spoilt, values = spoilt_file.read(watch.run)
    assert (spoilt.step, spoilt.located.where) == (BAD, found)
    assert sum(int(np.isnan(v).sum()) for name, v in values.items() if name.startswith("batch/")) == 1


def test_the_last_step_is_read_before_the_run_ends(tmp_path):
    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    fitted(made("division by 0"), [watch], bad=STEPS - 1)
    assert spoilt_file.read(watch.run)[0].step == STEPS - 1


@pytest.mark.parametrize("room", [1000, 1 << 20])
@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_it_is_told_once_whatever_the_readers_delay(delay, room, tmp_path, monkeypatch):
    """room: bytes of sampled steps that are held, of one or of all; then a late reader meets steps that were not."""
    numbers = Norms.numbers
    monkeypatch.setattr(Norms, "numbers", lambda self, table: time.sleep(delay) or numbers(self, table))
    monkeypatch.setattr("unvanish.keras.held_steps.LARGEST", room)
    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    fitted(made("division by 0"), [watch])
    events = [event for event in watch.recording.events if event.kind == "nonfinite"]
    assert [event.step for event in events] == [BAD]
    assert events[0].text.startswith(f"step {BAD}: the first value")
    if room > 1000:
        assert (events[0].layer, "forward in part" in events[0].text) == ("part", True)


@pytest.mark.parametrize("bad", [1, 5])
def test_what_came_in_a_step_that_was_not_sampled_is_said_to_have(bad, tmp_path):
    watch = unvanish.keras.Watch(every=3, folder=tmp_path)
    fitted(made("division by 0"), [watch], bad=bad, steps=7)
    spoilt = spoilt_file.read(watch.run)[0]
    seen = 3 if bad == 1 else 6
    assert (spoilt.step, spoilt.located.where, spoilt.since) == (seen, "weights", (seen - 3, seen - 1))
    assert f"since one of the steps {seen - 3} to {seen - 1}" in str(spoilt)


def test_a_loss_that_is_no_number_between_samples_has_the_next_step_sampled(tmp_path, monkeypatch):
    """With a budget of next to nothing, and a look at every loss: the step is known all the same."""
    monkeypatch.setattr("unvanish.watching.pace.GLANCE_SECONDS", 1e-15)

    class Wait(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.02)  # as long as the recorder may need to look

    watch, bad = unvanish.keras.Watch(budget=1e-9, folder=tmp_path), 60
    fitted(made("division by 0"), [watch, Wait()], bad=bad, steps=80)
    spoilt = spoilt_file.read(watch.run)[0]
    assert spoilt.located.where == "weights"
    assert bad < spoilt.step < bad + 9
    assert bad - 3 <= spoilt.since[0] <= bad <= spoilt.since[1] <= bad + 3


def test_what_cannot_be_located_is_told_all_the_same(tmp_path, monkeypatch):
    def fails(*_):
        raise ValueError("planted")

    monkeypatch.setattr("unvanish.keras.held_steps.locate", fails)
    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    fitted(made("division by 0"), [watch])
    kinds = [event.kind for event in watch.recording.events]
    assert (kinds.count("unlocated"), kinds.count("nonfinite")) == (1, 1)
    assert watch.recording.steps == tuple(range(STEPS))


def test_a_healthy_fit_keeps_nothing(tmp_path):
    watch = unvanish.keras.Watch(every=1, folder=tmp_path)
    fitted(made("division by 0"), [watch], bad=-1)
    assert [path.name for path in watch.run.iterdir()] == ["recording.sqlite"]
    assert "nonfinite" not in [event.kind for event in watch.recording.events]


SCRIPT = """
import keras, numpy as np
keras.utils.set_random_seed(SEED)
model = keras.Sequential([
    keras.Input((6,)),
    keras.layers.Dense(8, "relu", bias_initializer=keras.initializers.Constant(-0.5), name="first"),
    keras.layers.Lambda(lambda x: x / (keras.ops.sum(x, -1, keepdims=True) + SMALL), name="shares"),
    keras.layers.Dense(1),
])
model.compile("sgd", "mse")
x = np.random.default_rng(0).normal(size=(96, 6)).astype("float32") + 2
x[50] = 0
model.fit(x, x[:, :1], batch_size=16, shuffle=False, verbose=0)
"""


@pytest.mark.parametrize("seed", [pytest.param(1, marks=[] if ON_TENSORFLOW else pytest.mark.soak)])
def test_the_step_of_a_script_is_run_again_until_the_script_is_mended(seed, tmp_path):
    script, run = tmp_path / "train.py", ".unvanish/train/run-1"

    def unvanish_(*arguments):
        env = os.environ | {"NO_COLOR": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", "unvanish", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=env)

    source = SCRIPT.replace("SEED", str(seed))
    script.write_text(source.replace("SMALL", "0"))
    assert unvanish_("watch", "train.py", "--every", "1").returncode == 0
    again = unvanish_("replay", run)
    assert again.returncode == 1, again.stderr
    first, second = " ".join(again.stdout.split()).split("again the same: ")
    assert first.startswith("then step 3: the first value")
    assert second.startswith("forward in shares (Lambda)")
    script.write_text(source.replace("SMALL", "1e-6"))
    mended = unvanish_("replay", run)
    assert mended.returncode == 0, mended.stderr + mended.stdout
