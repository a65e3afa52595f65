"""How a recurrent layer's gradient changes with every step back in time, and how far back it carries.

Over k steps the gradient is a product of k Jacobians, so that its logarithm is a straight line in k on average
(Pascanu, Mikolov & Bengio 2013, section 2.2): slope in decades per step; horizon, the steps until a given part is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from unvanish.core.measures.slope import Slope, slope

MOST_POINTS = 200
"""Points that the line is fitted to, evenly spaced: the pairs of more would take seconds."""


def time_slope(log10_gradient: Sequence[float]) -> Slope | None:
    """Return the Theil-Sen slope in decades per step back, negative where the gradient shrinks towards the past.

    log10_gradient: for t = 1 .. T, as in TimeProfile; entries that are not finite are left out. None for fewer.
    """
    back = len(log10_gradient) - 1 - np.arange(len(log10_gradient))
    values = np.asarray(log10_gradient, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(values))
    if known.size < 2:
        return None
    chosen = known[np.unique(np.linspace(0, known.size - 1, min(known.size, MOST_POINTS)).astype(int))]
    return slope(back[chosen].tolist(), values[chosen].tolist())


def time_horizon(log10_gradient: Sequence[float], decades: float) -> float | None:
    """Return the steps back until less than 10^-decades of the gradient at the last step is left, for good.

    log10_gradient: as in `time_slope`. Between two steps the crossing is interpolated; in a sequence that is too short
    to show it, extrapolated with the slope: inf where the gradient does not shrink. Where the last steps have no
    gradient (padding), counted from the last one that has. None where no step, or a single one, has a gradient.
    """
    line = time_slope(log10_gradient)
    if line is None:
        return None
    backwards = list(reversed(log10_gradient))
    first = next(k for k, value in enumerate(backwards) if math.isfinite(value))
    left = backwards[first:]
    limit = left[0] - decades
    last = max(k for k, value in enumerate(left) if value >= limit)
    if last == len(left) - 1:
        extrapolated = decades / -line.per_step if line.per_step < 0 else math.inf
        return max(extrapolated, float(last))
    fall = left[last] - left[last + 1]
    return last + (left[last] - limit) / fall if math.isfinite(fall) else float(last)
