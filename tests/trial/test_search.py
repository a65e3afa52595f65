from __future__ import annotations

import math

import pytest
from msgspec.structs import replace
from trials import CLIP, FakeTrainer, Outcome, change, decided, judge, plain, run

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.edit import Prescription, Redraw
from unvanish.core.gradient_by_depth import GradientByDepth
from unvanish.core.observation import Observation
from unvanish.errors import UsageError
from unvanish.testing.observations import Recipe, observation
from unvanish.trial.decide import of_the_budget
from unvanish.trial.plan import FEWEST_STEPS, RATES, UNKNOWN, Plan
from unvanish.trial.search import search

INIT = change("redraw", "initialisation only")
WORD = change("swap", "one word")
NORM = change("norm", "architecture", "norm")
RESIDUAL = change("residual", "architecture", "residual")


def test_the_smallest_sufficient_change_is_prescribed() -> None:
    outcomes = {"redraw": Outcome(0.84), "swap": Outcome(0.85), "norm": Outcome(0.86)}
    _, searched = run(outcomes, INIT, WORD, NORM, CLIP)
    assert decided(searched).prescription == INIT


@pytest.mark.parametrize(("removed", "next_best"), [(INIT, WORD), (WORD, INIT)])
def test_removing_an_arm_changes_the_prescription(removed: Prescription, next_best: Prescription) -> None:
    outcomes = {"redraw": Outcome(0.84), "swap": Outcome(0.85), "norm": Outcome(0.86)}
    left = [one for one in (INIT, WORD, NORM, CLIP) if one is not removed]
    assert decided(run(outcomes, *left)[1]).prescription == next_best
    alone = [one for one in left if one is not next_best]
    assert decided(run(outcomes, *alone)[1]).prescription == NORM


def test_a_small_change_that_is_much_worse_is_not_sufficient() -> None:
    _, searched = run({"redraw": Outcome(0.65), "swap": Outcome(0.85)}, INIT, WORD)
    assert decided(searched).prescription == WORD


def test_what_is_larger_and_no_better_than_what_is_proven_is_not_compared() -> None:
    trainer, searched = run({"swap": Outcome(0.85), "norm": Outcome(0.8)}, WORD, NORM, CLIP)
    assert searched.evidence is not None
    assert {arm.label for arm in searched.evidence.arms} == {"swap", "clip-gradient"}
    assert [(one.prescription, one.reason) for one in searched.evidence.dropped] == [
        (NORM, "0.790 after 50 steps, swap 0.840")
    ]
    assert {key for key, seed, *_ in trainer.trained if seed == 1} == {"", "swap", "clip-gradient"}


def test_nothing_larger_is_tried_where_hardly_anything_is_left_to_gain() -> None:
    """From .5 to .96 is more than nine tenths of what any change could gain."""
    trainer, searched = run({"swap": Outcome(0.96), "norm": Outcome(1.0)}, WORD, NORM, CLIP)
    assert "norm" not in {key for key, *_ in trainer.trained}
    assert "norm" not in trainer.looks
    assert searched.evidence is not None
    assert [one.reason for one in searched.evidence.dropped] == ["cannot be much better than swap"]
    assert decided(searched).prescription == WORD


def test_the_first_proof_is_timed_and_comes_before_larger_changes() -> None:
    trainer, searched = run({"redraw": Outcome(0.84), "swap": Outcome(0.94)}, INIT, WORD)
    order = list(dict.fromkeys(key for key, *_ in trainer.trained))
    assert order == ["", "redraw", "swap"]
    assert trainer.trained.index(("swap", 0, 1.0, 50)) > trainer.trained.index(("redraw", 3, 1.0, 100))
    assert searched.evidence is not None
    assert searched.evidence.proven_seconds is not None
    assert 0 <= searched.evidence.proven_seconds <= searched.evidence.seconds


def test_compared_trainings_share_seeds_and_steps_and_none_of_them_chose_an_arm() -> None:
    trainer, searched = run({"swap": Outcome(0.85)}, WORD, CLIP, seeds=4)
    assert {steps for *_, seed, _, steps in trainer.trained if seed == 0} == {50}
    for label in ("", "swap", "clip-gradient"):
        assert [(s, n) for key, s, _, n in trainer.trained if key == label and s] == [(i, 100) for i in (1, 2, 3, 4)]
    assert searched.evidence is not None
    assert searched.evidence.seeds == (1, 2, 3, 4)
    assert searched.evidence.steps == 100


