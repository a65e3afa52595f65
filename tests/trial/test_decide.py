from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec.structs import replace
from trials import ANSWERED, CLIP, change, evidence

from unvanish.core.diagnosis import Finding
from unvanish.core.evidence import Arm, Dropped, Evidence, Run
from unvanish.testing import diagnoses
from unvanish.trial.better import is_better, is_sufficient
from unvanish.trial.decide import Decision, answerable, chosen_words, decide, of_the_budget, of_the_loss

SICK = diagnoses.sick()
INIT, WORD = change("redraw", "initialisation only"), change("swap", "one word")
LINE, ARCHITECTURE = change("line", "one line"), change("norm", "architecture", "norm")
AT_CHANCE = (0.5, 0.5, 0.5)


def decided(found: Evidence | None, cut: str = "") -> Decision:
    return decide(found, SICK, ANSWERED, cut)


def test_cured() -> None:
    found = decided(evidence(AT_CHANCE, {WORD: (0.84, 0.85, 0.86)}))
    assert found == Decision(
        verdict="cured",
        prescription=WORD,
        sentence="do swap (one word): accuracy 0.850 [0.840-0.860] instead of accuracy 0.500 [0.500-0.500] "
        "after 100 steps, better in 3 of 3 seeds",
    )


@pytest.mark.parametrize("present", range(4))
def test_the_least_invasive_of_equals(present: int) -> None:
    arms = [INIT, WORD, LINE, ARCHITECTURE][present:]
    scores = {one: (0.84 + i / 1000, 0.85, 0.86 + i / 1000) for i, one in enumerate(arms)}
    assert decided(evidence(AT_CHANCE, scores)).prescription == arms[0]


def test_of_one_size_the_better() -> None:
    other = change("other", "one word")
    found = evidence(AT_CHANCE, {WORD: (0.84, 0.85, 0.86), other: (0.85, 0.86, 0.87)})
    assert decided(found).prescription == other


def test_a_tenth_of_the_gain_may_be_given_away_for_a_smaller_change() -> None:
    best = (0.89, 0.9, 0.91)
    assert decided(evidence(AT_CHANCE, {WORD: (0.86, 0.87, 0.88), LINE: best})).prescription == WORD
    assert decided(evidence(AT_CHANCE, {WORD: (0.81, 0.82, 0.83), LINE: best})).prescription == LINE


def test_noise_is_no_difference_between_two_cures() -> None:
    found = evidence((0.5,) * 5, {WORD: (0.95, 0.7, 0.8, 0.9, 0.85), LINE: (0.8, 0.95, 0.9, 0.85, 0.95)})
    assert not is_sufficient(replace(found, held_out=0), replace(found.arms[1], verdict="vanishing"))
    assert decided(found).prescription == WORD


def test_better_by_hand() -> None:
    """Differences .10, .20, .30: t = .2 / (.1 / sqrt 3) = 3.46, p = .037; five arms and two looks share .05."""
    wide = evidence(AT_CHANCE, {WORD: (0.6, 0.7, 0.8)})
    assert wide.p(wide.arms[0]) == pytest.approx(0.0370899, rel=1e-5, abs=0)
    assert not is_better(wide, wide.arms[0])
    narrow = evidence(AT_CHANCE, {WORD: (0.67, 0.7, 0.73)})  # t = 11.5, p = .0037
    assert is_better(narrow, narrow.arms[0])
    wider = evidence(AT_CHANCE, {WORD: (0.66, 0.7, 0.74)})  # t = 8.7, p = .0066
    assert not is_better(wider, wider.arms[0])


def test_the_held_out_sample_has_an_error_of_its_own() -> None:
    """At .5 with 200 samples and three seeds: sqrt(.25 / 600) = .0204, three of them .0612."""
    beyond, within = (evidence(AT_CHANCE, {WORD: (score,) * 3}) for score in (0.562, 0.561))
    assert is_better(beyond, beyond.arms[0])
    assert not is_better(within, within.arms[0])


def test_gradients_that_are_sick_afterwards_are_no_cure() -> None:
    found = evidence(AT_CHANCE, {WORD: (0.84, 0.85, 0.86)})
    found = replace(found, arms=(replace(found.arms[0], verdict="exploding"),))
    assert decided(found).verdict == "no-cure-helped"
    assert "its gradients exploding" in decided(found).sentence


def test_an_arm_that_is_stuck_is_no_cure_unless_its_answers_are_told_from_chance() -> None:
    """A squared loss may fall from hundreds and lie above a constant's, while most answers are right."""
    told = evidence(AT_CHANCE, {WORD: (0.84, 0.85, 0.86)})
    runs = tuple(replace(run, stuck=run.seed > 1) for run in told.arms[0].runs)
    told = replace(told, arms=(replace(told.arms[0], runs=runs),))
    assert decided(told).prescription == WORD
    assert decided(replace(told, metric="loss", chance=None)).prescription is None


