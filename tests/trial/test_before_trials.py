"""What is told before anything is trained."""

from __future__ import annotations

from msgspec.structs import replace
from trials import FakeTrainer, plain

from unvanish.core.edit import Prescription
from unvanish.core.observation import Observation
from unvanish.curing import try_cures
from unvanish.trial.better import enough_held_out
from unvanish.trial.plan import Plan


class Held(FakeTrainer):
    """A trainer with so many held-out samples."""

    def __init__(self, samples: int, before: list[str]) -> None:
        super().__init__({"": plain()}, lambda _: before.append("training"))
        self._samples = samples

    def look(self, prescription: Prescription | None, seed: int) -> Observation:
        seen = super().look(prescription, seed)
        return replace(seen, data=replace(seen.data, held_out=self._samples))


def told(samples: int) -> list[str]:
    happened: list[str] = []
    every = ("add-batch-norm", "add-layer-norm", "add-residual", "centred-orthogonal-init", "clip-gradient")
    without = (*every, "data-driven-init", "learning-rate", "looks-linear-init", "orthogonal-init", "rescale-init")
    without = (*without, "swap-activation", "lower-epsilon", "scale-inputs", "scale-loss")
    try_cures(Held(samples, happened), Plan(), lambda *_: None, without=without, tell=happened.append)
    return happened


def test_too_few_held_out_samples_are_told_before_the_first_training() -> None:
    note, *trainings = told(2)
    assert note.startswith("the held-out samples (2, 0.500 of them of one class) cannot tell a training from guessing")
    assert set(trainings) == {"training"}, "and the trials go on"
    assert set(told(200)) == {"training"}


def test_how_many_are_enough_for_a_perfect_score_to_be_told() -> None:
    """Of 3 n guesses between two the score has a standard error of 1/2 / sqrt(3 n): three of them are 1/2 at n = 3."""
    assert [enough_held_out(0.5, samples, 3) for samples in (3, 4)] == [False, True]
    assert enough_held_out(None, 1, 3)
    assert enough_held_out(0.5, 0, 3), "where their number is not known, nothing is said"
