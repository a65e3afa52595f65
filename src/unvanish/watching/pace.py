"""Which steps of a training are sampled, so that watching stays within its budget, and what it costs.

Time is read at a few steps alone: where a sample begins, WINDOW steps later, and where the next one begins. The steps
between the last two are plain, so that every window has its own plain steps to be compared with: what it took more is
the sample's cost, the waiting of the steps behind it included. Spending goes by an account: as many seconds as the
budget's share of the time that the training has run, warm-up included. An account that is overdrawn pays for the floor
alone.

Some samples are looked into, for what the layers give: dearer ones, of numbers that change slowly. They have an account
of their own, with a part of the budget, so that they never make the others rarer; where the steps to sample are given,
so many steps lie between two looks that they cost little.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from unvanish.core.watch_cost import WatchCost
from unvanish.errors import UsageError

Every = int | Literal["auto"]

WINDOW = 3
"""Steps over which a sample's cost shows: its numbers are read in another thread while the next steps run."""
FLOOR_STEPS, FLOOR_SECONDS = 100, 1.0
"""A sample at least every so many steps or seconds, whichever comes later, whatever the budget."""
GLANCE_SECONDS = 3e-5
"""What it takes to read one number of a step that is not sampled, in another thread."""
GLANCES = 0.1
"""Share of the budget that goes into such glances at the loss."""
LOOKS = 0.5
"""Share of the budget that goes into samples that are looked into."""
LOOK_STEPS = 100
"""Steps from one look to the next at least, where the steps to sample are given. Measured in PyTorch on a CPU, 12 dense
layers: a look takes as long as half a step of 1024 units, and as ten of 64.
"""
TAP = 0.2
"""By which share of a plain step a tapped one is taken to be longer, until plain ones show it. Measured with 12 dense
layers, of 1024 units: TensorFlow .06, JAX .06; of 64: several times that.
"""
REMEMBERED = 31
"""Windows and plain stretches of which the medians are taken."""


def valid(every: object, budget: object) -> None:
    """Raise UsageError for what no pace can keep to."""
    if every != "auto" and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
        raise UsageError(
            "every is a number of steps, or 'auto'",
            found=f"every={every!r}",
            hint="every=100, or every='auto' with a budget",
        )
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not 0 < budget <= 1:
        raise UsageError(
            "the budget is a share of the training's time, above 0 and up to 1",
            found=f"budget={budget!r}",
            hint="budget=0.01, for one percent",
        )


