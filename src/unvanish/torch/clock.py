"""What the looking costs: our own work at the steps, and what the looked-at iterations took more than the others."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from unvanish.core.diagnosis import Cost


class Clock:
    """Run from its making; `iteration` is called after every training iteration."""

    def __init__(self) -> None:
        """Start."""
        self._started = self._last = time.perf_counter()
        self._own = self._own_here = 0.0
        self._since: float | None = None
        self._plain: list[float] = []
        self._looked: list[float] = []

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Count what runs in the context as ours."""
        self._since = time.perf_counter()
        try:
            yield
        finally:
            self._spend()
            self._since = None

    def iteration(self, *, looked: bool) -> None:
        """Take the time of the iteration that ended, without our own; looked: whether its passes were looked at."""
        self._spend()
        now = time.perf_counter()
        (self._looked if looked else self._plain).append(now - self._last - self._own_here)
        self._last, self._own_here = now, 0.0

    def _spend(self) -> None:
        if self._since is not None:
            now = time.perf_counter()
            self._own, self._own_here, self._since = (
                self._own + now - self._since,
                self._own_here + now - self._since,
                now,
            )

    def cost(self) -> Cost:
        """Return the cost so far."""
        step = statistics.median(self._plain or self._looked or [0.0])
        return Cost(
            total_seconds=time.perf_counter() - self._started,
            added_seconds=self._own + sum(max(seconds - step, 0.0) for seconds in self._looked),
            step_seconds=step or None,
            steps=len(self._plain) + len(self._looked),
        )
