from __future__ import annotations

import pytest
from trials import ANSWERED, CLIP, Outcome, change, decided, plain, run

from unvanish.core.edit import Prescription, other_rate
from unvanish.testing import diagnoses
from unvanish.trial.decide import decide
from unvanish.trial.plan import RATES

WORD = change("swap", "one word")


def test_the_untreated_network_is_shown_at_a_learning_rate_that_serves_it_better() -> None:
    _, searched = run({"": plain(0.7, rates=(1 / 3,)), "learning-rate (/ 3)": plain(0.7, rates=(1 / 3,))}, CLIP)
    assert searched.evidence is not None
    assert searched.evidence.baseline.score == 0.5
    assert searched.evidence.arms[0].label == "learning-rate (/ 3)"
    assert [run.learning_rate for run in searched.evidence.arms[0].runs] == [pytest.approx(1 / 3, rel=1e-9, abs=0)] * 3


def test_a_rate_that_an_arm_was_compared_at_is_part_of_what_is_prescribed() -> None:
    _, searched = run({"swap": Outcome(0.85, rates=(3.0,))}, WORD)
    found = decided(searched).prescription
    assert found is not None
    assert (found.rate, found.change) == (3.0, "do swap, learning rate x 3")


def test_another_rate_is_taken_only_where_it_is_better_beyond_the_samples_noise() -> None:
    _, searched = run({"swap": Outcome(0.85, rates=RATES)}, WORD)
    found = decided(searched).prescription
    assert found is not None
    assert found.rate == 1.0


def test_every_arm_gets_the_same_learning_rates_and_keeps_its_best() -> None:
    outcomes = {"swap": Outcome(0.85, rates=(3.0,)), "": plain(), CLIP.label: plain(0.7, rates=(1 / 3,))}
    trainer, searched = run(outcomes, WORD, CLIP)
    for label, more in (("", set()), ("swap", set()), ("clip-gradient", {1 / 9})):  # 1/3 was better than 1 there
        tried = {round(rate, 9) for key, _, rate, steps in trainer.trained if key == label and steps == 50}
        assert tried == {round(rate, 9) for rate in {1.0, 3.0, 1 / 3} | more}
    assert searched.evidence is not None
    rates = {arm.label: {run.learning_rate for run in arm.runs} for arm in searched.evidence.arms}
    assert rates == {"swap": {3.0}, "clip-gradient": {1 / 3}}


def test_after_a_learning_rate_at_which_the_loss_stays_a_smaller_one_is_tried() -> None:
    tenth, hundredth = (change("rate", variant=name) for name in ("/ 10", "/ 100"))
    outcomes = {tenth.label: Outcome(0.7, stuck=True), hundredth.label: Outcome(0.8)}
    assert decided(run(outcomes, tenth, hundredth)[1]).prescription == hundredth


def slowed(smaller: float) -> tuple[Prescription | None, list[str]]:
    """Search where the step is too large, a hundredth of it alone scores so much, and more with another change."""
    hundredth = other_rate(0.01)
    outcomes = {
        "": plain(0.5, word="untrainable-step"),
        hundredth.label: Outcome(smaller, rates=(0.01,)),
        "swap": Outcome(0.85, rates=(0.03,), otherwise="untrainable-step"),
        "norm": Outcome(0.9, rates=(0.01,), otherwise="untrainable-step"),
    }
    trainer, searched = run(outcomes, WORD, hundredth, change("norm", "architecture", "norm"))
    return decided(searched).prescription, trainer.looks


def test_where_the_step_is_too_large_other_changes_are_tried_at_the_rate_that_the_network_stands() -> None:
    """None looks well at the user's own rate; the norm does at a hundredth of it, which is then prescribed with it."""
    found, looks = slowed(0.52)
    assert found is not None
    assert (found.label, found.change, looks.count("norm")) == ("norm", "do norm, learning rate / 100", 2)
    assert found.rate == pytest.approx(0.01, rel=1e-9, abs=0)


def test_where_a_smaller_step_suffices_nothing_else_is_tried_at_it() -> None:
    found, looks = slowed(0.8)
    assert found is not None
    assert (found.change, looks.count("norm")) == ("learning rate / 100", 1)


@pytest.mark.parametrize(("rate", "verdict", "arms"), [(1 / 3, "cured", 1), (1.0, "not-the-gradients", 0)])
def test_healthy_gradients_that_train_nothing_get_other_learning_rates(rate: float, verdict: str, arms: int) -> None:
    """Where it stays at chance, and nowhere else: rates are not tuned for their own sake."""
    _, searched = run(
        {"": Outcome(0.8, rates=(rate,), stuck=rate < 1), "learning-rate (/ 3)": Outcome(0.8, rates=(1 / 3,))}
    )
    assert searched.evidence is not None
    assert len(searched.evidence.arms) == arms
    assert decide(searched.evidence, diagnoses.healthy(), ANSWERED).verdict == verdict


def test_a_change_with_a_rate_multiplies_it() -> None:
    assert WORD.at_rate(0.01).at_rate(3).change == "do swap, learning rate / 33.33"
    assert WORD.at_rate(0.01).at_rate(3).rate == pytest.approx(0.03, rel=1e-9, abs=0)
    assert WORD.at_rate(0.1).at_rate(10) == WORD
    assert other_rate(0.1).at_rate(1 / 3).change == "learning rate / 30"


def test_where_nothing_is_learnt_every_rate_is_tried_for_longer() -> None:
    trainer, searched = run({"swap": Outcome(0.5, train=0.5)}, WORD, CLIP)
    longer = [rate for _, _, rate, steps in trainer.trained if steps == 1600]
    assert sorted(longer) == [1 / 3, 1.0, 3.0]
    assert decided(searched).verdict == "no-cure-helped"


def test_longer_trainings_multiply_the_users_rate_once() -> None:
    """The arm was compared at a third of the rate, which is part of its prescription by then."""
    trainer, searched = run({"swap": Outcome(0.53, train=0.5, rates=(1 / 3,))}, WORD)
    assert searched.evidence is not None
    assert searched.evidence.arms[0].runs[0].learning_rate == pytest.approx(1 / 3, rel=1e-9, abs=0)
    longer = [rate for _, _, rate, steps in trainer.trained if steps == 1600]
    assert longer == pytest.approx([1 / 3, 1.0, 3.0], rel=1e-9, abs=0)


def test_no_longer_training_where_an_arm_learns() -> None:
    trainer, _ = run({"swap": Outcome(0.8)}, WORD, CLIP)
    assert max(steps for *_, steps in trainer.trained) == 100
