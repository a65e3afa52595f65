"""The first value that is no finite number is told once, in the order of the training, however late its reader is."""

import math
import random
import threading
import time

import numpy as np
import pytest

from unvanish.core import spoilt_file
from unvanish.core.nonfinite import Located, Magnitudes, Spoilt
from unvanish.core.recording import WATCH_STATS
from unvanish.watching.first_nonfinite import SEARCH
from unvanish.watching.pace import Pace
from unvanish.watching.run import Run

LAYERS = ("a", "b")
WHOLE = Magnitudes(smallest=1.0, largest=2.0, dtype="float32", entries=4, nonfinite=1)


def numbers(bad=False, loss=0.5):
    table = np.ones((len(WATCH_STATS), 2))
    table[WATCH_STATS.index("gradient_nonfinite")] = [0, 3] if bad else 0
    return math.nan if bad else loss, table


def spoilt(step, where="forward", layer="b"):
    located = Located(where=where, layer=layer, operation="exp", inputs=WHOLE)
    return Spoilt(step=step, state="before", located=located, framework="keras")


class Training:
    """A run without a framework: what is read of it is read as late as is asked for."""

    def __init__(self, folder, delay=lambda: 0.0, every=1):
        self.told, self.free = [], threading.Event()
        self.run = Run("t", "f", Pace(every), home=folder, tell=self.told.append)
        self.run.begins(LAYERS, (4, 4), "sgd")
        self.delay = delay

    def sample(self, step, bad=False, *, awaited=False):
        def read():
            time.sleep(self.delay())
            return numbers(bad)

        if awaited:
            self.run.awaits(step)
        self.run.sample(step, read)

    def glance(self, step, loss):
        self.run.glance(step, lambda: loss, step + 1)

    def located(self, one):
        self.run.spoilt(one, {"batch/0": np.ones(3)})

    def events(self):
        self.run.ends()
        found = [event for event in self.run.recording.events if event.kind == "nonfinite"]
        assert [event.text for event in found] == self.told
        return found


@pytest.mark.parametrize("seed", range(6))
def test_one_event_whatever_the_readers_delay(seed, tmp_path):
    """The place is handed in early, late, or not at all; later steps are spoilt too, awaited or not."""
    rng = random.Random(seed)
    one, bad = Training(tmp_path, lambda: rng.choice([0.0, 0.001, 0.02])), rng.randrange(8)
    place = rng.choice(["at once", "later", "never"])
    for step in range(10):
        one.sample(step, step >= bad, awaited=step == bad or rng.random() < 0.5)
        if (place, step) == ("at once", bad) or (place, step) == ("later", 9):
            one.located(spoilt(bad))
    event = one.events()[0]
    assert len(one.told) == 1
    assert event.step == bad
    assert ("forward in b" in event.text) == (place != "never")


def test_a_place_that_comes_before_its_sample_is_told_in_its_stead(tmp_path):
    one = Training(tmp_path)
    one.sample(0)
    one.located(spoilt(1))
    one.sample(1, bad=True)
    assert [event.text for event in one.events()] == [str(spoilt(1))]


def test_the_place_of_a_later_step_than_was_told_is_neither_told_nor_kept(tmp_path):
    """A reader so late that the first bad step was not held: what a later one shows is not the first."""
    one = Training(tmp_path)
    one.sample(2, bad=True)
    one.sample(3, bad=True, awaited=True)
    one.located(spoilt(3, "weights"))
    assert [event.step for event in one.events()] == [2]
    assert not (one.run.folder / spoilt_file.FACTS).exists()


def test_a_place_that_cannot_be_found_is_told_as_what_was_seen(tmp_path):
    one = Training(tmp_path)
    one.sample(4, bad=True, awaited=True)
    one.run.says(5, "unlocated", "no memory")
    one.sample(5, bad=True, awaited=True)
    assert [event.step for event in one.events()] == [4]


