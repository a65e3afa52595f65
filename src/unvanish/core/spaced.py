"""Choose entries of large kernels: short runs of neighbours, evenly spaced. Memory is read in lines, not in entries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

EXACT_TOTAL = 2**20
"""With up to so many kernel entries in all, every entry is chosen."""
SAMPLE = 2**15
"""Above it up to so many entries of a kernel are: the relative sd of a norm is .4 % where entries are normal, more
where few of them move, as after a sparse gradient. Spaced, since a list of places would be a constant of the compiled
step, several times over."""
RUN = 16
"""Entries of a run, where the kernel's size is a multiple: a line of a processor's cache. Measured with 11 kernels of
1024x1024 on JAX: single entries 15 apart take two thirds of the time of all of them, such runs a half."""


class Spaced(NamedTuple):
    """Hold which entries of one kernel are chosen: runs of so many, every so many runs."""

    size: int
    run: int
    step: int

    @property
    def whole(self) -> bool:
        """Say whether every entry is chosen."""
        return self.step == 1

    @property
    def entries(self) -> int:
        """Return how many entries are."""
        return math.ceil(self.size // self.run / self.step) * self.run

    @property
    def times(self) -> float:
        """Return how many times as many there are."""
        return self.size / self.entries

    def of(self, value: Any) -> Any:
        """Return the chosen entries of the kernel's value, an array or a tensor that can be cut as one."""
        return value if self.whole else value.reshape(-1, self.run)[:: self.step]


def spaced(shapes: Sequence[Sequence[int]]) -> list[Spaced]:
    """Return what is chosen of kernels of these shapes."""
    sizes = [math.prod(int(length) for length in shape) for shape in shapes]
    if sum(sizes) <= EXACT_TOTAL:
        return [Spaced(size, 1, 1) for size in sizes]
    runs = [math.gcd(size, RUN) for size in sizes]
    return [Spaced(size, run, _step(size // run, SAMPLE // run)) for size, run in zip(sizes, runs, strict=True)]


def _step(runs: int, wanted: int) -> int:
    """Return the step between chosen runs; coprime to their number, it meets every column."""
    return next(step for step in itertools.count(max(1, -(-runs // wanted))) if math.gcd(step, runs) == 1)
