"""How many optimizer steps a kernel needs to change by its own size: the inverse of update/weight.

Adam and RMSprop divide the gradient by its own size plus epsilon, so a step is lr * g / (g + epsilon) per entry and
T = (rms_w / lr)(1 + epsilon / g). SGD steps by lr * g, and momentum m adds up 1 / (1 - m) of them:
T = rms_w (1 - m) / (lr * g) (Kingma & Ba 2015, algorithm 1; Polyak 1964).
"""

from __future__ import annotations

import math

DIVIDES_BY_GRADIENT = frozenset({"adam", "rmsprop"})


def steps_to_learn(
    weight_rms: float,
    gradient_rms: float,
    learning_rate: float,
    *,
    family: str,
    epsilon: float | None = None,
    momentum: float = 0.0,
) -> float | None:
    """Return the steps after which updates in one direction add up to the kernel's RMS; inf when it never moves.

    weight_rms, gradient_rms: per entry. family: as in OptimizerInfo; None for one whose step is not known here.
    """
    if learning_rate <= 0 or gradient_rms <= 0:
        return math.inf
    if family in DIVIDES_BY_GRADIENT:
        return weight_rms / learning_rate * (1 + (epsilon or 0.0) / gradient_rms)
    if family == "sgd":
        return weight_rms * (1 - momentum) / learning_rate / gradient_rms
    return None