def test_weights_are_said_to_be_spoilt_since_the_steps_that_are_known(tmp_path):
    one = Training(tmp_path)
    one.sample(0)
    one.sample(10)
    one.sample(20, bad=True, awaited=True)
    one.located(spoilt(20, "weights"))
    event = one.events()[0]
    assert "since one of the steps 10 to 19 (every=1 samples every step)" in event.text
    assert spoilt_file.read(one.run.folder)[0].since == (10, 19)


def test_losses_that_were_looked_at_narrow_those_steps_down(tmp_path):
    one = Training(tmp_path, every="auto")
    one.sample(0)
    for step, loss in ((4, 0.5), (8, 0.4), (12, math.nan)):
        one.glance(step, loss)
    one.sample(20, bad=True, awaited=True)
    one.located(spoilt(20, "weights"))
    assert "since one of the steps 8 to 12 " in one.events()[0].text


@pytest.mark.parametrize(("sampled", "text"), [(True, "layers (loss nan), since"), (False, "the loss is no finite")])
def test_a_loss_that_was_looked_at_is_told_at_the_end_without_a_sample_else_with_it(sampled, text, tmp_path):
    one = Training(tmp_path, every="auto")
    one.sample(0)
    one.glance(3, math.inf)
    if sampled:
        one.sample(6, bad=True)
    event = one.events()[0]
    assert text in event.text
    assert "since one of the steps 0 to 3" in event.text


def test_a_loss_that_is_no_number_has_the_next_step_sampled_once(tmp_path):
    one, alarms = Training(tmp_path, every="auto"), []
    one.run.pace.alarm = lambda: alarms.append(0)
    for step in range(3, 30, 3):
        one.glance(step, math.nan)
    one.sample(31, bad=True)
    one.sample(32, bad=True)
    assert [event.kind for event in one.events()] == ["nonfinite"]
    assert alarms == [0]


def test_a_full_disk_does_not_keep_it_from_being_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unvanish.watching.run.write", full)
    one = Training(tmp_path)
    one.sample(0, bad=True, awaited=True)
    one.located(spoilt(0))
    assert len(one.events()) == 1
    assert [event.kind for event in one.run.recording.events] == ["nonfinite", "unkept"]


def test_a_healthy_training_tells_nothing(tmp_path):
    one = Training(tmp_path)
    for step in range(5):
        one.sample(step, awaited=True)
    assert one.events() == []


def overflows(training, steps, loss=0.5):
    for step in steps:
        training.run.sample(step, lambda: (loss, numbers(bad=True)[1]))


def test_the_search_of_a_loss_scale_is_no_error(tmp_path):
    """It overflows at the start and whenever it has grown; what comes later is told with its own step."""
    training = Training(tmp_path)
    training.run.scaled()
    overflows(training, range(12))
    for step in range(12, 40):
        training.sample(step)
    overflows(training, [40])
    training.sample(41)
    training.sample(42, bad=True)
    assert [event.step for event in training.events()] == [42]


def test_without_a_loss_scale_the_first_overflow_is_told(tmp_path):
    training = Training(tmp_path)
    overflows(training, range(12))
    assert [event.step for event in training.events()] == [0]


def test_a_search_that_never_ends_is_told(tmp_path):
    """Gradients that are no numbers at any scale: told after more steps than a scale can be halved."""
    training = Training(tmp_path)
    training.run.scaled()
    training.sample(0)
    overflows(training, range(1, SEARCH + 3))
    assert [event.step for event in training.events()] == [SEARCH + 2]


@pytest.mark.parametrize(("steps", "told"), [([500, 1000], []), ([500, 1000, 1500], [1500])])
def test_two_samples_far_apart_may_both_be_of_a_scale_that_grew(steps, told, tmp_path):
    training = Training(tmp_path)
    training.run.scaled()
    overflows(training, steps)
    assert [event.step for event in training.events()] == told
