"""One watched training: which steps are sampled, what they gave, and when enough was seen. Knows no framework."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from unvanish.core.recording import LAYER_STATS, Recording

Progress = Callable[[str, int, int], None]
"""Called with (what is being done, done, total); total 0 means unknown."""


class Enough(BaseException):
    """Stop the user's script: everything asked for was seen. Not an Exception, so that scripts do not catch it."""


class Idle(NamedTuple):
    """Say what was seen of a script in place of a training that could be looked at, and what to try."""

    found: str
    hint: str


def too_few(seen: int, wanted: int) -> Idle:
    """Return what to say where a script has fewer trainings than the one that was asked for."""
    trainings = "1 training was" if seen == 1 else f"{seen} trainings were"
    return Idle(f"{trainings} seen, and --fit {wanted} asks for a later one", f"--fit {seen}")


_ENDLESS = 1_000_000
"""A limit of so many steps is none: "all", of a training whose length nobody knows."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Say how much of a training is to be seen."""

    steps: int | None = None
    """Optimizer steps to see; None: the whole of a fit of up to `whole` steps, else `default`."""
    whole: int = 200
    default: int = 60
    samples: int = 40
    """About how many of the steps are sampled."""
    fit: int = 1
    """Which call of fit is looked at, counted from 1."""

    def limit(self, planned: int | None) -> int:
        """Return the number of optimizer steps to see of a training planned to take so many (None: unknown)."""
        wanted = (
            self.steps
            if self.steps is not None
            else (self.default if planned is None or planned > self.whole else self.whole)
        )
        return wanted if planned is None else min(wanted, planned)


class Session:
    """Collect the samples of one training. An adapter asks `wants(step)`, calls `add` at sampled steps."""

    def __init__(
        self, plan: Plan, layers: Sequence[str], sizes: Sequence[int], planned: int | None, progress: Progress
    ) -> None:
        """Fix the sampled steps: all of the first three, then every `interval`-th, and the last."""
        self.layers, self.sizes = tuple(layers), tuple(sizes)
        self.planned = planned
        self.limit = plan.limit(planned)
        self._samples = plan.samples
        self._endless = self.limit >= _ENDLESS
        self.interval = 1 if self._endless else max(1, -(-self.limit // plan.samples))
        self.done = 0
        self.started = time.perf_counter()
        self._progress = progress
        self._steps: list[int] = []
        self._losses: list[float] = []
        self._rows: dict[str, list[tuple[float, ...]]] = {stat: [] for stat in LAYER_STATS}

    def wants(self, step: int) -> bool:
        """Say whether the step (0 is the first) is to be sampled."""
        return step < 3 or step % self.interval == 0 or step == self.limit - 1

    def add(self, step: int, loss: float, rows: Mapping[str, Sequence[float]]) -> None:
        """Keep one sample; `rows` maps every name of LAYER_STATS to one number per layer."""
        self._steps.append(step)
        self._losses.append(float(loss))
        if self._endless and len(self._steps) > self._samples:  # longer than anyone knew: thinner from here on
            self.interval *= 2
            self._samples += self._samples // 2
        for stat in LAYER_STATS:
            self._rows[stat].append(tuple(float(number) for number in rows[stat]))

    def advance(self) -> None:
        """Count one optimizer step as taken, and show it."""
        self.done += 1
        self._progress("training", self.done, self.limit)

    @property
    def enough(self) -> bool:
        """Say whether as many steps ran as were asked for."""
        return self.done >= self.limit

    def recording(self) -> Recording:
        """Return what was collected so far."""
        return Recording(
            layers=self.layers,
            sizes=self.sizes,
            steps=tuple(self._steps),
            losses=tuple(self._losses),
            rows={stat: tuple(rows) for stat, rows in self._rows.items()},
            total_steps=self.done,
        )
