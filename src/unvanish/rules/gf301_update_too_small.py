"""The optimizer's step is so small that no layer can learn within the planned training.

## What it measures

The time to learn of every hidden kernel: the steps after which updates in one direction add up to the kernel's own
RMS. For Adam and RMSprop T = (rms_w / lr)(1 + epsilon / g), for SGD with momentum m T = rms_w (1 - m) / (lr g),
with the gradient RMS g at the start; for other optimizers, one over the measured update/weight. The rule fires when
even the best placed kernel needs more than ten times the planned steps.

A gradient that vanishes towards the input leaves the last layers fast enough; that is GF101, not this rule.

## Why it matters

The loss is flat and nothing is wrong with the gradients: the step is. T needs no folklore value of update/weight
(the usual 1e-3 per step means T = 1000 steps): whether that is slow depends on the plan.

## Evidence

`steps_to_learn` (the fastest hidden kernel's) and `median_steps_to_learn`, `planned_steps` (10,000 are assumed
where the plan is not known), `learning_rate`, `gradient_rms` (median), the loss from first to last.

An error when steps were watched and the loss did not move (less than 1 %); otherwise a warning.

## Remedies

A learning rate larger by the factor that the finding names; for SGD also momentum, or an optimizer that divides the
gradient's size out; labels and loss of unit scale.

## When it is harmless

In fine-tuning, where weights are meant to stay; during a warm-up that starts near zero; in a frozen backbone with
one layer that learns.

## References

Kingma & Ba 2015, ICLR, section 2.1 (a step of Adam is bounded by the learning rate). You, Gitman & Ginsburg 2017,
arXiv:1708.03888, section 4 (update against weight). Smith 2017, WACV (finding a learning rate).
"""

from __future__ import annotations

from statistics import median

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import at_start
from unvanish.rules.learning_time import learning_times, planned_steps, too_long
from unvanish.rules.words import times

CODE = "GF301"
NAME = "update-too-small"


def judge(seen: Observation) -> Verdict:
    """Judge the fastest kernel's time to learn against the plan."""
    needed = learning_times(seen)
    if not needed:
        reason = f"no hidden kernel has a gradient and a known step of {seen.optimizer.name}"
        return Undecided(code=CODE, name=NAME, reason=reason)
    fastest, planned, way = min(needed.values()), planned_steps(seen), course(seen)
    rms = [number for number in at_start(seen).rms.values() if number > 0]
    evidence = {
        "steps_to_learn": fastest,
        "median_steps_to_learn": median(needed.values()),
        "planned_steps": float(planned),
        "learning_rate": seen.optimizer.learning_rate,
        "gradient_rms": median(rms) if rms else 0.0,
    }
    if not too_long(seen, fastest) or way.learned:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    assumed = "" if seen.planned_steps else " (assumed)"
    return Finding(
        code=CODE,
        name=NAME,
        severity="error" if way.still else "warning",
        verdict="untrainable-step" if way.still else None,
        message=(
            f"the fastest layer needs {fastest:,.0f} steps to change by its own size, {planned:,} are planned{assumed}"
        ),
        healthy="up to ten times the planned steps",
        layers=tuple(needed),
        evidence=evidence | way.evidence,
        why=f"learning rate {seen.optimizer.learning_rate:g}: {times(fastest / planned)} too small to use the plan",
        effect=way.words,
    )
