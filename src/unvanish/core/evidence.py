"""What trials showed: trainings of a network with and without a change, over the same seeds, batches and steps."""

from __future__ import annotations

import math
import statistics

import msgspec

from unvanish.core.edit import Clip, Prescription
from unvanish.core.gradient_by_depth import GradientByDepth
from unvanish.core.measures.paired import paired_p


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Hold one training."""

    seed: int
    """Draws the weights and the order of the batches: equal for all arms."""
    learning_rate: float
    steps: int
    loss_before: float
    """Held-out loss at the initialisation."""
    loss: float
    """Held-out loss at the end; nan where it was not finite."""
    loss_parts: tuple[float, ...] = ()
    """The same loss of each of some parts of the held-out samples, the same parts in every run; empty where the score
    is an accuracy, or a loss was no number."""
    score: float
    """Held-out metric at the end, higher is better: accuracy, or minus the loss where there is none."""
    train_score: float
    """The same on as many training samples."""
    stuck: bool
    """Whether the training loss did not fall by more than it varies."""
    seconds: float
    """Of the training itself, compiling apart."""


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """Hold all trainings with one change, or with none."""

    prescription: Prescription | None
    """None: the network as it is."""
    runs: tuple[Run, ...]
    """At one learning rate, one for each seed: that of the prescription, of the untreated network the user's own."""
    verdict: str
    """The verdict word on the initial profile and on the last one: the worse."""
    transmission: float | None
    """Measured per layer at the initialisation, median over seeds."""
    step_cost: float = 1.0
    """Seconds a step over those of the untreated network."""
    gradients: GradientByDepth | None = None
    """Of all seeds, before the first step and after the last one; None where nothing was looked at."""

    @property
    def label(self) -> str:
        """Return what the arm is called in a table."""
        return "as it is" if self.prescription is None else self.prescription.label

    @property
    def score(self) -> float:
        """Return the median held-out score over seeds."""
        return statistics.median(run.score for run in self.runs)

    @property
    def loss(self) -> float:
        """Return the median held-out loss over the seeds where it is a number; nan where it is none of all."""
        known = [run.loss for run in self.runs if math.isfinite(run.loss)]
        return statistics.median(known) if known else math.nan

    @property
    def scores(self) -> tuple[float, ...]:
        """Return the held-out scores, one for each seed."""
        return tuple(run.score for run in self.runs)

    @property
    def clips(self) -> bool:
        """Say whether clipping is all that it does."""
        return self.prescription is not None and all(isinstance(edit, Clip) for edit in self.prescription.edits)

    @property
    def stuck(self) -> int:
        """Return how many seeds did not move."""
        return sum(run.stuck for run in self.runs)


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """Name a change that was not trained to the end, and why."""

    prescription: Prescription
    reason: str
    transmission: float | None = None
    """Measured per layer, where it was looked at."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Hold all arms that were trained over the same seeds."""

    metric: str
    """`accuracy` or `loss`."""
    chance: float | None
    """Score of the best constant answer; None where it is not known."""
    baseline: Arm
    arms: tuple[Arm, ...]
    """The best first."""
    dropped: tuple[Dropped, ...]
    steps: int
    """Optimizer steps of each training."""
    planned_steps: int | None
    """Optimizer steps of the user's own training."""
    usual_steps: int | None = None
    """Of each training, had no budget shortened it."""
    usual_seeds: int | None = None
    """That were to be compared."""
    seeds: tuple[int, ...]
    test: str
    """The statistical test by which an arm counts as better."""
    seconds: float
    proven_seconds: float | None = None
    """Seconds after which the first change was proven; None where none was."""
    held_out: int = 0
    """Number of held-out samples; 0 where it is not known."""
    longer: tuple[str, Run] | None = None
    """Label of an arm and one longer training of it: taken where no arm told the labels from chance."""

    def gain(self, arm: Arm) -> float:
        """Return by how much the arm's median score is above the untreated network's."""
        return arm.score - self.baseline.score if math.isfinite(arm.score) else -math.inf

    def loss_error(self, arm: Arm) -> float | None:
        """Return the standard error, by the held-out samples, of how far the arm's mean loss is below the baseline's.

        From the differences over the parts of the samples, each a mean over common seeds. None where these are not
        known, of a loss that is no number for one.
        """
        known = {run.seed: run.loss_parts for run in self.baseline.runs}
        pairs = [(known[run.seed], run.loss_parts) for run in arm.runs if run.seed in known]
        parts = min((len(one) for pair in pairs for one in pair), default=0)
        if parts < 2:
            return None
        gains = [statistics.fmean(before[i] - after[i] for before, after in pairs) for i in range(parts)]
        return statistics.stdev(gains) / math.sqrt(parts)

    def p(self, arm: Arm, other: Arm | None = None) -> float | None:
        """Return the one-sided p value of the arm being better than another (the untreated network), over common seeds.

        None for fewer than two common seeds. See core.measures.paired.
        """
        known = {run.seed: run.score for run in (other or self.baseline).runs}
        pairs = [(run.score, known[run.seed]) for run in arm.runs if run.seed in known]
        return paired_p([a for a, _ in pairs], [b for _, b in pairs])
