"""The pace against simulated trainings whose costs are known, by a clock of their own."""

import itertools
import math
import random

import pytest

from unvanish.watching.pace import FLOOR_SECONDS, FLOOR_STEPS, TAP, WINDOW, Pace


class Training:
    """Take steps of a given length on a simulated clock; a sample's cost falls on its own step and the next."""

    def __init__(self, step=1e-3, sample=2e-3, noise=0.0, compiling=0.0, seed=0):
        self.now, self.step, self.sample, self.noise, self.compiling = 0.0, step, sample, noise, compiling
        self.draws = random.Random(seed)
        self.sampled, self.added, self.taken = [], 0.0, 0

    def run(self, pace, steps):
        late = 0.0
        for at in range(self.taken, self.taken + steps):
            if pace.left > 0:
                pace.left -= 1
                wanted = False
            else:
                wanted = pace.stop(at)
            took = self.step * self.draws.lognormvariate(0, self.noise) + late
            late = 0.0
            if wanted:
                if not self.sampled and self.compiling:
                    took += self.compiling
                    self.added += self.compiling
                    pace.warmed_up(self.compiling)
                self.sampled.append(at)
                self.added += self.sample
                took, late = took + self.sample / 4, self.sample * 3 / 4
            self.now += took
        self.taken += steps
        return self

    @property
    def share(self):
        return self.added / (self.now - self.added)


def paced(training, every="auto", budget=0.01):
    return Pace(every, budget, clock=lambda: training.now)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize(("step", "sample"), [(1e-3, 1e-3), (1e-2, 1e-3), (0.3, 0.02), (1e-3, 0.0)])
def test_the_budget_is_kept(step, sample, noise, seed):
    training = Training(step, sample, noise, seed=seed)
    training.run(paced(training), 20_000)
    assert training.share < 0.012


def test_what_the_budget_allows_is_sampled():
    training = Training(step=1e-2, sample=1e-3)
    training.run(paced(training), 5_000)
    assert training.share > 0.008


@pytest.mark.parametrize(("step", "sample"), [(1e-3, 1e-3), (1e-2, 0.5), (0.3, 5.0)])
def test_the_floor_is_kept_whatever_the_budget(step, sample):
    training = Training(step, sample, compiling=30.0)
    training.run(paced(training, budget=1e-9), 5_000)
    most = max(FLOOR_STEPS, FLOOR_SECONDS / step) + 1
    gaps = [b - a for a, b in zip(training.sampled, [*training.sampled[1:], training.taken], strict=True)]
    assert max(gaps) <= most


def test_warm_up_is_charged_to_the_budget():
    quick, slow = (Training(step=1e-2, sample=1e-3, compiling=seconds) for seconds in (0.0, 1.0))
    for training in (quick, slow):
        training.run(paced(training), 3_000)  # half a minute: 0.3 s may be spent
    assert len(slow.sampled) < len(quick.sampled) / 4


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize("every", ["auto", 10, 100])
def test_the_cost_it_reports_is_the_true_one(every, noise):
    training = Training(step=1e-3, sample=2e-3, noise=noise, compiling=0.25)
    pace = paced(training, every)
    training.run(pace, 10_000)
    assert pace.cost.added_seconds == pytest.approx(training.added, rel=0.15, abs=0)
    assert pace.cost.share == pytest.approx(training.share, rel=0.15, abs=0)
    assert pace.cost.samples == len(training.sampled)
    assert pace.cost.step_seconds == pytest.approx(1e-3, rel=0.05, abs=0)


def test_a_validation_is_nobodys_time():
    training = Training(step=1e-3, sample=2e-3)
    pace = paced(training, 20)
    for _ in range(50):
        training.run(pace, 10)
        pace.leave()
        training.now += 3.0
        pace.enter()
    assert pace.cost.step_seconds == pytest.approx(1e-3, rel=1e-6, abs=0)
    assert pace.cost.sample_seconds == pytest.approx(2e-3, rel=1e-6, abs=0)
    assert pace.cost.seconds == pytest.approx(0.5 + training.added, rel=1e-6, abs=0)


def test_every_so_many_steps_is_just_that():
    training = Training()
    training.run(paced(training, 7), 100)
    assert training.sampled == list(range(0, 100, 7))