def test_a_change_that_is_better_with_every_seed_and_not_beyond_their_noise_gets_more_of_them() -> None:
    """Seeds 1 to 5 give .80, .95, .65, .80, .95: p is .041 over three of them, .0018 over five."""
    trainer, searched = run({"swap": Outcome(0.8, spread=0.15)}, WORD, CLIP)
    assert [seed for key, seed, *_ in trainer.trained if key == "swap" and seed] == [1, 2, 3, 4, 5]
    assert decided(searched).prescription == WORD
    trainer, searched = run({"swap": Outcome(0.65, spread=0.15)}, WORD, CLIP)
    assert [seed for key, seed, *_ in trainer.trained if key == "swap" and seed] == [1, 2, 3]
    assert decided(searched).verdict == "no-cure-helped"


def test_a_forecast_of_the_same_disease_is_not_looked_at() -> None:
    forecast = change("swap", variant="relu", transmission=0.7)
    trainer, searched = run({"swap (relu)": Outcome(0.9), "norm": Outcome(0.8)}, forecast, NORM)
    assert "swap (relu)" not in trainer.looks
    assert searched.evidence is not None
    assert [(d.prescription, d.reason) for d in searched.evidence.dropped] == [(forecast, "forecast: 0.70x per layer")]


def test_a_forecast_of_a_signal_that_dies_is_not_looked_at() -> None:
    """12 kernels: .5x at each of 11 steps is 3.3 decades, .6x is 2.4."""
    dying, fading = (change("swap", variant=str(one), transmission=1.0, signal=one) for one in (0.5, 0.6))
    outcomes = {"swap (0.5)": Outcome(0.9), "swap (0.6)": Outcome(0.8)}
    trainer, searched = run(outcomes, dying, fading)
    assert "swap (0.6)" in trainer.looks
    assert searched.evidence is not None
    told = [(d.prescription, d.reason) for d in searched.evidence.dropped]
    assert told == [(dying, "forecast: the signal 0.50x per layer")]


def test_a_first_step_that_is_sick_is_not_trained() -> None:
    trainer, searched = run({"swap": Outcome(0.9, first="exploding"), "norm": Outcome(0.8)}, WORD, NORM)
    assert "swap" not in {key for key, *_ in trainer.trained}
    assert searched.evidence is not None
    assert searched.evidence.dropped[0].reason == "exploding at the first step"


def test_a_branch_of_zero_gain_is_judged_after_training() -> None:
    _, searched = run({"residual": Outcome(0.8, first="blocked")}, RESIDUAL)
    assert decided(searched).prescription == RESIDUAL


def test_a_change_that_does_not_fit_is_named() -> None:
    _, searched = run({"swap": Outcome(0.9, fits=False), "norm": Outcome(0.8)}, WORD, NORM)
    assert searched.evidence is not None
    assert searched.evidence.dropped[0].reason == "does not fit: widths are odd"
    assert decided(searched).prescription == NORM


def test_of_a_size_three_are_trained_and_after_one_that_does_well_none() -> None:
    many = [change("swap", variant=str(i)) for i in range(5)]
    trainer, searched = run({one.label: Outcome(0.5) for one in many}, *many)
    assert {key for key, *_ in trainer.trained} == {"", *(one.label for one in many[:3])}
    assert searched.evidence is not None
    assert [one.reason for one in searched.evidence.dropped[:2]] == ["swap (2) did no better"] * 2
    trainer, searched = run({one.label: Outcome(0.8) for one in many}, *many)
    assert {key for key, *_ in trainer.trained} == {"", many[0].label}
    assert searched.evidence is not None
    assert [one.reason for one in searched.evidence.dropped[:4]] == ["swap (0) did well"] * 4


def test_an_arm_whose_loss_is_no_number_loses() -> None:
    broken = Outcome(-math.inf, spread=0.0, word="nonfinite", first="healthy", rates=RATES)
    _, searched = run({"redraw": broken, CLIP.label: broken}, INIT, CLIP)
    assert searched.evidence is not None
    assert [arm.score for arm in searched.evidence.arms] == [-math.inf] * 2
    assert searched.evidence.gain(searched.evidence.arms[0]) == -math.inf
    assert decided(searched).prescription is None


def test_clipping_of_a_vanishing_network_is_measured_and_has_no_effect() -> None:
    _, searched = run({"swap": Outcome(0.8)}, WORD, CLIP)
    assert decided(searched).notes == (
        "clipping had no effect: 0.24x per layer without and 0.24x with it; accuracy 0.500 [0.500-0.500] with it, "
        "accuracy 0.500 [0.500-0.500] without",
    )


