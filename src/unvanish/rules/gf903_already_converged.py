"""The loss is next to nothing: gradients are small because there is nothing left to learn, not because they vanish.

## What it measures

The loss on the probed batches against what guessing gives. The rule speaks up below 5 % of it: before the first
step (a trained or pre-trained network), or at the end of the watched steps if every hidden kernel's gradient fell
together since the start, by at least a factor of ten (median), while the profile over depth stayed within the limit
of GF101.

## Why it matters

A gradient of 1e-7 in every layer is what success looks like. Convergence multiplies all layers' gradients by the
same small residual; vanishing multiplies each layer by another factor. Absolute sizes cannot tell the two apart,
the profile over depth can.

## Evidence

`loss_now`, `loss_chance`, `share_of_chance`, `gradient_fell_decades` (median over kernels since the start), the
loss from first to last.

A note.

## Remedies

None is needed. To look at the gradient of a trained network, look at its profile over depth, or at harder samples.

Beliefs that were measured and are false: "a small total norm means vanishing"; "a flat float16 run has converged"
(its loss stays where it is while gradients underflow: the loss decides, not the gradient).

## When it is harmless

It is. Only the reading of small gradients needs the reminder; whether the network learnt or memorised is GF901.

## References

Goodfellow, Bengio & Courville 2016, *Deep Learning*, section 8.2 (gradient norms while training). Zhang et al.
2017, ICLR. Cover & Thomas 2006, chapter 2 (the entropy of the labels is the loss of the best guess).
"""

from __future__ import annotations

import math
from statistics import median

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.course import CONVERGED, course
from unvanish.rules.gradients import depth_profile, of_profile
from unvanish.rules.words import percent

CODE = "GF903"
NAME = "already-converged"
FEWEST_SAMPLES = 30
"""Of fewer, a few lucky ones make the loss."""
FELL_DECADES = 1.0
"""Fall of the gradients together that is worth a remark."""


def judge(seen: Observation) -> Verdict:
    """Judge the loss against guessing."""
    way = course(seen)
    now = way.first if way.last is None else way.last
    if way.chance is None or min(way.first, now) < 0:
        return Undecided(code=CODE, name=NAME, reason=_incomparable(seen, way.chance, min(way.first, now)))
    fell = _fell(seen)
    judged = seen.profiles[0 if way.converged_at_start else -1]
    samples = judged.batches * judged.batch_size
    evidence = {"loss_now": now, "loss_chance": way.chance, "share_of_chance": now / way.chance}
    if fell is not None:
        evidence["gradient_fell_decades"] = fell
    together = fell is not None and fell > FELL_DECADES and _no_slope(seen)
    if samples < FEWEST_SAMPLES or not (way.converged_at_start or (way.converged and together)):
        return Clear(code=CODE, name=NAME, evidence=evidence)
    when = "before the first step" if way.converged_at_start else f"after {seen.profiles[-1].step} steps"
    loss, share = (way.first, way.first / way.chance) if way.converged_at_start else (now, now / way.chance)
    return Finding(
        code=CODE,
        name=NAME,
        severity="note",
        message=f"the loss is {loss:.3g} {when}, {percent(share)} of what guessing gives: little is left to learn here",
        healthy=f"above {percent(CONVERGED)} at the start of a training",
        evidence=evidence | way.evidence,
        why="convergence makes the gradient of all layers small alike",
    )


def _incomparable(seen: Observation, chance: float | None, loss: float) -> str:
    """Return why the loss cannot be compared with what guessing gives."""
    if seen.loss.chance == 0:
        return "guessing alone brings the loss to 0: all labels are the same"
    if chance is None:
        return "the loss of a guess is not known for this loss and these labels"
    return f"the loss is {loss:.3g}, and what guessing gives says nothing of one below 0"


def _fell(seen: Observation) -> float | None:
    """Return the decades by which the gradients fell since the start, the median over kernels; None if not measured."""
    first, last = of_profile(seen, seen.profiles[0]).rms, of_profile(seen, seen.profiles[-1]).rms
    fallen = [math.log10(first[name] / rms) for name, rms in last.items() if rms > 0 and first.get(name, 0.0) > 0]
    return median(fallen) if fallen and len(seen.profiles) > 1 else None


def _no_slope(seen: Observation) -> bool:
    found = depth_profile(seen, of_profile(seen, seen.profiles[-1]))
    return isinstance(found, str) or not (found.vanishes or found.explodes)
