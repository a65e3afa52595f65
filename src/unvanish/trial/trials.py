"""All looks and trainings of one search: taken in a fixed order, kept, and stopped when the time is spent."""

from __future__ import annotations

import math
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
from unvanish.errors import UnsupportedError, UnvanishError
from unvanish.trial.job import Job, Result, Runner, one_by_one
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


class Failed(Exception):  # noqa: N818  # not ours: what the user's model, loss or framework raised
    """A look or a training raised; says what, in one line."""

    def __init__(self, error: Exception) -> None:
        """error: what was raised."""
        told = error.what if isinstance(error, UnvanishError) else f"{type(error).__name__}: {error}"
        super().__init__(told.strip().splitlines()[0])


class Trained(msgspec.Struct, frozen=True):
    """Hold one training, and what was seen of its gradients."""

    run: Run
    verdict: str
    transmission: float | None
    gradients: GradientByDepth
    failure: str = ""
    """What the training raised, in one line; its run is then one that came to nothing."""

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
        """Return the diagnosis of a fresh copy before its first step.

        Raise Spent; UnsupportedError as the trainer does; Failed for anything else that it raised.
        """
        self._require_time()
        try:
            seen = self.trainer.look(prescription, seed)
        except UnsupportedError:
            raise
        except Exception as error:  # of the user's own code, or of the framework: one look must not end the trials
            raise Failed(error) from error
        return self._judged(prescription, seen)

    def train(self, prescription: Prescription | None, seed: int, rate: float, steps: int) -> Trained:
        """Train a fresh copy and return what came of it. rate: times the prescription's own. Raise as `train_all`."""
        return next(self.train_all([(prescription, seed, rate)], steps))

    def train_all(self, wanted: Sequence[Wanted], steps: int) -> Iterator[Trained]:
        """Yield what came of each of the trainings, in their order; they may run beside each other.

        Raise Spent, and Failed where the network as it is raised; of a change that did, the failure is yielded.
        """
        jobs = [self._job(*one, steps) for one in wanted]
        for job, result in zip(jobs, self._run(jobs), strict=True):
            self._require_time()
            yield self._trained(job, result)

    def _job(self, prescription: Prescription | None, seed: int, rate: float, steps: int) -> Job:
        rate *= 1.0 if prescription is None else prescription.rate
        return Job(prescription=prescription, seed=seed, learning_rate=rate * self.trainer.learning_rate(), steps=steps)

    def _trained(self, job: Job, result: Callable[[], Result]) -> Trained:
        prescription = job.prescription
        try:
            run, seen = result()
        except Exception as error:  # of the user's own code, or of the framework: one training must not end the others
            if prescription is None:
                raise Failed(error) from error
            return _failed(Failed(error), job.seed, job.learning_rate)
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


def _failed(failure: Failed, seed: int, rate: float) -> Trained:
    """Return a training that came to nothing."""
    run = Run(
        seed=seed,
        learning_rate=rate,
        steps=0,
        loss_before=math.nan,
        loss=math.nan,
        score=-math.inf,
        train_score=-math.inf,
        stuck=True,
        seconds=0.0,
    )
    return Trained(run, "failed", None, GradientByDepth(layers=(), sizes=(), first=()), str(failure))


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
