"""One optimizer step changes the weights by as much as they are: training jumps about, or diverges.

## What it measures

Update norm over weight norm of every kernel at every watched step; at each step the median over the kernels, of
which the rule takes the largest and the median over steps. Where no step was watched, the ratio is predicted from
the gradient at the start and the learning rate (one over GF301's time to learn). Kernels that start at zero are
left out. Beside it stands the loss before and after on the same batches: more than twice the first and the chance
loss is divergence; so is a thousand times of both at a step on the way, whatever became of it later.

## Why it matters

A network whose weights are replaced at every step forgets what it knew. With ReLU one such step can push a whole
layer below zero for good: then all units are dead, and the gradient is exactly zero, though both were fine at the
start. Three ReLU layers with He weights on digits, SGD at a learning rate of 5: accuracy .10 and a loss of 14.5,
for ever.

## Evidence

`largest_update_over_weight`, `median_update_over_weight` (per step), `predicted_update_over_weight` where nothing
was watched, `learning_rate`, `nonfinite_from_step`, the loss from first to last.

An error when the loss diverged, or turned into non-finite values after steps above 0.2, or when steps above 0.2 are
the rule (for SGD: a single one above 1) and the loss did not fall clearly below chance. A warning when it did.

## Remedies

A smaller learning rate: take the rate that the finding names; a warm-up; inputs and regression targets of
unit scale (the gradient of a squared error grows with the target); under SGD gradient
clipping, which is made for this.

## When it is harmless

For kernels that start at zero or very small, for the first steps; with scale-invariant weights under a
normalisation, whose direction alone matters.

## References

LeCun et al. 1998, *Efficient backprop*, section 4.7. Pascanu, Mikolov & Bengio 2013, ICML (clipping). Goyal et al.
2017, arXiv:1706.02677 (warm-up). Cohen et al. 2021, *Edge of stability*, ICLR. Lewkowycz et al. 2020,
arXiv:2003.02218 (what a loss comes back from). You, Gitman & Ginsburg 2017,
arXiv:1708.03888.
"""

from __future__ import annotations

import math

import numpy as np

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.measures.time_to_learn import DIVIDES_BY_GRADIENT
from unvanish.core.observation import Observation
from unvanish.rules.course import Course, course
from unvanish.rules.learning_time import learning_times
from unvanish.rules.remedies import against_large_steps, rate_for
from unvanish.rules.scales import targets_words
from unvanish.rules.step_sizes import step_sizes
from unvanish.rules.words import times

CODE = "GF302"
NAME = "update-too-large"
LARGE = 0.2
"""Update/weight per step: five such steps replace the weights; a hundred times above what layers usually show, four
times above the largest first step of a healthy network (Adam at a learning rate of 0.01, 64 units)."""
WHOLE = 1.0
"""One step that replaces the weights; only for optimizers whose step follows the gradient's size."""


def judge(seen: Observation) -> Verdict:
    """Judge the size of the updates, and what became of the loss."""
    way = course(seen)
    ratios = list(step_sizes(seen).values())
    broken = _nonfinite_from(seen)
    if not ratios:
        return _predicted(seen, way)
    largest, usual = max(ratios), float(np.median(ratios))
    evidence = {
        "largest_update_over_weight": largest,
        "median_update_over_weight": usual,
        "learning_rate": seen.optimizer.learning_rate,
    }
    if broken is not None:
        evidence["nonfinite_from_step"] = float(broken)
    reason = _reason(seen, way, largest, usual, broken)
    if not reason:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    first = next((ratio for ratio in ratios if ratio > LARGE), largest)  # what came after it is its consequence
    evidence["first_large_update_over_weight"] = first
    return _finding(seen, way, first, reason, evidence)


def _reason(seen: Observation, way: Course, largest: float, usual: float, broken: int | None) -> str:
    """Return why the updates are too large; empty when they are not."""
    if largest == 0:
        return ""  # nothing moved: where the loss differs, the batches do
    follows = seen.optimizer.family not in DIVIDES_BY_GRADIENT
    if broken is not None:
        return f"values are not finite from step {broken} on" if largest > LARGE else ""
    if way.diverged and way.last is not None and math.isfinite(way.last):
        return f"the loss rose to {way.last:.3g}"
    if way.thrown and way.peak is not None and math.isfinite(way.peak):
        return f"the loss rose to {way.peak:.3g} on the way"
    if usual > LARGE:
        return f"every second step changes the weights by more than {usual:.1g} of their size"
    if follows and largest > WHOLE and not way.learned:
        return "a single step replaced the weights"
    return ""


def _predicted(seen: Observation, way: Course) -> Verdict:
    """Judge by the ratio that gradient and learning rate predict, where no step was watched."""
    needed = [1 / steps for steps in learning_times(seen).values() if steps > 0]
    if not needed:
        return Undecided(code=CODE, name=NAME, reason="no step was watched, and none can be predicted")
    predicted = float(np.median(needed))
    evidence = {"predicted_update_over_weight": predicted, "learning_rate": seen.optimizer.learning_rate}
    if predicted <= LARGE:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    return _finding(seen, way, predicted, "predicted from the gradient and the learning rate", evidence)


def _finding(seen: Observation, way: Course, ratio: float, reason: str, evidence: dict[str, float]) -> Finding:
    severe = not way.learned
    rate = seen.optimizer.learning_rate
    wanted = rate_for(rate, ratio)
    return Finding(
        code=CODE,
        name=NAME,
        severity="error" if severe else "warning",
        verdict="untrainable-step" if severe else None,
        message=f"one step changes the weights by {times(ratio)} their own size",
        healthy=f"below {times(LARGE)}; about 0.001x is usual",
        layers=tuple(layer.name for layer in seen.network.kernels),
        evidence=evidence | way.evidence,
        why=f"{reason}; learning rate {rate:g}"
        + ("" if wanted is None else f", a step of 1 % would take {wanted:.1g}"),
        effect=way.words,
        note=targets_words(seen),
        cures=against_large_steps(seen, ratio),
    )


def _nonfinite_from(seen: Observation) -> int | None:
    """Return the first watched step with a loss that is not finite, if the start was finite; else None."""
    if not math.isfinite(seen.profiles[0].loss):
        return None
    recorded = zip(seen.recording.steps, seen.recording.losses, strict=True)
    found = [step for step, loss in recorded if not math.isfinite(loss)]
    found += [profile.step for profile in seen.profiles[1:] if not math.isfinite(profile.loss)]
    return min(found, default=None)
