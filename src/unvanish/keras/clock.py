"""What the looking costs: all time but the training's own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from unvanish.core.diagnosis import Cost


class Timed(Protocol):
    """Hold how long the calls of the plain and of the watched train function took, in seconds."""

    plain_seconds: list[float]
    watched_seconds: list[float]


class Clock:
    """Run from its making; `training` marks the time that is not ours."""

    def __init__(self) -> None:
        """Start."""
        self._started = time.perf_counter()
        self._training = 0.0
        self._steps: Timed | None = None

    @contextmanager
    def training(self, steps: Timed) -> Iterator[None]:
        """Count what runs in the context as the training's own time, but for the taps of its watched steps."""
        self._steps = steps
        started = time.perf_counter()
        try:
            yield
        finally:
            self._training += time.perf_counter() - started

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Count what runs in the context as compiling, which is the training's own too: done once, ahead of it."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._training += time.perf_counter() - started

    def cost(self, steps: int) -> Cost:
        """Return the cost so far; the first call of each function compiles it and is left out of the step's time."""
        total = time.perf_counter() - self._started
        plain, watched = ([], []) if self._steps is None else (self._steps.plain_seconds, self._steps.watched_seconds)
        step = statistics.median(plain[1:] or watched[1:] or plain or watched or [0.0])
        taps = sum(watched[1:]) - step * len(watched[1:]) if plain[1:] else 0.0
        return Cost(
            total_seconds=total,
            added_seconds=total - self._training + max(taps, 0.0),
            step_seconds=step or None,
            steps=steps,
        )
