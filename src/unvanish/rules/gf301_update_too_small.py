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
from unvanish.rules.gradients import at_start, depth_profile
from unvanish.rules.learning_time import learning_times, planned_steps, too_long
from unvanish.rules.signal import signal_profile
from unvanish.rules.words import count, times

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
    if not too_long(seen, fastest) or way.learned or way.converged_at_start:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    plan = f"{planned:,} are {'planned' if seen.planned_steps else 'assumed to be planned'}"
    return Finding(
        code=CODE,
        name=NAME,
        severity="error" if way.still else "warning",
        verdict="untrainable-step" if way.still else None,
        message=f"the fastest layer needs {count(fastest)} steps to change by its own size, {plan}",
        healthy="up to ten times the planned steps",
        layers=tuple(needed),
        evidence=evidence | way.evidence,
        why=f"learning rate {seen.optimizer.learning_rate:g}: {times(fastest / planned)} too small to use the plan",
        effect=way.words,
        note=_cause(seen),
    )


def _cause(seen: Observation) -> str:
    """Return where the gradient, not the learning rate, makes the step small; empty where it does not."""
    signal, gradients = signal_profile(seen), depth_profile(seen)
    if signal is not None and signal.fades:
        return "the signal fades on its way, and every gradient with it: see GF104"
    if not isinstance(gradients, str) and gradients.vanishes:
        return "the gradient vanishes on its way to the input as well: see GF101"
    return ""
