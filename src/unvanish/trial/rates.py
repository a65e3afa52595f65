"""Which learning rates a change gets, and at which one it is compared: from short trainings alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from unvanish.trial.better import ERRORS, binomial_error
from unvanish.trial.trials import Trained

MOST = 5
"""Learning rates that a change gets at most: with three of the plan, down to a 27th of the user's."""
SAME_LOSS = 0.01
"""Relative difference of held-out losses below which two learning rates are alike, as where both stay at chance."""


def best_of(tried: Mapping[float, Trained]) -> float:
    """Return the learning rate of the best short training, as a multiple of the user's.

    By the held-out loss: after few steps it tells rates apart that the accuracy of a few hundred samples does not.
    """

    def rank(rate: float) -> tuple[bool, float]:
        loss = tried[rate].run.loss
        return tried[rate].verdict == "healthy", -math.inf if math.isnan(loss) else -loss

    return max(tried, key=rank)


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

    exact: scores without a sampling error that is known. A larger rate, which a short training flatters, has to score
    higher by three standard errors of the held-out score; a smaller one, which it does not, no lower by more than one.
    """
    best = best_of(tried)
    mine, other = tried[1.0], tried[best]
    if mine.verdict != other.verdict:
        return best
    if abs(mine.run.loss - other.run.loss) <= SAME_LOSS * abs(mine.run.loss):
        return 1.0
    needed = (-1.0 if best < 1.0 else ERRORS) * binomial_error(mine.run.score, held_out)
    return best if exact or other.run.score - mine.run.score > needed else 1.0