def test_every_step_has_no_plain_one_to_be_compared_with():
    training = Training()
    training.run(pace := paced(training, 1), 50)
    assert training.sampled == list(range(50))
    assert pace.cost.step_seconds is pace.cost.sample_seconds is None
    pace.charged(0.05)
    assert pace.cost.added_seconds == 0.05
    pace.charged(0.5)  # in 0.15 s, of which a thread can take half
    assert pace.cost.added_seconds == pytest.approx(pace.cost.seconds / 2, rel=1e-12, abs=0)


def test_what_numbers_take_within_a_step_is_the_cost_of_every_sample():
    training = Training(step=1e-3, sample=4e-4)
    training.run(pace := paced(training, 1), 500)
    assert pace.dense
    assert pace.cost.added_seconds == 0
    pace.inside(4e-4)
    cost = pace.cost
    assert cost.sample_seconds == pytest.approx(4e-4, rel=1e-12, abs=0)
    assert cost.added_seconds == pytest.approx(training.added, rel=1e-12, abs=0)
    assert cost.share == pytest.approx(0.4, rel=0.01, abs=0)


def test_steps_that_are_tapped_in_place_of_plain_ones_are_charged_by_what_plain_ones_show():
    clock = type("Clock", (), {"now": 0.0})()
    pace = Pace(10, clock=lambda: clock.now)
    rented = 0
    for step in range(400):
        if step == 100:
            pace.renew(0.0)
        due = pace.left == 0 and pace.stop(step)
        pace.left = max(pace.left - (not due), 0)
        took = 1e-3 + (5e-4 if step < 100 or due else 0.0)
        clock.now += took
        if step < 100 and not due:
            rented += 1
            assert pace.rented(took) == pytest.approx(took * TAP / (1 + TAP), rel=1e-12, abs=0)
    assert pace.cost.step_seconds == pytest.approx(1e-3, rel=1e-9, abs=0)
    assert pace._rent() == pytest.approx(rented * 5e-4, rel=1e-6, abs=0)


def test_time_stands_still_while_the_training_does_something_else():
    clock = type("Clock", (), {"now": 0.0})()
    pace = Pace(10, clock=lambda: clock.now)
    pace.stop(0)
    clock.now = 2.0
    pace.leave()
    clock.now = 50.0
    assert (pace.now, pace.cost.seconds) == (2.0, 2.0)
    pace.enter()
    clock.now = 51.0
    assert (pace.now, pace.cost.seconds) == (3.0, 3.0)


@pytest.mark.parametrize("every", ["auto", 1000])
def test_an_alarm_has_the_next_step_sampled(every):
    training = Training(step=1e-3)
    pace = paced(training, every)
    training.run(pace, 200)
    assert 200 not in training.sampled
    pace.alarm()
    training.run(pace, 1)
    assert training.sampled[-1] == 200


def test_the_first_steps_are_seen():
    training = Training()
    training.run(paced(training), 2 * WINDOW)
    assert training.sampled == [0, 1, 2]


class Looked(Training):
    """Of which some samples are looked into, at a cost of their own."""

    def __init__(self, look, **settings):
        super().__init__(**settings)
        self.look, self.looks, self.plain = look, [], self.sample

    def run(self, pace, steps):
        stop = pace.stop

        def stopped(at):
            wanted = stop(at)
            if wanted:
                self.sample = self.look if pace.looks else self.plain
                self.looks += [at] if pace.looks else []
            return wanted

        pace.stop = stopped
        return super().run(pace, steps)


def with_looks(training, every="auto", budget=0.01):
    return Pace(every, budget, clock=lambda: training.now, looks=True)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize(("step", "look"), [(1e-3, 1e-2), (1e-2, 1e-2), (1e-2, 1e-1), (1e-2, 1e-3)])
def test_looks_are_paid_by_half_of_the_budget(step, look, noise, seed):
    training = Looked(look, step=step, sample=1e-3, noise=noise, seed=seed)
    pace = with_looks(training)
    training.run(pace, 30_000)
    assert training.share < 0.0125
    spent = look * len(training.looks)
    assert spent < 0.007 * training.now
    assert spent > 0.003 * training.now or len(training.looks) > 0.4 * len(training.sampled)
    assert pace.cost.looks == len(training.looks)
    if not noise:
        assert pace.cost.look_seconds == pytest.approx(look, rel=0.05, abs=0)
        assert pace.cost.sample_seconds == pytest.approx(1e-3, rel=0.05, abs=0)
        assert pace.cost.added_seconds == pytest.approx(training.added, rel=0.1, abs=0)


