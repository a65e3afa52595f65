"""Count the iterations of a training loop, and sleep through those that are not sampled: one call of ours a step.

An iteration is over when one of its optimizers steps again. Whether the next one is sampled has to be known when the
last optimizer of an iteration steps, before the pass that comes then: it is taken to have as many as the one before.
"""

from __future__ import annotations

from typing import Protocol

import torch

from unvanish.torch.owned import Owned
from unvanish.watching.pace import Pace


class Listener(Protocol):
    """Hear of iterations that are sampled."""

    def wake(self) -> None:
        """Listen: the next iteration is sampled."""

    def sleep(self) -> None:
        """Listen no more."""

    def close(self) -> None:
        """End the iteration that is heard: its optimizer steps again."""

    def other(self) -> None:
        """Be told of a step of another model's optimizer while listening, or while the loss is looked at."""

    def look(self) -> None:
        """Look at the loss of the next iteration, which is not sampled."""

    def looked(self, step: int) -> None:
        """Be told that the backward passes of that iteration, which has this number, are over."""


class Rhythm:
    """Say of every step of an optimizer whether it is to be heard."""

    def __init__(self, owned: Owned, pace: Pace, listener: Listener) -> None:
        """listener: is told when to listen."""
        self.done = 0
        """Iterations that ended, or began their step while nobody listened."""
        self.awake = True
        """Whether the present iteration, or the one that comes next, is sampled; the first one is."""
        self.over = False
        """Whether nothing is to be heard any more."""
        self._owned, self._pace = owned, pace
        self._listener = listener
        self._stepped: set[int] = set()
        self._usual = 1
        self._decided = self._looking = False

    def wanted(self, optimizer: torch.optim.Optimizer) -> bool:
        """Say whether the step that begins is to be heard."""
        if self.over:
            return False
        if not self._owned.by(optimizer):
            if self.awake or self._looking:
                self._listener.other()
            return False
        which = id(optimizer)
        if self.awake:
            if which in self._stepped:
                self._listener.close()
            if self.awake:
                self._stepped.add(which)
                return True
        if which in self._stepped:
            if not self._decided:  # it had fewer optimizers than the one before
                self._usual, self._pace.left = len(self._stepped), max(self._pace.left - 1, 0)
            self.done, self._stepped, self._decided = self.done + 1, {which}, False
        else:
            self._stepped.add(which)
        if len(self._stepped) >= self._usual and not self._decided:
            if self._looking:
                self._listener.looked(self.done - 1)
            self._usual, self.awake = len(self._stepped), self._next()
            if self.awake:
                self._stepped = set()
                self._listener.wake()
            elif self._looking:
                self._listener.look()
        return False

    def counted(self) -> None:
        """Be told that an iteration that was heard is over."""
        self.done, self._usual = self.done + 1, max(len(self._stepped), 1)
        self.awake = self._next()
        if self.awake:
            self._stepped = set()
        else:
            self._listener.sleep()
            if self._looking:
                self._listener.look()

    def _next(self) -> bool:
        """Say whether the next iteration is sampled; note whether its loss is looked at otherwise."""
        self._decided, self._looking = True, False
        if self._pace.left > 0:
            self._pace.left -= 1
            return False
        sampled = self._pace.stop(self.done)
        self._looking = self._pace.glance and not sampled
        return sampled
