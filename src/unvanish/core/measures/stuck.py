"""Whether a training loss stands still: it fell by no more than it varies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

ERRORS = 3.0
"""Standard errors by which a loss has to fall: one training in 700 that stands still falls by more (one-sided)."""


def stuck(losses: Sequence[float], chance: float | None = None) -> bool:
    """Say whether a loss did not fall; False for fewer than four losses that are numbers.

    losses: means over equal, successive stretches of the training. The first quarter is compared with the last one; the
    noise of a stretch is the standard deviation of differences between neighbours over sqrt(2), which no slow trend
    enters. chance: loss of the best constant answer, None when it is not known: to come down to it from a bad start is
    no progress. True where the loss stopped being a number.
    """
    values = np.asarray(losses, dtype=np.float64)
    if not np.all(np.isfinite(values)):
        return True
    if len(values) < 4:
        return False
    part = len(values) // 4
    start, end = float(values[:part].mean()), float(values[-part:].mean())
    if chance is not None:
        start = min(start, chance)
    noise = float(np.std(np.diff(values)[part - 1 :], ddof=1)) / math.sqrt(2.0)
    return start - end <= ERRORS * noise * math.sqrt(2.0 / part)
