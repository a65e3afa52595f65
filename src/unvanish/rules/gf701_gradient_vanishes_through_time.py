"""A recurrent layer's gradient shrinks so fast with every step back that the early part of the sequence cannot teach.

## What it measures

For every recurrent layer, by itself: how much of the gradient at its last step arrives at the input of each step
before, on the probe's own sequences. A Theil-Sen line through log10 of it gives the factor per step; the *horizon* is
the number of steps back until less than 10^-1.5 (3 %) is left, extrapolated where the sequence is shorter. The rule
looks at the last probe, and says what the first one showed.

## Why it matters

Over k steps the gradient is a product of k Jacobians: at 0.5 per step 20 steps leave a millionth. What lies beyond
the horizon may decide the label, and the training cannot find out. The gradient of the weights hides it: it is a sum
over all steps, in which the last few make nearly all.

## Evidence

`horizon_steps`, `factor_per_step`, `slope_decades_per_step` with its band, `sequence_steps`, `decades_over_sequence`,
`horizon_at_start`, `steps_to_learn`.

The horizon is *short* when it is below a quarter of the sequence. A short one is an error when the network answers
once per sequence, the watched steps were enough to change the weights by a quarter of their size, and the loss is
still that of guessing (within 3 %; where that is not known, it did not move); a warning when there were fewer steps.
A note, where the loss does not move at all, for what is made so and can be unlearnt: a gated cell that passes as much
as usual (a gate of zero bias 1/2, a forget bias of one 0.73; measured over the widths 0.58 to 0.96), and a network
that answers at every step. Silent where the loss falls.

## Remedies

A gated cell instead of a plain one, with a forget bias of one and more (log of the sequence's length); orthogonal
recurrent weights; shorter sequences, or a mean over the outputs instead of the last one, or attention, which lead
short paths to every step.

Beliefs that were measured and are false: "dL/dW is not zero, so the RNN does not vanish": short paths dominate it.
"Clip the gradient": that is for growth, and does nothing here.

## When it is harmless

Where what matters is recent: an LSTM decays by design and learns short memories well. In the middle of a stack whose
upper layers carry further.

## References

Bengio, Simard & Frasconi 1994, IEEE Transactions on Neural Networks 5(2). Hochreiter & Schmidhuber 1997, *Long
short-term memory*. Pascanu, Mikolov & Bengio 2013, ICML, section 2.2. Jozefowicz, Zaremba & Sutskever 2015, ICML
(forget bias). Tallec & Ollivier 2018, ICLR (biases by the sequence's length).
"""

from __future__ import annotations

import math

from unvanish.core.diagnosis import Clear, Finding, Severity, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.learning_time import fastest
from unvanish.rules.remedies import against_forgetting
from unvanish.rules.through_time import Recurrence, every_step_is_read, latest, recurrent_layers
from unvanish.rules.words import short, times

CODE = "GF701"
NAME = "gradient-vanishes-through-time"
SHORT = 0.25
"""Part of the sequence that the horizon must cover: at a quarter the first steps are six decades down."""
ENOUGH = 0.25
"""Part of the time to learn after which weights have moved far enough to show that nothing is learnt."""


def judge(seen: Observation) -> Verdict:
    """Judge how far back the gradient carries."""
    if not recurrent_layers(seen):
        return Clear(code=CODE, name=NAME, not_applicable="the network has no recurrent layer")
    found, started = latest(seen)
    if not found:
        return Undecided(code=CODE, name=NAME, reason="the gradient through time of the recurrent layers was not seen")
    worst = min(found, key=lambda one: one.horizon / one.steps)
    evidence = worst.evidence(started.get(worst.label))
    steps = fastest(seen)
    if steps is not None and math.isfinite(steps):
        evidence["steps_to_learn"] = steps
    way = course(seen)
    severity = _severity(seen, worst, started.get(worst.label))
    if severity is None or way.falling or way.converged:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    severe = severity == "error"
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity,
        verdict="vanishing" if severe else None,
        message=(
            f"the gradient of {short(worst.label)} carries {worst.horizon:.0f} of {worst.steps} steps back: "
            f"{times(worst.factor)} per step"
        ),
        healthy=f"at least {SHORT * worst.steps:.0f} steps",
        layers=tuple(dict.fromkeys(one.layer for one in found if one.horizon < SHORT * one.steps)),
        evidence=evidence | way.evidence,
        why=f"{worst.steps} such steps leave 10^{worst.decades:.0f} of it: what comes early cannot teach",
        effect=way.words,
        note=_note(seen, worst),
        cures=against_forgetting(seen, worst.cell, worst.steps),
    )


def _severity(seen: Observation, worst: Recurrence, before: Recurrence | None) -> Severity | None:
    """Return how bad it is while the loss does not fall; None where it is nothing."""
    if worst.horizon >= SHORT * worst.steps or worst.slope.high >= 0:
        return None
    way, needed = course(seen), fastest(seen)
    if worst.by_design or every_step_is_read(seen):
        return "note" if way.still else None
    thrown = way.thrown and before is not None and before.horizon >= SHORT * before.steps
    enough = needed is not None and seen.recording.total_steps >= ENOUGH * needed
    guessing = way.still if way.chance is None else not way.falling
    return "error" if enough and guessing and not thrown else "warning"


def _note(seen: Observation, worst: Recurrence) -> str:
    if worst.by_design:
        return f"a gated cell starts like that, and its gates can learn to carry further ({worst.cell})"
    return "the network answers at every step: short paths lead to each" if every_step_is_read(seen) else ""