def test_dear_looks_leave_the_other_samples_as_they_are():
    plain, looked = Training(step=1e-2, sample=1e-3), Looked(0.5, step=1e-2, sample=1e-3)
    plain.run(paced(plain, budget=0.02), 50_000)
    looked.run(with_looks(looked, budget=0.02), 50_000)
    assert 2 < len(looked.looks) < 15
    assert len(looked.sampled) > 0.4 * len(plain.sampled)


@pytest.mark.parametrize(("every", "wanted"), [(1, 100), (10, 100), (70, 140), (100, 100), (250, 250)])
def test_with_given_steps_a_look_comes_a_hundred_steps_after_the_last(every, wanted):
    training = Looked(1e-2)
    training.run(with_looks(training, every), 1_500)
    assert training.sampled == list(range(0, 1_500, every))
    assert training.looks == list(range(0, 1_500, wanted))


class Disturbed(Looked):
    """Whose first look that can be measured takes a hundred times as long as the others."""

    look = property(lambda self: 1.0 if len(self.looks) == 1 else 1e-2, lambda self, _: None)


def test_one_look_that_something_else_made_longer_does_not_put_off_the_next_ones():
    training = Disturbed(None, step=1e-2, sample=1e-3)
    training.run(with_looks(training), 20_000)
    assert len(training.looks) > 20


def test_a_sample_that_was_not_looked_into_is_one_like_the_others():
    training = Training(step=1e-2, sample=1e-3)
    pace = with_looks(training)
    stop = pace.stop

    def stopped(at):
        wanted = stop(at)
        if wanted and pace.looks:
            pace.not_looked()
        return wanted

    pace.stop = stopped
    training.run(pace, 5_000)
    assert training.share > 0.008
    assert (pace.cost.looks, pace.cost.look_seconds) == (0, None)


def test_nothing_is_looked_into_where_it_cannot_be():
    training = Looked(1.0)
    training.run(paced(training), 2_000)
    assert training.looks == []


def test_looks_are_charged_where_no_step_is_plain():
    pace = Pace(1, looks=True, clock=iter(float(i) for i in range(100)).__next__)
    for step in range(5):
        pace.stop(step)
        pace.took(0.01)
    pace.looked(0.5)
    assert pace.cost.added_seconds == pytest.approx(0.55, rel=1e-9, abs=0)


@pytest.mark.parametrize("every", [1, 2, 7, 100])
def test_a_step_that_was_not_taken_is_asked_for_again_and_counted_once(every):
    pace = Pace(every, clock=itertools.count().__next__, looks=True)
    asked, looked = [], 0
    for step in range(200):
        if pace.left:
            pace.left -= 1
            continue
        if pace.stop(step):
            pace.not_taken(step)
            again = pace.stop(step)
            assert again
            asked.append(step)
            looked += pace.looks
        else:
            pace.not_taken(step)
    assert asked == list(range(0, 200, every))
    assert pace.cost.samples == len(asked)
    assert pace.cost.looks == looked == 2


def test_of_several_steps_a_call_a_sample_that_was_taken_stays_counted():
    pace = Pace(1, clock=itertools.count().__next__)
    pace.stop(8)  # a call of the steps 6 to 8, of which the batches gave one
    pace.took(1e-3)
    pace.not_taken(7)
    assert pace.cost.samples == 1


def test_what_is_estimated_is_never_more_than_the_time_that_went_by():
    training = Training(step=1e-3, sample=0.0)
    pace = paced(training, 10)
    pace.warmed_up(2.0)  # before the first step
    training.run(pace, 20)
    cost = pace.cost
    assert cost.seconds == pytest.approx(2.0 + training.now, rel=1e-6, abs=0)
    assert cost.share == pytest.approx(2.0 / training.now, rel=1e-6, abs=0)
    pace.took(100.0)
    assert pace.cost.added_seconds == pace.cost.seconds
    assert pace.cost.share == math.inf
