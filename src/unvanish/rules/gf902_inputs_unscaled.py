"""The inputs, or the targets of a regression, are far from unit size, for which every initialisation is made.

## What it measures

The mean square q0 of the inputs as the first weights read them: of the data, and from the size of the first
pre-activations, so that a rescaling inside the network counts (the smaller of both). Beside it the standard deviation
of every feature over the samples. The rule fires when the inputs' RMS is beyond 24, or when the features differ in
spread by more than a hundredfold and the widest one exceeds 10.

The number 24 is where a first layer of gain one stops working: its pre-activations have the RMS of the inputs, and
P(|z| > 2.99) = 0.9 for a standard deviation of 23.8, that is, nine in ten tanh units pass less than 1 % of their
largest slope (sigmoid: 47.6). A ReLU network is homogeneous: its first outputs are that many times too large, and the
step that stays stable is smaller by the square. A ratio of 100 in spread is a condition number of 10,000: that many
steps of gradient descent for the narrow feature.

From an RMS of 3 on (q0 = 10) the inputs are named where harm is seen: nine tenths of a first layer saturated, or a
first loss twice that of guessing, in a training that does not learn.

For a regression also the standard deviation of the targets, where it exceeds 10 and nothing is learnt.

Silent: one-hot, binary and standardised inputs, pixels from 0 to 1, integers that an embedding reads, and inputs
whose first layer is followed by a normalisation, which divides their size out again.

## Why it matters

Scale is not part of the architecture and appears in no layer's code, yet it decides whether the first layer is in its
working range. MNIST's pixels from 0 to 255 have an RMS of 85. An output that starts near zero has to walk to a target
of 300,000 in steps of the learning rate.

## Evidence

`input_rms` as read, `input_second_moment` of the data, `feature_sd_min`, `feature_sd_max`, `label_sd`.

A warning; a note where the loss falls clearly below chance all the same. Undecided where the inputs were not seen.

## Remedies

Standardise each feature with the mean and standard deviation of the training set; divide pixels by 255; a logarithm
for prices and counts; for a regression the same with the targets (and back after predicting).

## When it is harmless

With a normalisation as the first layer; with an optimizer that divides the gradient's size out and time enough.

## References

LeCun, Bottou, Orr & Mueller 1998, *Efficient backprop*, section 4.3 (inputs) and 4.5 (targets). Poole et al. 2016,
NeurIPS, eq. 3. Bishop 1995, *Neural networks for pattern recognition*, section 8.2.
"""

from __future__ import annotations

import math

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gains import unnormalised
from unvanish.rules.harm import OFF_SCALE
from unvanish.rules.remedies import against_large_inputs, against_large_targets
from unvanish.rules.scales import UNSCALED_TARGETS, first_kernels, input_scale, target_spread
from unvanish.rules.signal import LARGE_INPUT
from unvanish.rules.units import BLOCKING, saturating

CODE = "GF902"
NAME = "inputs-unscaled"
LARGEST_RMS = 23.8
"""2.993 / 0.1257: tanh passes less than 1 % beyond 2.993, and a normal number lies within 0.1257 sd one time in ten."""
SPREADS_APART = 100.0
"""Its square is the condition number; 10,000 steps are what is assumed of a plan that is not known (learning_time)."""
WIDEST = 10.0
"""Standard deviation of a feature: below it a narrow one beside is rare (a pixel, a word), not badly scaled."""


def judge(seen: Observation) -> Verdict:
    """Judge the scale of the inputs, the spread of the features, and the targets of a regression."""
    scale, targets = input_scale(seen), target_spread(seen)
    evidence = _numbers(seen, scale)
    first = first_kernels(seen)
    free = unnormalised(seen)
    normalised = bool(first) and not any(layer.name in free for layer in first)
    exempt = normalised or any(layer.kind == "embedding" for layer in first)
    message = "" if exempt else _inputs(seen, scale)
    if message:
        return _finding(seen, message, evidence)
    way = course(seen)
    if targets is not None and targets > UNSCALED_TARGETS and not way.learned and way.last is not None:
        return _finding(seen, f"the targets have a standard deviation of {targets:.3g}", evidence)
    if scale is None and not exempt:
        return Undecided(code=CODE, name=NAME, reason="the inputs are no single array of numbers, and were not seen")
    return Clear(code=CODE, name=NAME, evidence=evidence)


def _inputs(seen: Observation, scale: float | None) -> str:
    """Return how the inputs are off scale; empty when they are not."""
    if scale is None:
        return ""
    rms = math.sqrt(scale)
    if rms > LARGEST_RMS or (scale > LARGE_INPUT and _harm(seen)):
        return f"the inputs have an RMS of {rms:.3g}"
    low, high = seen.data.feature_sd_min, seen.data.feature_sd_max
    unscaled = scale >= (seen.data.input_second_moment or math.inf) / LARGE_INPUT  # the network does not scale them
    if low and high and high > WIDEST and high > SPREADS_APART * low and unscaled:
        return f"the standard deviations of the features lie between {low:.2g} and {high:.3g}"
    return ""


def _harm(seen: Observation) -> bool:
    way = course(seen)
    if way.learned:
        return False
    names = {layer.name for layer in first_kernels(seen)}
    saturated = any(
        found.share >= BLOCKING for found in saturating(seen, seen.profiles[0]) if names & set(found.kernels)
    )
    return saturated or (way.chance is not None and not way.first <= OFF_SCALE * way.chance)


def _finding(seen: Observation, message: str, evidence: dict[str, float]) -> Finding:
    way, targets = course(seen), target_spread(seen)
    both = targets is not None and targets > UNSCALED_TARGETS
    also = f"the targets have a standard deviation of {targets:.3g}: scale them too" if both else ""
    of_targets = message.startswith("the targets")
    change = against_large_targets()
    return Finding(
        code=CODE,
        name=NAME,
        severity="note" if way.learned else "warning",
        message=message,
        healthy="about 1",
        layers=() if of_targets else tuple(layer.name for layer in first_kernels(seen)),
        evidence=evidence,
        why=(
            "the output starts near zero, and every step moves it by little of that"
            if of_targets
            else "weights are drawn for inputs of unit size: the first layer leaves its range, or the output its scale"
        ),
        effect=way.words,
        note="" if of_targets else also,
        cures=(change,) if of_targets else (against_large_inputs(), *((change,) if both else ())),
    )


def _numbers(seen: Observation, scale: float | None) -> dict[str, float]:
    known = {
        "input_rms": None if scale is None else math.sqrt(scale),
        "input_second_moment": seen.data.input_second_moment,
        "feature_sd_min": seen.data.feature_sd_min,
        "feature_sd_max": seen.data.feature_sd_max,
        "label_sd": target_spread(seen),
    }
    return {name: number for name, number in known.items() if number is not None}
