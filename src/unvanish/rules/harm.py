"""Whether a forward signal that fades or swells does harm: seen in the gradient's size, and in the first loss.

Shared by GF104, GF105 and the rules that ask whether they agree.
"""

from __future__ import annotations

import math

from unvanish.core.measures.time_to_learn import DIVIDES_BY_GRADIENT
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import at_start, depth_profile
from unvanish.rules.heads import CROSSENTROPY, RANGES
from unvanish.rules.learning_time import fastest, planned_steps, too_long
from unvanish.rules.words import count, power, times

FLOOR_EPSILONS = 5.0
"""Smallest layer RMS in epsilons of the optimizer: with the slope, the rule tuned on 81 trained configurations."""
OFF_SCALE = 2.0
"""First loss in units of the chance loss from which on the output's scale, not its direction, makes the loss."""


def starved(seen: Observation) -> str:
    """Return why the size of the gradient alone forbids learning; empty when it does not."""
    rms = [number for number in at_start(seen).rms.values() if number > 0]
    if not rms:
        return ""
    epsilon = seen.optimizer.epsilon or 0.0
    if seen.optimizer.family in DIVIDES_BY_GRADIENT and min(rms) < FLOOR_EPSILONS * epsilon:
        small = f"the smallest gradient RMS ({power(min(rms))}) is lost in the optimizer's epsilon ({power(epsilon)})"
        return f"{small}: that layer takes next to no step"
    steps = fastest(seen)
    if steps is not None and too_long(seen, steps):
        return f"learning would take {count(steps)} steps at this gradient, {planned_steps(seen):,} are planned"
    return ""


def swamped(seen: Observation) -> str:
    """Return how a growing signal shows in the gradient or the first loss; empty when it does not."""
    way, gradients = course(seen), depth_profile(seen)
    if not isinstance(gradients, str) and gradients.explodes:
        return f"the gradient grows {times(gradients.transmission)} per layer as well"
    if way.chance is not None and not way.first <= OFF_SCALE * way.chance:
        place = "saturated" if squashed(seen) else "off the targets' scale"
        return f"the first loss is {way.first:.3g} where guessing gives {way.chance:.3g}: the output is {place}"
    return ""


def squashed(seen: Observation) -> bool:
    """Say whether head or loss bring the output between bounds, where it can saturate."""
    low, high = RANGES.get(seen.loss.head, (-math.inf, math.inf))
    return seen.loss.kind in CROSSENTROPY or (math.isfinite(low) and math.isfinite(high))
