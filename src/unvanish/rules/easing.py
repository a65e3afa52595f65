"""Why a sick profile at the start need not be the end of learning: the loss falls, or the profile recovered."""

from __future__ import annotations

from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import LIMIT_DECADES, at_start, depth_profile, of_profile

RECOVERED = 0.5
"""A later profile within the limit and with less than this part of the first one's decades has recovered."""


def eased(seen: Observation) -> str:
    """Return what was seen to ease a sick profile over depth, in words; empty when nothing does."""
    if course(seen).learned:
        return "the loss falls all the same"
    return "the profile recovered while training" if recovered(seen) else ""


def recovered(seen: Observation) -> bool:
    """Say whether the last probe's gradient profile is within the limit, and far flatter than the first one's."""
    start = at_start(seen)
    if len(seen.profiles) < 2 or seen.profiles[-1].step <= start.step:
        return False
    first, later = depth_profile(seen, start), depth_profile(seen, of_profile(seen, seen.profiles[-1]))
    if isinstance(first, str) or isinstance(later, str) or later.underflowed:
        return False
    return abs(later.decades) < min(LIMIT_DECADES, RECOVERED * abs(first.decades))