def test_nothing_that_makes_validation_worse_is_prescribed() -> None:
    found = decided(evidence((0.8, 0.81, 0.82), {WORD: (0.7, 0.71, 0.72)}))
    assert (found.verdict, found.prescription) == ("optional", None)


def test_optional() -> None:
    base = evidence((0.84, 0.85, 0.86), {WORD: (0.85, 0.84, 0.87)})
    found = decided(base)
    assert (found.verdict, found.prescription) == ("optional", None)
    assert "accuracy 0.850 [0.840-0.860]" in found.sentence


def test_no_cure_helped() -> None:
    found = decided(evidence(AT_CHANCE, {WORD: (0.95, 0.5, 0.65)}))
    assert (found.verdict, found.prescription) == ("no-cure-helped", None)
    assert "the best is swap: accuracy 0.650 [0.500-0.950]" in found.sentence


def longer(score: float, train: float) -> Evidence:
    run = Run(
        seed=0,
        learning_rate=0.001,
        steps=1000,
        loss_before=0.7,
        loss=0.7,
        score=score,
        train_score=train,
        stuck=False,
        seconds=1.0,
    )
    return evidence(AT_CHANCE, {WORD: (0.5, 0.49, 0.51)}, longer=("swap", run))


def test_nothing_to_learn() -> None:
    assert decided(longer(0.5, 0.9)).verdict == "nothing-to-learn"


def test_learning_by_heart_from_the_last_steps_says_nothing_about_the_labels() -> None:
    forgets = replace(SICK, findings=tuple(replace(f, code="GF701") for f in SICK.findings[:1]))
    found = decide(longer(0.5, 0.9), forgets, ANSWERED | {"GF701"})
    assert found.verdict == "no-cure-helped"
    assert "many steps back" in found.notes[-1]


def test_a_longer_training_that_learns_says_that_the_budget_was_too_small() -> None:
    found = decided(longer(0.8, 0.9))
    assert found.verdict == "undecided"
    assert "100 steps are too few" in found.sentence


def test_a_longer_training_that_learns_nothing_at_all() -> None:
    assert decided(longer(0.5, 0.52)).verdict == "no-cure-helped"


def test_not_the_gradients() -> None:
    base = evidence((0.84, 0.85, 0.86), {})
    found = decide(base, diagnoses.healthy(), ANSWERED)
    assert (found.verdict, found.prescription) == ("not-the-gradients", None)
    assert found.sentence.startswith("nothing to cure: accuracy 0.850 [0.840-0.860] after 100 steps; ")
    still = decide(evidence(AT_CHANCE, {}), diagnoses.healthy(), ANSWERED)
    assert still.sentence.startswith("the gradients are healthy, and it does not train: ")


def test_what_no_cure_answers_is_named() -> None:
    head = Finding(code="GF904", name="head-and-loss-mismatch", severity="error", message="", verdict="blocked")
    other = replace(SICK, findings=(head,), verdict="blocked", sentence="a softmax over one unit")
    assert not answerable(other, ANSWERED)
    assert decide(evidence(AT_CHANCE, {}), other, ANSWERED).sentence.startswith(
        "no cure answers what was found: a softmax over one unit; "
    )


WARNED = replace(
    diagnoses.healthy(), findings=tuple(replace(f, severity="warning", verdict=None) for f in SICK.findings[:1])
)


def test_a_warning_is_nothing_that_has_to_be_cured() -> None:
    assert answerable(SICK, ANSWERED)
    assert not answerable(WARNED, ANSWERED)
    assert decide(evidence((0.84, 0.85, 0.86), {}), WARNED, ANSWERED).verdict == "not-the-gradients"


def test_what_answers_a_warning_is_optional_where_the_network_trains() -> None:
    found = decide(evidence((0.7, 0.71, 0.72), {WORD: (0.84, 0.85, 0.86)}), WARNED, ANSWERED)
    assert (found.verdict, found.prescription) == ("optional", WORD)
    assert found.sentence.startswith("it trains as it is, and can do better: do swap (one word): accuracy 0.850")


def test_what_answers_a_warning_is_a_cure_where_the_network_does_not_train() -> None:
    found = decide(evidence(AT_CHANCE, {WORD: (0.84, 0.85, 0.86)}), WARNED, ANSWERED)
    assert (found.verdict, found.prescription) == ("cured", WORD)


def test_what_answers_a_warning_and_does_no_better_is_named() -> None:
    found = decide(evidence((0.84, 0.85, 0.86), {WORD: (0.84, 0.85, 0.86)}), WARNED, ANSWERED)
    assert (found.verdict, found.prescription) == ("not-the-gradients", None)
    assert found.sentence.startswith("nothing to cure: accuracy 0.850")
    assert found.notes == ("against GF101, only a warning, swap did no better beyond seed noise",)