def test_labels_without_signal() -> None:
    trainer, searched = run({"swap": Outcome(0.5, train=0.9)}, WORD, CLIP)
    assert trainer.trained[-1] == ("swap", 0, 1.0, 1600)
    found = decided(searched)
    assert found.verdict == "nothing-to-learn"
    assert found.prescription is None
    assert "swap scores 0.490 held-out and 0.900 in training after 1600 steps (chance 0.500)" in found.sentence


def test_an_empty_list_trains_the_network_alone() -> None:
    trainer, searched = run({"": Outcome(0.8)})
    assert trainer.trained == [("", seed, 1.0, 100) for seed in (1, 2, 3)]
    assert searched.evidence is not None
    assert searched.evidence.arms == ()


@pytest.mark.parametrize("at", range(0, 18))
def test_ctrl_c_keeps_what_was_measured(at: int) -> None:
    def press(number: int) -> None:
        if number == at:
            raise KeyboardInterrupt

    outcomes = {"": plain(), "swap": Outcome(0.8), CLIP.label: plain()}
    trainer = FakeTrainer(outcomes, press)
    searched = search(trainer, [WORD, CLIP], judge, Plan())
    assert searched.cut == "interrupted"
    assert (searched.evidence is None) == (at == 0)
    found = decided(searched)
    if found.verdict == "cured":
        assert searched.evidence is not None
        assert len(searched.evidence.baseline.runs) == 3
    else:
        assert found.verdict == "undecided"
        assert "interrupted" in found.sentence
    if searched.evidence is not None:
        named = {one.prescription for one in searched.evidence.dropped}
        assert named | {arm.prescription for arm in searched.evidence.arms} == {WORD, CLIP}


def test_a_proof_that_was_complete_is_kept_when_interrupted() -> None:
    def press(number: int) -> None:
        if number == 3 + 3 + 6 + 3 + 2:  # the last training, of clipping's last seed
            raise KeyboardInterrupt

    trainer = FakeTrainer({"": plain(), "swap": Outcome(0.8), CLIP.label: plain()}, press)
    searched = search(trainer, [WORD, CLIP], judge, Plan())
    assert searched.cut == "interrupted"
    assert decided(searched).verdict == "cured"


def test_a_spent_budget_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("unvanish.trial.trials.time.monotonic", lambda: now[0])

    def passes(number: int) -> None:
        now[0] += 1.0

    trainer = FakeTrainer({"": plain(), "swap": Outcome(0.8), CLIP.label: plain()}, passes)
    searched = search(trainer, [WORD, CLIP], judge, Plan(seconds=5.0))
    assert len(trainer.trained) == 5
    assert searched.cut == "the budget was spent"
    assert decided(searched).verdict == "undecided"


def test_a_budget_shortens_trainings_but_never_below_what_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("unvanish.trial.trials.time.monotonic", lambda: now[0])

    def compared_steps(seconds: float) -> int:
        trainer = FakeTrainer({"": plain(), "swap": Outcome(0.8), CLIP.label: plain()}, lambda number: None)
        train = trainer.train

        def timed(*arguments: object) -> object:
            now[0] += 0.01 * arguments[-1]  # type: ignore[operator]
            return train(*arguments)  # type: ignore[arg-type]

        trainer.train = timed  # type: ignore[method-assign, assignment]
        searched = search(trainer, [WORD, CLIP], judge, Plan(seconds=seconds, steps=400))
        assert searched.evidence is not None
        assert searched.evidence.usual_steps == 400
        assert (searched.evidence.steps < 400) is bool(of_the_budget(searched.evidence, searched.cut))
        return max(steps for _, seed, _, steps in trainer.trained if seed)

    assert compared_steps(1000.0) == 400
    assert FEWEST_STEPS < compared_steps(40.0) < 400
    assert compared_steps(12.0) == FEWEST_STEPS


def test_steps_of_a_plan() -> None:
    assert Plan().steps_of(16000) == 1000
    assert Plan().steps_of(1601) == 101
    assert Plan().steps_of(300) == FEWEST_STEPS
    assert Plan().steps_of(None) == UNKNOWN
    assert Plan(steps=7).steps_of(8000) == 7


