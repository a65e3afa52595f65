"""Watch a torch training loop with the adapter's part alone: what it hands on is kept, and read when all is over."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

from unvanish.core.recording import WATCH_STATS
from unvanish.torch.watching import Watching
from unvanish.watching.pace import Pace


class Kept:
    """Keep what a watched training gives; numbers are asked for when they are looked at."""

    def __init__(self):
        self.layers, self.sizes, self.optimizer = [], [], ""
        self.samples, self.words = [], []
        self.watching = self.located = None

    def judged(self, start, dtype):
        self.start, self.dtype = start, dtype

    def begins(self, layers, sizes, optimizer):
        self.layers, self.sizes, self.optimizer = layers, sizes, optimizer

    def sample(self, step, numbers):
        self.samples.append((step, numbers))

    def scaled(self):
        pass

    def spoilt(self, spoilt, values):
        self.located = spoilt

    def says(self, step, kind, text):
        self.words.append((step, kind, text))

    def stops(self):
        return False

    @property
    def steps(self):
        return [step for step, _ in self.samples]

    @property
    def losses(self):
        return [numbers()[0] for _, numbers in self.samples]

    def array(self, stat):
        """Return one statistic, of shape (samples, layers)."""
        return np.array([numbers()[1][WATCH_STATS.index(stat)] for _, numbers in self.samples])


@contextmanager
def watched(model, every=1, budget=0.01, clock=None):
    kept = Kept()
    with Watching(model, Pace(every, budget, looks=True, **({"clock": clock} if clock else {})), kept) as kept.watching:
        yield kept