@pytest.mark.parametrize(
    ("scores", "factor", "words"),
    [
        ((0.5, 0.51, 0.5), 0.24, "had no effect"),
        ((0.4, 0.41, 0.42), 0.24, "did not help"),
        ((0.5, 0.51, 0.5), 0.5, "did not help"),
    ],
)
def test_what_clipping_did(scores: tuple[float, ...], factor: float, words: str) -> None:
    found = evidence(AT_CHANCE, {CLIP: scores})
    found = replace(found, arms=(replace(found.arms[0], verdict="vanishing", transmission=factor),))
    (note,) = decided(found).notes
    assert note.startswith(f"clipping {words}: 0.24x per layer without and {factor:.2f}x with it")


def test_clipping_that_helps_is_not_said_to_have_had_no_effect() -> None:
    found = evidence(AT_CHANCE, {CLIP: (0.84, 0.85, 0.86)})
    assert decided(found).notes == ()
    assert decided(found).prescription == CLIP


def test_nothing_was_trained() -> None:
    assert decided(None, "interrupted") == Decision(
        verdict="undecided", sentence="nothing was trained: interrupted", prescription=None
    )


def test_two_seeds_prove_nothing() -> None:
    found = decided(evidence((0.5, 0.5), {WORD: (0.9, 0.9)}), "interrupted")
    assert found.verdict == "undecided"


def test_a_budget_below_a_hundred_steps_is_told() -> None:
    found = decided(evidence(AT_CHANCE, {WORD: (0.5, 0.5, 0.5)}, steps=40))
    assert "40 steps each, fewer than 100" in found.sentence


def test_a_loss_is_lower_when_it_is_better() -> None:
    found = evidence((-1.0, -1.1, -0.9), {WORD: (-0.2, -0.3, -0.1)}, metric="loss", chance=-1.0)
    told = decided(found)
    assert told.verdict == "cured"
    assert "loss 0.200 [0.100-0.300] instead of loss 1.000 [0.900-1.100]" in told.sentence


def test_a_loss_has_the_error_of_its_differences_over_the_held_out_samples() -> None:
    """Gains of .8 over every seed, of which four parts of the samples give .5, .7, .9 and 1.1: an error of .129."""

    def with_parts(arm: Arm, *losses: float) -> Arm:
        return replace(arm, runs=tuple(replace(run, loss_parts=losses) for run in arm.runs))

    found = evidence((-1.0, -1.1, -0.9), {WORD: (-0.2, -0.3, -0.1)}, metric="loss", chance=-1.0)
    (arm,) = found.arms
    plain = with_parts(found.baseline, 1.0, 1.0, 1.0, 1.0)
    even = replace(found, baseline=plain, arms=(with_parts(arm, 0.5, 0.3, 0.1, -0.1),))
    error = np.std([0.5, 0.7, 0.9, 1.1], ddof=1) / 2
    assert even.loss_error(even.arms[0]) == pytest.approx(error, rel=1e-12, abs=0)
    assert is_better(even, even.arms[0])
    few = replace(even, arms=(with_parts(arm, 0.9, 0.9, 0.9, -1.9),))  # one part of four has nearly all of it
    assert not is_better(few, few.arms[0])
    assert (of_the_loss(few), of_the_loss(None), of_the_loss(evidence(AT_CHANCE, {WORD: AT_CHANCE}))) == ((), (), ())
    assert found.loss_error(arm) is None
    assert of_the_loss(found) == ("how certain the held-out loss is could not be told: it counts as exact",)


def test_a_network_that_diverged_is_cured_by_what_does_not() -> None:
    found = evidence((-math.inf,) * 3, {WORD: (0.84, 0.85, 0.86)})
    assert decided(found).verdict == "cured"


@pytest.mark.parametrize("name", ["input_nonfinite", "label_nonfinite"])
def test_data_that_are_no_numbers_are_not_the_gradients(name: str) -> None:
    """The gradients may vanish as well: nothing that is done to them makes a number of nan."""
    found = Finding(code="GF401", name="non-finite-values", severity="error", message="3 values", evidence={name: 3.0})
    sick = replace(SICK, findings=(*SICK.findings, found))
    assert not answerable(sick, ANSWERED)
    decision = decide(evidence((-math.inf,) * 3, {}), sick, ANSWERED)
    assert decision.verdict == "not-the-gradients"
    assert decision.sentence.startswith("3 values: what is no number in the data")
    clean = replace(found, evidence={"input_nonfinite": 0.0, "label_nonfinite": 0.0})
    assert answerable(replace(SICK, findings=(*SICK.findings, clean)), ANSWERED)


