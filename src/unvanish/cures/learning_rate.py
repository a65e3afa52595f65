"""Take another learning rate: the smallest change there is, where the step is what ails (LeCun et al. 1998, 4.7).

A step that replaces the weights forgets what was learnt, and kills ReLU units for good; one that is a thousandth of the
weights' size never arrives. Neither has to do with how the gradient is spread over the depth, which no learning rate
changes: against vanishing it is measured, and has no effect.

Does harm where it is too large: rates up to the first that diverges look better and better.
"""

from __future__ import annotations

from unvanish.core.edit import LEARNING_RATE, Invasiveness, Prescription, other_rate
from unvanish.core.observation import Observation

NAME = LEARNING_RATE
ANSWERS: tuple[str, ...] = ("GF301", "GF302")
INVASIVENESS: Invasiveness = "one word"
FACTORS = (0.1, 0.01, 0.001, 10.0)
"""A step of 1 % of the weights lies two decades below one that replaces them, and three where the loss is curved much
more than usual; one decade up."""


def propose(seen: Observation) -> tuple[Prescription, ...]:  # noqa: ARG001  # of every network
    """Return smaller rates, then a larger one."""
    return tuple(other_rate(factor, ANSWERS) for factor in FACTORS)
