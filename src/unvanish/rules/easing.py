"""Why a sick profile at the start need not be the end of learning: the loss falls, it recovered, or it is mild."""

from __future__ import annotations

from unvanish.core.measures.epsilon_share import epsilon_share
from unvanish.core.measures.time_to_learn import DIVIDES_BY_GRADIENT
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import LIMIT_DECADES, at_start, depth_profile, of_profile
from unvanish.rules.learning_time import EPSILON_FLOOR, learning_times, too_long

RECOVERED = 0.5
"""A later profile within the limit and with less than this part of the first one's decades has recovered."""
SEVERE_DECADES = 3.5
"""Up to here a shrinking gradient only slows a network whose optimizer still moves every layer in time. Measured:
sigmoid layers of 64 units, Glorot, Adam 1e-3, digits, accuracy after 1000 / 2000 steps: two hidden layers .95 / .98,
three (1.7 decades) .93 / .97, four (3.1) .83 / .94, five (3.7) .68 / .89, six (4.3) .34 / .68."""


def eased(seen: Observation) -> str:
    """Return what was seen to ease a sick profile over depth, in words; empty when nothing does."""
    way = course(seen)
    if way.learned:
        return "the loss falls all the same"
    if recovered(seen) and (way.falling or not grows(seen)):
        return "the profile recovered while training"
    return "the step still moves every layer in time: slower, not stuck" if mild(seen) else ""


def grows(seen: Observation) -> bool:
    """Say whether the gradient grew towards the input at the start.

    What a network multiplies on the way back it has torn apart on the way forward: inputs that are alike are no longer
    (chaos, Schoenholz et al. 2017). A flat profile later, of weights that the first steps blew up, does not undo that.
    """
    found = depth_profile(seen)
    return not isinstance(found, str) and found.slope.per_step > 0


def recovered(seen: Observation) -> bool:
    """Say whether the last probe's gradient profile is within the limit, and far flatter than the first one's."""
    start = at_start(seen)
    if len(seen.profiles) < 2 or seen.profiles[-1].step <= start.step:
        return False
    first, later = depth_profile(seen, start), depth_profile(seen, of_profile(seen, seen.profiles[-1]))
    if isinstance(first, str) or isinstance(later, str) or later.underflowed:
        return False
    return abs(later.decades) < min(LIMIT_DECADES, RECOVERED * abs(first.decades))


def mild(seen: Observation) -> bool:
    """Say whether the gradient shrinks by no more than the optimizer makes up for, in every layer, within the plan."""
    found = depth_profile(seen)
    if isinstance(found, str) or not found.vanishes or found.decades < -SEVERE_DECADES:
        return False
    times = learning_times(seen).values()
    if not times or too_long(seen, max(times)):
        return False
    epsilon = seen.optimizer.epsilon or 0.0
    smallest = min(rms for rms in at_start(seen).rms.values() if rms > 0)
    floored = seen.optimizer.family in DIVIDES_BY_GRADIENT and epsilon_share(smallest, epsilon) > EPSILON_FLOOR
    return not floored