def test_a_loss_that_is_no_number_in_any_training() -> None:
    nowhere = (-math.inf,) * 3
    found = decided(evidence(nowhere, {WORD: nowhere}))
    assert (found.verdict, found.notes) == ("no-cure-helped", ())
    assert found.sentence == "the loss was no number at the end of all 6 trainings, changed or not"
    rescued = decided(evidence(nowhere, {WORD: (0.84, 0.85, 0.86)}))
    assert rescued.verdict == "cured"
    assert "instead of accuracy no number after" in rescued.sentence


@pytest.mark.parametrize(("samples", "chance", "told"), [(4, 0.5, True), (3, 0.5, False), (500, 1.0, False)])
def test_few_held_out_samples_tell_nothing(samples: int, chance: float, told: bool) -> None:
    """A perfect score at chance .5 over three seeds: 3 sqrt(.25 / 12) = .433 < .5, 3 sqrt(.25 / 9) = .5."""
    few = {"held_out": samples, "chance": chance}
    found = decided(evidence(AT_CHANCE, {WORD: (1.0, 1.0, 1.0)}, **few))
    assert (found.verdict == "undecided") is not told
    assert ("cannot tell a training from guessing" in found.sentence) is not told
    healthy = decide(evidence(AT_CHANCE, {}, **few), diagnoses.healthy(), ANSWERED)
    assert healthy.verdict == "not-the-gradients"
    assert ("it does not train" in healthy.sentence) is told


def test_few_steps_do_not_say_that_a_healthy_network_does_not_train() -> None:
    found = decide(evidence(AT_CHANCE, {}, steps=99), diagnoses.healthy(), ANSWERED)
    assert found.sentence.startswith("the gradients are healthy, and 99 steps are too few to tell whether it trains: ")


def test_a_guess_is_no_cure_of_the_rarer_class_for_an_answer() -> None:
    """Stuck at .412 where chance is .588: .600 is better in every seed, and tells nothing from guessing.

    Beyond chance .588 with 200 samples and three seeds: 3 sqrt(.588 x .412 / 600) = .0603.
    """
    stuck, scores = (0.412,) * 3, (0.6, 0.575, 0.64)
    found = evidence(stuck, {WORD: scores}, chance=0.588)
    t = 0.193 / (0.0327872 / math.sqrt(3))  # of .188, .163, .228; two degrees of freedom
    assert found.p(found.arms[0]) == pytest.approx(0.5 - t / (2 * math.sqrt(2 + t * t)), rel=1e-3, abs=0)
    assert decided(found).verdict != "cured"
    within, beyond = (evidence(stuck, {WORD: (score,) * 3}, chance=0.588) for score in (0.647, 0.649))
    assert not is_better(within, within.arms[0])
    assert is_better(beyond, beyond.arms[0])


def test_what_a_budget_left_out_is_told() -> None:
    full = evidence(AT_CHANCE, {WORD: (0.84, 0.85, 0.86)}, usual_steps=100, usual_seeds=3)
    assert of_the_budget(None, "") == of_the_budget(full, "") == ()
    assert of_the_budget(replace(full, usual_steps=None, usual_seeds=None), "") == ()
    (told,) = of_the_budget(replace(full, usual_steps=250), "")
    assert told.startswith("to keep to the budget: 100 steps of each training in the place of 250;")
    spent = "the budget was spent"
    dropped = (Dropped(prescription=LINE, reason=f"not compared: {spent}"), Dropped(prescription=INIT, reason="sick"))
    (told,) = of_the_budget(replace(full, usual_seeds=5, dropped=dropped), spent)
    first, _, rest = told.partition("; ")
    assert first == "the budget was spent: 3 seeds in the place of 5, 1 change not compared"
    assert rest == "with more time the prescription may be another"


def test_what_was_asked_for_is_told_as_what_it_is() -> None:
    found = evidence(AT_CHANCE, {WORD: (0.84, 0.85, 0.86), CLIP: AT_CHANCE})
    clip = "by --fix 2 the patch is of what was not sufficient, do clip-gradient (one line): accuracy 0.500"
    assert chosen_words(found, 2, WORD).startswith(f"prescribed is do swap (one word); {clip}")
    assert chosen_words(found, 2, None).startswith(f"prescribed is nothing; {clip}")
    word = "do swap (one word): accuracy 0.850 [0.840-0.860]"
    assert chosen_words(found, 1, WORD).startswith(f"by --fix 1 the patch is of what is prescribed, {word}")
    assert chosen_words(found, 1, INIT).startswith(f"by --fix 1 the patch is of {word}")
    assert chosen_words(found, 1, INIT).endswith("; prescribed is do redraw (initialisation only)")
