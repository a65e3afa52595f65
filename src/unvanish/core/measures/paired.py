"""Whether paired numbers differ: the one-sided t test on their differences."""

from __future__ import annotations

import math
from collections.abc import Sequence


def paired_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the one-sided p value of `first` being larger than `second`, pair by pair; None for fewer than two.

    Student's paired t test (1908), its distribution in closed form (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4).
    Differences that are all alike give 0, 1 or .5 by their sign. A pair with -inf on the second side counts as the
    smallest finite difference that any pair has; on the first side it makes the answer 1.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} numbers are no pairs")
    differences = [a - b for a, b in zip(first, second, strict=True)]
    if len(differences) < 2:
        return None
    if any(not math.isfinite(a) for a in first):
        return 1.0
    finite = [difference for difference in differences if math.isfinite(difference)]
    if not finite:
        return 0.0
    differences = [difference if math.isfinite(difference) else min(finite) for difference in differences]
    return t_tail(*_t(differences))


def t_tail(t: float, freedom: int) -> float:
    """Return P(T > t) of Student's distribution with so many degrees of freedom (a whole number, at least one)."""
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    angle = math.atan2(t, math.sqrt(freedom))
    cosine = math.cos(angle)
    term, total = 1.0, 0.0
    if freedom % 2:
        for k in range(1, (freedom - 1) // 2 + 1):
            term = cosine if k == 1 else term * cosine**2 * (2 * k - 2) / (2 * k - 1)
            total += term
        within = 2 / math.pi * (angle + math.sin(angle) * total)
    else:
        for k in range(freedom // 2):
            term = 1.0 if k == 0 else term * cosine**2 * (2 * k - 1) / (2 * k)
            total += term
        within = math.sin(angle) * total
    return (1.0 - within) / 2


def _t(differences: Sequence[float]) -> tuple[float, int]:
    count = len(differences)
    mean = math.fsum(differences) / count
    variance = math.fsum((difference - mean) ** 2 for difference in differences) / (count - 1)
    error = math.sqrt(variance / count)
    if error <= 1e-12 * abs(mean) or error == 0.0:
        return (0.0 if mean == 0 else math.copysign(math.inf, mean)), count - 1
    return mean / error, count - 1
