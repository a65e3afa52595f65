"""All looks and trainings of one search: taken in a fixed order, kept, and stopped when the time is spent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from unvanish.core.diagnosis import Clear, Diagnosis, Finding
from unvanish.core.edit import Prescription, Redraw
from unvanish.core.evidence import Arm, Run
from unvanish.core.forecast import Forecast
from unvanish.core.gradient_by_depth import GradientByDepth, gradient_by_depth, over_seeds
from unvanish.core.observation import Observation
from unvanish.trial.job import Job, Runner, one_by_one
from unvanish.trial.trainer import Trainer

Judge = Callable[[Observation], Diagnosis]
Progress = Callable[[str, int, int], None]
Wanted = tuple[Prescription | None, int, float]
"""A change, a seed, and a learning rate as a multiple of the change's own."""

SLOPE = ("GF101", "GF102")
"""Rules whose evidence holds the transmission per layer."""
SILENT_AT_FIRST = ("blocked", "undecided")
"""What a branch with a gain of zero looks like before its first step: it is judged after the last one."""


class Spent(Exception):  # noqa: N818  # no error: the end of a search
    """The time for all trials is over."""


class Trained(msgspec.Struct, frozen=True):
    """Hold one training, and what was seen of its gradients."""

    run: Run
    verdict: str
    transmission: float | None
    gradients: GradientByDepth

    @property
    def rank(self) -> tuple[bool, float, float]:
        """Return what orders trainings: healthy gradients, then the score, then the loss."""
        loss = self.run.loss if self.run.loss == self.run.loss else float("inf")
        return self.verdict == "healthy", self.run.score, -loss


class Trials:
    """Take looks and trainings of one trainer until the time is spent."""

    def __init__(
        self, trainer: Trainer, judge: Judge, progress: Progress, seconds: float | None, run: Runner | None = None
    ) -> None:
        """seconds: for everything from now on; None: no bound. run: what trains; None: the trainer, one by one."""
        self.trainer, self._judge, self._progress = trainer, judge, progress
        self._run = run or one_by_one(trainer)
        self.started = time.monotonic()
        self._end = None if seconds is None else self.started + seconds
        self.held_out = 0
        self._forecasts: dict[Prescription | None, Forecast | None] = {}

    @property
    def left(self) -> float | None:
        """Return the seconds that are left; None without a bound."""
        return None if self._end is None else self._end - time.monotonic()

    @property
    def exact(self) -> bool:
        """Say whether scores have no sampling error that is known: they are losses."""
        return self.trainer.metric != "accuracy"

    def look(self, prescription: Prescription | None, seed: int) -> Diagnosis:
        """Return the diagnosis of a fresh copy before its first step. Raise Spent; and as the trainer does."""
        self._require_time()
        return self._judged(prescription, self.trainer.look(prescription, seed))

    def train(self, prescription: Prescription | None, seed: int, rate: float, steps: int) -> Trained:
        """Train a fresh copy and return what came of it. rate: times the prescription's own. Raise as `look` does."""
        return next(self.train_all([(prescription, seed, rate)], steps))

    def train_all(self, wanted: Sequence[Wanted], steps: int) -> Iterator[Trained]:
        """Yield what came of each of the trainings, in their order; they may run beside each other. Raise as `look`."""
        results = self._run([self._job(*one, steps) for one in wanted])
        for prescription, _, _ in wanted:
            self._require_time()
            run, seen = next(results)
            yield self._trained(prescription, run, seen)

    def _job(self, prescription: Prescription | None, seed: int, rate: float, steps: int) -> Job:
        rate *= 1.0 if prescription is None else prescription.rate
        return Job(prescription=prescription, seed=seed, learning_rate=self.trainer.learning_rate() * rate, steps=steps)

    def _trained(self, prescription: Prescription | None, run: Run, seen: Observation) -> Trained:
        self.held_out = seen.data.held_out or self.held_out
        found = self._judged(prescription, seen)
        gradients = gradient_by_depth(seen.network, seen.profiles, None if _beyond(prescription) else found.forecast)
        if found.verdict in SILENT_AT_FIRST and len(seen.profiles) > 1:
            found = self._judged(prescription, replace(seen, profiles=seen.profiles[-1:]))
        return Trained(run, found.verdict, transmission(found), gradients)

    def _judged(self, prescription: Prescription | None, seen: Observation) -> Diagnosis:
        """Return the diagnosis; the forecast of a change is made once, on the weights of its first seed."""
        found = self._judge(replace(seen, forecast=self._forecasts.get(prescription)))
        self._forecasts.setdefault(prescription, found.observation.forecast)
        return found

    def tell(self, what: str, done: int, total: int) -> None:
        """Show how far the search is."""
        self._progress(what, done, total)

    def _require_time(self) -> None:
        if self.left is not None and self.left <= 0:
            raise Spent


def _beyond(prescription: Prescription | None) -> bool:
    """Say whether theory does not cover the weights: it takes biases that depend on their kernels for independent."""
    edits = () if prescription is None else prescription.edits
    return any(isinstance(edit, Redraw) and edit.scheme == "centred_orthogonal" for edit in edits)


def transmission(diagnosis: Diagnosis) -> float | None:
    """Return the factor per layer that was measured; None where no rule could tell."""
    verdicts: tuple[Finding | Clear, ...] = (*diagnosis.findings, *diagnosis.clear)
    known = (verdict.evidence.get("transmission_per_layer") for verdict in verdicts if verdict.code in SLOPE)
    return next((number for number in known if number is not None), None)


def arm_of(prescription: Prescription | None, trained: Sequence[Trained], baseline: Sequence[Trained]) -> Arm:
    """Return the arm that these trainings make up; the untreated network's give the cost of a step."""
    factors = sorted(one.transmission for one in trained if one.transmission is not None)
    sick = Counter(one.verdict for one in trained if one.verdict != "healthy")
    mine, plain = _step_seconds(trained), _step_seconds(baseline)
    return Arm(
        prescription=prescription,
        runs=tuple(one.run for one in trained),
        verdict=sick.most_common(1)[0][0] if sick else "healthy",
        transmission=factors[len(factors) // 2] if factors else None,
        step_cost=mine / plain if plain > 0 and prescription is not None else 1.0,
        gradients=over_seeds([one.gradients for one in trained]),
    )


def _step_seconds(trained: Sequence[Trained]) -> float:
    """Return the median seconds of a step; 0 for none."""
    known = sorted(one.run.seconds / one.run.steps for one in trained if one.run.steps)
    return known[len(known) // 2] if known else 0.0
