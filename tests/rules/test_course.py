"""The course of the loss: learned, diverged, still, converged; each at its edge."""

import math

import pytest
from msgspec.structs import replace

from unvanish.rules.course import Course, course
from unvanish.testing.specimen_edits import only_start, with_losses
from unvanish.testing.specimens import SPECIMENS


@pytest.mark.parametrize(
    ("first", "last", "chance", "learned"),
    [
        (0.71, 0.62, 0.693, True),
        (0.71, 0.63, 0.693, False),
        (9.0, 0.70, 0.693, False),  # down to chance is not learning
        (0.5, 0.48, 0.693, False),  # better than chance from the start
        (9.0, 4.0, None, True),
        (9.0, 5.0, None, False),
        (0.71, None, 0.693, False),
        (0.71, math.nan, 0.693, False),
    ],
)
def test_learned_is_clearly_below_the_first_and_the_chance_loss(
    first: float, last: float | None, chance: float | None, learned: bool
) -> None:
    assert Course(first, last, chance).learned is learned


@pytest.mark.parametrize(
    ("first", "last", "diverged"),
    [
        (0.7, 1.3, False),
        (0.7, 1.5, True),
        (0.7, math.nan, True),
        (0.7, math.inf, True),
        (5.0, 8.0, False),
        (0.7, None, False),
    ],
)
def test_diverged_is_twice_the_first_and_the_chance_loss(first: float, last: float | None, diverged: bool) -> None:
    assert Course(first, last, 0.693).diverged is diverged


@pytest.mark.parametrize(
    ("batches", "learned", "diverged"), [(0.5, False, False), (0.3, True, False), (5.0, False, True)]
)
def test_the_trainings_own_batches_count_too(batches: float, learned: bool, diverged: bool) -> None:
    """Batches learnt by heart: the same samples, batched otherwise, show a loss far above chance."""
    way = Course(0.7, 1.9, 0.693, batches)
    assert way.learned is learned
    assert way.diverged is diverged
    assert ("own batches" in way.words) is (batches < 0.95)


@pytest.mark.parametrize(
    ("peak", "last", "thrown"),
    [(699.0, 0.7, False), (701.0, 0.7, True), (701.0, 0.6, False), (math.inf, 0.7, True), (None, 0.7, False)],
)
def test_thrown_is_a_thousandfold_on_the_way_and_nothing_learnt_since(
    peak: float | None, last: float, thrown: bool
) -> None:
    assert Course(0.7, last, 0.693, peak=peak).thrown is thrown
    assert Course(0.7, 1.5, 0.693, peak=peak).thrown


def test_the_peak_is_of_the_losses_that_are_numbers() -> None:
    seen = SPECIMENS["healthy_relu"]()
    losses = (0.7, math.nan, 9.0, *seen.recording.losses[3:])
    assert course(replace(seen, recording=replace(seen.recording, losses=losses))).peak == 9.0


def test_a_start_that_is_not_a_number_did_not_diverge() -> None:
    assert not Course(math.nan, math.nan, 0.693).diverged


@pytest.mark.parametrize(("last", "still"), [(0.7, True), (0.694, True), (0.706, True), (0.69, False), (None, False)])
def test_still_is_within_one_percent(last: float | None, still: bool) -> None:
    assert Course(0.7, last, 0.693).still is still


def test_converged_is_five_percent_of_chance() -> None:
    assert Course(0.03, None, 0.693).converged_at_start
    assert not Course(0.04, None, 0.693).converged_at_start
    assert Course(0.7, 0.03, 0.693).converged
    assert not Course(0.7, 0.03, None).converged


@pytest.mark.parametrize(
    ("first", "last", "learned", "diverged"),
    [(-0.6, -0.5, False, False), (-0.6, -0.8, False, False), (-0.6, -1.0, True, False), (-0.1, 0.05, False, False)],
)
def test_a_loss_below_zero_learns_by_falling(first: float, last: float, learned: bool, diverged: bool) -> None:
    way = Course(first, last, None, batches=last, peak=last)
    assert (way.learned, way.diverged, way.thrown) == (learned, diverged, diverged)
    assert not Course(first, last, 0.693).converged


def test_a_guess_that_is_always_right_is_nothing_to_compare_with() -> None:
    seen = SPECIMENS["healthy_relu"]()
    assert course(seen).chance is not None
    assert course(replace(seen, loss=replace(seen.loss, chance=0.0))).chance is None


def test_the_words_hold_all_three_numbers() -> None:
    assert Course(0.694, 0.693, 0.6931).words == "loss 0.694 -> 0.693 (chance = 0.693)"
    assert Course(0.694, None, None).words == "loss 0.694"
    assert Course(0.694, 0.5, None).evidence == {"loss_first": 0.694, "loss_last": 0.5}


def test_two_probes_of_the_same_batches_make_the_course() -> None:
    seen = with_losses(SPECIMENS["healthy_tanh"](), 0.71, 0.42)
    assert course(seen)[:2] == (0.71, 0.42)
    assert course(seen).batches == pytest.approx(0.42, rel=0.1, abs=0)


def test_with_one_probe_the_recorded_losses_make_its_end() -> None:
    seen = with_losses(SPECIMENS["healthy_tanh"](), 0.71, 0.42)
    one = replace(seen, profiles=seen.profiles[:1])
    last = course(one).last
    assert last is not None
    assert 0.42 < last < 0.45
    broken = replace(one, recording=replace(one.recording, losses=(*one.recording.losses[:-1], math.nan)))
    assert course(broken).diverged
    assert course(only_start(seen)).last is None