@pytest.mark.parametrize("plan", [{"seeds": 2}, {"seconds": 0.0}, {"steps": 0}])
def test_a_plan_that_can_prove_nothing(plan: dict[str, int]) -> None:
    with pytest.raises(UsageError) as caught:
        Plan(**plan)  # type: ignore[arg-type]
    assert caught.value.found
    assert caught.value.hint


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    trainer = FakeTrainer({"": plain(), "swap": Outcome(0.8), CLIP.label: plain()})
    search(trainer, [WORD, CLIP], judge, Plan(), lambda *seen: told.append(seen))
    assert list(dict.fromkeys(what for what, *_ in told)) == [
        "learning rates of the network as it is",
        "looking at the first step of swap",
        "one word: swap",
        "learning rates of swap",
        "the network as it is over seeds",
        "swap over seeds",
        "learning rates of clip-gradient",
        "clip-gradient over seeds",
    ]
    assert all(0 <= done < total for _, done, total in told)


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (-1, "failed at the first step: RuntimeError: the layer raised"),
        (0, "its training failed: RuntimeError: the loss raised"),
        (2, "its training failed: RuntimeError: the loss raised"),
        (5, "its training failed: RuntimeError: the loss raised"),
    ],
)
def test_a_change_that_raises_is_dropped_and_the_others_go_on(at: int, reason: str) -> None:
    """At the look, at its first short training, at another learning rate, at its second seed."""
    outcomes = {"redraw": Outcome(0.86, fails_at=at), "swap": Outcome(0.87), "clip-gradient": plain(fails_at=at)}
    _, searched = run(outcomes, INIT, WORD, CLIP)
    assert searched.cut == ""
    assert searched.evidence is not None
    assert {one.prescription.name: one.reason for one in searched.evidence.dropped}["redraw"] == reason
    assert [(arm.label, len(arm.runs)) for arm in searched.evidence.arms if arm.label == "redraw"] == []
    assert decided(searched).prescription == WORD


@pytest.mark.parametrize(("at", "kept"), [(0, None), (5, 2)])
def test_the_network_as_it_is_that_raises_ends_the_trials(at: int, kept: int | None) -> None:
    _, searched = run({"": plain(fails_at=at), "swap": Outcome(0.85)}, WORD)
    assert searched.cut == "the training of the network as it is failed: RuntimeError: the loss raised"
    assert kept == (None if searched.evidence is None else len(searched.evidence.baseline.runs))
    assert decided(searched).verdict == "undecided"


def with_forecast(seen: Observation) -> Diagnosis:
    """Judge as the fake trainer says, with a forecast, as api adds it."""
    return judge(replace(seen, forecast=seen.forecast or observation(Recipe()).forecast))


def gradients(*candidates: Prescription) -> dict[str, GradientByDepth]:
    """Return the gradients of every arm of a search, by its label."""
    trainer = FakeTrainer({"": plain(), CLIP.label: plain(), **{one.label: Outcome(0.85) for one in candidates}})
    found = search(trainer, (*candidates, CLIP), with_forecast, Plan()).evidence
    assert found is not None
    arms = (found.baseline, *found.arms)
    assert all(arm.gradients is not None and len(arm.gradients.first) == len(arm.runs) for arm in arms)
    return {arm.label: arm.gradients for arm in arms if arm.gradients is not None}


def test_every_arm_keeps_its_gradients_over_the_seeds() -> None:
    seen = observation(Recipe())
    for found in gradients(WORD).values():
        for rows, profile in ((found.first, seen.profiles[0]), (found.last, seen.profiles[-1])):
            assert set(rows) == {tuple(profile.layer(name).gradient_rms for name in found.layers)}
        assert len(found.forecast) == len(found.layers)


def test_a_bias_that_depends_on_its_kernel_has_no_forecast() -> None:
    """Theory takes biases as independent; b = -W.1/2 is not, and its forecast would be decades off."""
    edit = Redraw(layers=("dense",), scheme="centred_orthogonal", gain=4.0)
    found = gradients(change("centred", "initialisation only", edits=(edit,)))
    assert found["centred"].forecast == ()
    assert found[CLIP.label].forecast


@pytest.mark.parametrize("score", [0.5, 0.84])
def test_no_candidate_disappears(score: float) -> None:
    candidates = INIT, WORD, NORM, RESIDUAL, CLIP
    outcomes = {one.label: Outcome(score if one is INIT else 0.85) for one in candidates if one is not CLIP}
    found = run(outcomes, *candidates)[1].evidence
    assert found is not None
    told = [arm.label for arm in found.arms] + [one.prescription.label for one in found.dropped]
    assert sorted(told) == sorted(one.label for one in candidates)
