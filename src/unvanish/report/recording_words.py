"""Words on a recording that every form of its report uses: what it is of, how much was seen, what that cost."""

from __future__ import annotations

import math

from unvanish.core.recording import Recording
from unvanish.core.watch_cost import WatchCost
from unvanish.report.numbers import counted, percent, seconds


def named(recording: Recording) -> list[str]:
    """Return what it is of: script or model, framework, optimizer, when it began; what is known of these."""
    about = recording.about
    return [] if about is None else list(filter(None, [about.title, about.framework, about.optimizer, about.started]))


def seen(recording: Recording) -> str:
    """Return how many of the steps were sampled, and how long that took."""
    samples = len(recording.steps)
    last = f" (the last at step {recording.steps[-1]})" if samples else ""
    took = f" in {seconds(recording.seconds[-1])}" if recording.seconds else ""
    return f"{counted(samples, 'sample')}{last} of {counted(recording.total_steps, 'step')}{took}"


def cost_words(cost: WatchCost | None) -> str:
    """Return what watching cost, in words; empty where nobody knows."""
    if cost is None or not cost.seconds:
        return ""
    allowed = "" if cost.budget is None else f", of {percent(cost.budget)} that it may cost"
    warm_up = f"; of that, {seconds(cost.warm_up_seconds)} once, to begin" if cost.warm_up_seconds else ""
    unknown = "" if cost.sample_seconds is not None else "; more than that is not known: no step ran unwatched"
    plain = seconds(max(cost.seconds - cost.added_seconds, 0.0))
    return f"{seconds(cost.added_seconds)} on top of {plain}: {share(cost.share)}{allowed}{warm_up}{unknown}"


def share(number: float) -> str:
    """Return a share of 1 with its first two digits where it is small: `0.42 %`, `1.3 %`, `25 %`; in words for inf."""
    if math.isinf(number):
        return "almost all of it"
    return f"{100 * number:.2g} %" if number < 0.1 else percent(number)
