"""Which learning rates a change gets, and at which one it is compared: from short trainings alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unvanish.trial.better import ERRORS, binomial_error
from unvanish.trial.trials import Trained

MOST = 5
"""Learning rates that a change gets at most: with three of the plan, down to a 27th of the user's."""


def best_of(tried: Mapping[float, Trained]) -> float:
    """Return the learning rate of the best short training, as a multiple of the user's."""
    return max(tried, key=lambda rate: tried[rate].rank)


def following(tried: Mapping[float, Trained], rates: Sequence[float]) -> float | None:
    """Return the learning rate to try next; None for enough.

    The plan's come first, in their order. Then smaller ones by the plan's smallest factor, while they are better still:
    the deeper a network, the smaller the step that it stands. Never larger ones, which a short training flatters.
    """
    left = [rate for rate in rates if rate not in tried]
    if left:
        return left[0]
    lowest = min(tried)
    return lowest * min(rates) if best_of(tried) == lowest < 1.0 and len(tried) < MOST else None


def chosen(tried: Mapping[float, Trained], exact: bool, held_out: int) -> float:
    """Return the learning rate to compare at: the user's own (1), unless another is better beyond noise.

    exact: scores without a sampling error that is known. A smaller rate that is better in spite of the short training
    has to show less: one standard error of the held-out score instead of three.
    """
    best = best_of(tried)
    mine, other = tried[1.0], tried[best]
    noise = (1.0 if best < 1.0 else ERRORS) * binomial_error(mine.run.score, held_out)
    better = exact or mine.verdict != other.verdict or other.run.score - mine.run.score > noise
    return best if better else 1.0
