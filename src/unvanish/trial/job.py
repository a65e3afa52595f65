"""One training to be done, as data, and what trains several that do not depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from unvanish.core.edit import Prescription
from unvanish.core.evidence import Run
from unvanish.core.observation import Observation
from unvanish.trial.trainer import Trainer


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Name one training. Its result depends on nothing but the trainer's model and data, and on these four."""

    prescription: Prescription | None
    """None: the network as it is."""
    seed: int
    learning_rate: float
    steps: int

    def done_by(self, trainer: Trainer) -> Result:
        """Train a fresh copy; raise as the trainer does."""
        return trainer.train(self.prescription, self.seed, self.learning_rate, self.steps)


Result = tuple[Run, Observation]
Runner = Callable[[Sequence[Job]], Sequence[Callable[[], Result]]]
"""Gives, for each job in their order, what waits for its result and returns it, or raises what the training raised."""


def one_by_one(trainer: Trainer) -> Runner:
    """Return what does one job after another in this process, each when its result is asked for."""

    def run(jobs: Sequence[Job]) -> Sequence[Callable[[], Result]]:
        return [partial(job.done_by, trainer) for job in jobs]

    return run