class Pace:
    """Say at which steps to stop, and which of them to sample. An adapter counts `left` down and calls `stop` at 0."""

    def __init__(
        self,
        every: Every = "auto",
        budget: float = 0.01,
        clock: Callable[[], float] = time.perf_counter,
        *,
        glances: bool = False,
        looks: bool = False,
    ) -> None:
        """every: a number of steps, or `auto`. budget: share of the training's time, for `auto`. Both are valid.

        glances: whether to stop at steps between samples too, for a look at their loss, with `auto`. looks: whether
        some samples can be looked into.
        """
        self.glance = False
        """Whether the last stop was for a look at the loss."""
        self.looks = False
        """Whether the sample that the last stop asked for is to be looked into."""
        self.settled = False
        """Whether what comes with the first sample alone is over, in the other thread."""
        self.left = 0
        """Steps that may be taken before `stop` has to be called for the next one."""
        self._every, self._budget, self._clock = every, budget, clock
        self._began, self._early = math.nan, 0.0
        self._away, self._left_at = 0.0, math.nan
        self._mark: float = math.inf
        self._window: tuple[float, int] | None = None
        self._stretch: tuple[float, int] | None = None
        self._windows: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)
        self._plain: deque[float] = deque(maxlen=REMEMBERED)
        self._warm_up = self._charged = self._taken = self._inside = 0.0
        self._rented, self._rents, self._known_plain = 0.0, 0, False
        self._samples, self._asked = 0, -1
        self._look_windows: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)
        self._looked = 0
        self._looked_into, self._look_from = 0.0, 0
        self._in_look, self._may_look = False, looks
        self._next = 0
        self._look: float = 0 if glances and every == "auto" else math.inf

    def stop(self, step: int) -> bool:
        """Say whether the step that is about to be taken (0 is the first) is to be sampled; set `left`."""
        now = self._now()
        self._began = now if math.isnan(self._began) else self._began
        if self._window is not None and step >= self._mark:
            self._close_window(now, step)
        sampled = step >= self._next
        if sampled:
            self._asked = step
            self._close_stretch(now, step)
            self._open_window(now, step)
        self.glance = step >= self._look
        if self.glance:
            self._look = step + self._until_look()
        self.left = max(int(min(self._next, self._look, self._mark if self._window else math.inf)) - step - 1, 0)
        return sampled

    def warmed_up(self, seconds: float) -> None:
        """Be told what compiling and reading took before the first sample, or in it: charged, and no sample's cost."""
        self._warm_up += seconds
        self._window = None
        self._early += seconds if math.isnan(self._began) else 0.0

    def rented(self, seconds: float) -> float:
        """Be told how long a step took that is not sampled, and yet no plain one; return by how much that is longer."""
        self._rented += seconds
        self._rents += 1
        return seconds * TAP / (1 + TAP)

    def renew(self, seconds: float) -> None:
        """Be told that from here on the steps between samples are plain ones, and what it took to make them so."""
        self._warm_up += seconds
        self._windows.clear()
        self._look_windows.clear()
        self._plain.clear()
        self._window = self._stretch = None
        self._known_plain = True

    def inside(self, seconds: float) -> None:
        """Be told what the numbers of a sample take within its step, as was tried out: the least that it costs."""
        self._inside = seconds

    def charged(self, seconds: float, *, settled: bool = False) -> None:
        """Be told of all processor time of ours, so far, that no step waits for by itself, as of another thread.

        settled: whether what comes with the first sample alone is over, as importing the rules.
        """
        self._charged, self.settled = seconds, settled

    def took(self, seconds: float) -> None:
        """Be told of time of ours at a sampled step: the least that a sample costs, where no step is plain."""
        self._taken += seconds
        self._asked = -1

    def looked(self, seconds: float) -> None:
        """Be told of time of ours that only a sample takes that is looked into: the least that a look costs."""
        self._looked_into += seconds

    def not_looked(self) -> None:
        """Be told that the last sample was not looked into, though it was to be: it is one like the others."""
        self._looked, self._in_look, self.looks = max(self._looked - self.looks, 0), False, False

    def not_taken(self, step: int) -> None:
        """Be told that this step was not taken after all, as where the batches ended: the next one is the same."""
        if self._asked < step:
            return
        if self.looks and self._every != "auto":
            self._look_from = self._asked
        self.not_looked()
        self._samples, self._next, self._asked = self._samples - 1, min(self._next, self._asked), -1
        self._window, self.left = None, 0

    def alarm(self) -> None:
        """Sample the next step: something happened."""
        self._next = self.left = 0

    def give_up(self) -> None:
        """Sample nothing more."""
        self._samples = max(self._samples - 1, 0)
        self._next = self._mark = self._look = self.left = sys.maxsize

    def leave(self) -> None:
        """Be told that the training does something else now, as a validation."""
        if math.isnan(self._left_at):
            self._left_at = self._clock()

    def enter(self) -> None:
        """Be told that steps are taken again."""
        if not math.isnan(self._left_at):
            self._away += self._clock() - self._left_at
            self._left_at = math.nan

    @property
    def now(self) -> float:
        """Return the time by the pace's clock, in seconds; it stands still while the training does something else."""
        return self._now()

    @property
    def elapsed(self) -> float:
        """Return the time since the first step, and what was ours before it."""
        return self._early + (0.0 if math.isnan(self._began) else self._now() - self._began)

    @property
    def dense(self) -> bool:
        """Say whether there are too few steps between two samples to compare them with."""
        return isinstance(self._every, int) and self._every <= WINDOW

    @property
    def cost(self) -> WatchCost:
        """Return what watching cost so far."""
        elapsed = self.elapsed
        each = self._each()
        if each is None and self._inside:
            each = self._direct()
        return WatchCost(
            samples=self._samples,
            seconds=elapsed,
            added_seconds=min(self._spent(), elapsed),  # of a few samples that is an estimate
            warm_up_seconds=self._warm_up,
            step_seconds=self._step(),
            sample_seconds=each,
            budget=self._budget if self._every == "auto" else None,
            looks=self._looked,
            look_seconds=self._each_look() if self._looked and each is not None else None,
        )

    def _close_window(self, now: float, step: int) -> None:
        began, first = self._window or (now, step)
        (self._look_windows if self._in_look else self._windows).append((now - began, step - first))
        self._window, self._stretch = None, (now, step)

    def _close_stretch(self, now: float, step: int) -> None:
        if self._stretch is not None and step - self._stretch[1] >= WINDOW:
            self._plain.append((now - self._stretch[0]) / (step - self._stretch[1]))
        self._stretch = None

    def _open_window(self, now: float, step: int) -> None:
        self._samples += 1
        interval = self._every if isinstance(self._every, int) else self._interval(now)
        self._next = step + interval
        self._mark = step + WINDOW
        self._window = (now, step) if interval > WINDOW else None
        self.looks = self._in_look = self._wants_look(now, step)
        self._looked += self.looks
        if self.looks:
            self._look_from = step + LOOK_STEPS

    def _wants_look(self, now: float, step: int) -> bool:
        """Say whether the sample that begins is to be looked into; what is not known yet is found out."""
        if not self._may_look:
            return False
        if self._every != "auto":
            return step >= self._look_from
        if not self._looked:
            return True
        if len(self._look_windows) < 2:
            return self._window is not None and not self._in_look
        return (self._looked + 1) * self._each_look() <= LOOKS * self._budget * (now - self._began)

    def _interval(self, now: float) -> int:
        """Return after how many steps the account pays for another sample, the floor at most."""
        step = self._step()
        if step is None:  # nothing is known yet: a few of the first steps, which show most
            return 1 if self._samples < WINDOW else 2 * WINDOW + 2
        floor = max(FLOOR_STEPS, FLOOR_SECONDS / step)
        after = (self._spent() + (self._each() or 0.0)) / self._budget - (now - self._began)
        return int(min(max(math.ceil(after / step), 2 * WINDOW + 2), math.ceil(floor)))

    def _until_look(self) -> int:
        """Return after how many steps the loss is looked at again: as often as its part of the budget pays for."""
        step = self._step() or 1e-3
        return max(math.ceil(GLANCE_SECONDS / (GLANCES * self._budget * step)), 1)

    def _step(self) -> float | None:
        """Return the time of a plain step."""
        return statistics.median(self._plain) if self._plain else None

    def _each(self) -> float | None:
        """Return what a sample costs, in seconds, its steps' own time taken out."""
        return self._longer(self._windows)

    def _each_look(self) -> float:
        """Return what a sample costs that is looked into."""
        least = (self._each() or self._direct()) + (self._looked_into / self._looked if self._looked else 0.0)
        few = len(self._look_windows) < 3  # one that something else made longer would put the next look far off
        return max(self._longer(self._look_windows, min if few else statistics.median) or 0.0, least)

    def _longer(
        self, windows: deque[tuple[float, int]], usual: Callable[[list[float]], float] = statistics.median
    ) -> float | None:
        """Return by how much windows are usually longer than plain steps; None where that is not known."""
        step = self._step()
        if step is None or not windows:
            return None
        return max(usual([took - steps * step for took, steps in windows]), self._direct())

    def _direct(self) -> float:
        return (self._charged + self._taken) / self._samples + self._inside if self._samples else 0.0

    def _rent(self) -> float:
        """Return by how much the rented steps were longer."""
        step = self._step()
        if step is None or not self._known_plain:
            return self._rented * TAP / (1 + TAP)
        return max(self._rented - self._rents * step, 0.0)

    def _spent(self) -> float:
        each, known = self._each(), self._warm_up + self._rent()
        if each is None:
            ours = known + self._taken + self._inside * self._samples + self._looked_into
            return ours + min(self._charged, max(self.elapsed - ours, 0.0) / 2)  # of two threads neither is starved
        return known + each * (self._samples - self._looked) + self._each_look() * self._looked

    def _now(self) -> float:
        return (self._clock() if math.isnan(self._left_at) else self._left_at) - self._away
