"""Multiply the loss before the gradient is taken, and divide it out again before the step (Micikevicius et al. 2018).

Float16 has no number below 2^-24: a smaller gradient rounds to zero on its way back. A scale that grows until a
gradient overflows, and is halved then, keeps it in range; the step is the same as without rounding.

Does harm nowhere but in a training that needs every step: those that overflow are skipped.
"""

from __future__ import annotations

from unvanish.core.edit import Invasiveness, Prescription, ScaleLoss
from unvanish.core.observation import Observation

NAME = "scale-loss"
ANSWERS: tuple[str, ...] = ("GF402",)
INVASIVENESS: Invasiveness = "one line"


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return a scale for a network that computes in float16 without one; nothing for any other."""
    if seen.profiles[0].dtype != "float16" or seen.optimizer.dynamic_loss_scale:
        return ()
    return (
        Prescription(
            name=NAME,
            variant="dynamic",
            change="LossScaleOptimizer(optimizer)",
            invasiveness=INVASIVENESS,
            edits=(ScaleLoss(),),
            answers=ANSWERS,
            harm="steps whose gradient overflows are skipped",
        ),
    )
