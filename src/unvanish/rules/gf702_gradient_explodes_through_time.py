"""A recurrent layer's gradient grows with every step back, until the far past drowns everything else.

## What it measures

The same line as GF701. The rule fires when the gradient grows by more than 1.5 decades over the sequence and the band
of the slope excludes half of that.

## Why it matters

The product of the Jacobians has a norm above one at every step: small changes early in the sequence change everything
later, the loss has cliffs, and one step over a cliff throws the weights away. Clipping bounds that step, and was
invented for it.

## Evidence

`factor_per_step`, `slope_decades_per_step` with its band, `decades_over_sequence`, `sequence_steps`,
`factor_at_start`.

An error when the loss diverged, is not a number, or the output is off scale from the start; a warning when it merely
did not fall; a note where it falls all the same and nothing is clipped.

## Remedies

Under SGD, gradient clipping by norm (Adam and its like bound the step by themselves); orthogonal recurrent weights,
whose product neither grows nor shrinks; recurrent weights of a smaller gain; a gated cell; layer normalisation inside
the cell; truncated backpropagation.

## When it is harmless

Under clipping, in a training that learns; where the sequences of the training are shorter than those of the probe.

## References

Pascanu, Mikolov & Bengio 2013, *On the difficulty of training recurrent neural networks*, ICML (cliffs, clipping).
Arjovsky, Shah & Bengio 2016, ICML (unitary recurrence). Doya 1993, IEEE Transactions on Neural Networks 1
(bifurcations).
"""

from __future__ import annotations

import math

from unvanish.core.diagnosis import Clear, Finding, Severity, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import LIMIT_DECADES
from unvanish.rules.harm import swamped
from unvanish.rules.remedies import against_growth_in_time
from unvanish.rules.through_time import Recurrence, latest, recurrent_layers
from unvanish.rules.words import short, times

CODE = "GF702"
NAME = "gradient-explodes-through-time"


def judge(seen: Observation) -> Verdict:
    """Judge whether the gradient grows towards the past."""
    if not recurrent_layers(seen):
        return Clear(code=CODE, name=NAME, not_applicable="the network has no recurrent layer")
    found, started = latest(seen)
    if not found:
        return Undecided(code=CODE, name=NAME, reason="the gradient through time of the recurrent layers was not seen")
    worst = max(found, key=lambda one: one.decades)
    evidence = worst.evidence(started.get(worst.label))
    severity = _severity(seen) if _grows(worst) else None
    if severity is None:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    way, severe = course(seen), severity == "error"
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity,
        verdict="exploding" if severe else None,
        message=f"the gradient of {short(worst.label)} grows {times(worst.factor)} per step back",
        healthy=f"within {LIMIT_DECADES:g} decades over {worst.steps} steps",
        layers=tuple(dict.fromkeys(one.layer for one in found if _grows(one))),
        evidence=evidence | way.evidence,
        why=f"{worst.decades:.1f} decades over {worst.steps} steps: the first step weighs more than all others",
        effect=way.words,
        note="the loss falls all the same" if way.learned else swamped(seen),
        cures=against_growth_in_time(seen),
    )


def _grows(one: Recurrence) -> bool:
    return one.decades > LIMIT_DECADES and one.slope.low * (one.steps - 1) > LIMIT_DECADES / 2


def _severity(seen: Observation) -> Severity | None:
    """Return how bad growth is; None where it is clipped and the loss falls."""
    way = course(seen)
    if way.learned:
        return None if seen.optimizer.clipping else "note"
    broken = way.last is not None and not math.isfinite(way.last)
    return "error" if way.diverged or broken or swamped(seen) else "warning"
