"""The output layer cannot give what the loss takes or the labels are.

## What it measures

The activation and width of the output layer, the loss and whether it takes probabilities or logits, and the range of
the labels. The rule knows these disagreements:

- a softmax over one unit, which is always 1; a loss over classes with one unit, which is always 0;
- a sigmoid, softmax, tanh or ReLU in front of a loss that applies the sigmoid or softmax itself (`from_logits`);
- a softmax or sigmoid that reads, without weights between, a bounded activation (another softmax, a sigmoid, a tanh);
- an output that leaves 0..1 (linear, tanh, ReLU) in front of a loss on probabilities, which clips it there;
- labels beyond the range of the output (targets of 30 behind a tanh), or beyond 0..1 under binary cross-entropy;
- a squared or absolute error on the probability of one of two classes, where nothing is learnt.

## Why it matters

Behind a clip the gradient is exactly zero, and where an output cannot reach its label the error never ends. A linear
output under binary cross-entropy, two ReLU layers, five initialisations: a first loss of 1.7 to 10.1; four learn from
the outputs that lie between 0 and 1, the fifth stays at 10.1 for ever. A softmax of a softmax knows only logits
between 0 and 1: of ten classes the loss cannot fall below log(1 + 9/e) = 1.46 (measured 1.49 after 30 epochs on
digits), and at the start the gradient is a tenth.

## Evidence

`output_units`, `label_min`, `label_max`, `output_min`, `output_max` (infinities left out), `kernels_zero`.

An error when the output or the loss is constant by its form, or when there is a disagreement and every gradient is
exactly zero. Else a warning; a squared error on probabilities a note. Undecided for a loss or an output that is not
recognised, and for several outputs.

## Remedies

One unit: `sigmoid` with binary cross-entropy. Classes: `softmax` with a loss on probabilities, or no activation with
a loss on logits, which is more exact. Regression: a linear output, and targets of unit scale.

A belief that was measured and is false: "softmax over one unit trains, the loss falls": where a framework takes the
loss from the logits behind it, the loss falls and every prediction is still 1.

## When it is harmless

A bounded output whose labels happen to lie beyond it in a few samples; sigmoids in front of a loss over classes,
which divides by their sum; clipping on purpose.

## References

Bridle 1990, *Probabilistic interpretation of feedforward classification network outputs* (softmax and its loss).
Goodfellow, Bengio & Courville 2016, *Deep learning*, section 6.2.2 (output units and their losses).
"""

from __future__ import annotations

import math

from unvanish.core.diagnosis import Clear, Finding, Remedy, Severity, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import of_profile
from unvanish.rules.heads import CATEGORICAL, CROSSENTROPY, SQUARED, Head, constant_form, head, squashed_before
from unvanish.rules.spellings.choose import spelling
from unvanish.rules.words import article, short

CODE = "GF904"
NAME = "head-and-loss-mismatch"
BEYOND = 0.05
"""Part of the labels' own range by which they must leave the output's: less is a few samples, and rounding."""
SUMMED_UP = frozenset({"softmax", "sigmoid", "hard_sigmoid", "exponential", "softplus"})
"""Outputs that a loss over classes can divide by their sum: none is negative, and none stays at zero."""


def judge(seen: Observation) -> Verdict:
    """Judge the head against the loss and the labels."""
    found = head(seen)
    if isinstance(found, str):
        return Undecided(code=CODE, name=NAME, reason=found)
    constant = constant_form(seen)
    if not constant and seen.loss.kind not in CROSSENTROPY | SQUARED:
        return Undecided(code=CODE, name=NAME, reason="the loss is not one whose outputs and labels are known")
    evidence = _numbers(seen, found)
    if constant:
        return _finding(seen, found, constant, "error", evidence)
    message = _twice(seen, found) or _logits(seen, found) or _probabilities(seen, found) or _range(seen, found)
    if message:
        norms = of_profile(seen, seen.profiles[-1]).norm.values()
        blocked = bool(norms) and all(norm == 0 for norm in norms)
        return _finding(seen, found, message, "error" if blocked else "warning", evidence)
    if _slow(seen, found):
        return _finding(seen, found, _slow(seen, found), "note", evidence)
    return Clear(code=CODE, name=NAME, evidence=evidence)


def _twice(seen: Observation, found: Head) -> str:
    """Return that the output squashes what is squashed already; empty where it does not."""
    before = squashed_before(seen, found)
    if before is None:
        return ""
    return (
        f"the output {short(found.layer.name)} is {_name(found)} of {article(before.activation)} ({short(before.name)})"
    )


def _logits(seen: Observation, found: Head) -> str:
    """Return what stands before a loss that wants logits; empty where it is nothing."""
    low, high = found.range
    if not seen.loss.from_logits or (low == -math.inf and high == math.inf) or found.activation == "elu":
        return ""
    own = "sigmoid" if seen.loss.kind == "binary_crossentropy" else "softmax"
    return f"the loss applies the {own} itself, and the output {short(found.layer.name)} is {_name(found)}"


def _probabilities(seen: Observation, found: Head) -> str:
    """Return how an output leaves 0..1 in front of a loss on probabilities; empty where it does not."""
    low, high = found.range
    if seen.loss.kind not in CROSSENTROPY or seen.loss.from_logits is not False or (low, high) == (0.0, 1.0):
        return ""
    if seen.loss.kind in CATEGORICAL and found.activation in SUMMED_UP:
        return ""
    return f"the loss takes probabilities, and the output {short(found.layer.name)} is {_name(found)}"


def _range(seen: Observation, found: Head) -> str:
    """Return how the labels leave the range of the output; empty where they do not."""
    smallest, largest = seen.data.label_min, seen.data.label_max
    if smallest is None or largest is None or seen.loss.kind in CATEGORICAL:
        return ""
    binary = seen.loss.kind == "binary_crossentropy"
    low, high = (0.0, 1.0) if binary else found.range
    over = BEYOND * (largest - smallest)
    if smallest >= low - over and largest <= high + over:
        return ""
    reach = f"{low:g} to {high:g}" if math.isfinite(high) else f"{low:g} and more"
    what = "binary cross-entropy takes" if binary else f"the output ({_name(found)}) gives"
    return f"labels from {smallest:.3g} to {largest:.3g}, where {what} {reach}"


def _slow(seen: Observation, found: Head) -> str:
    """Return that a squared error sits on a probability and nothing is learnt; empty otherwise."""
    way = course(seen)
    two = seen.data.label_kind == "binary" and found.activation in ("sigmoid", "softmax")
    if seen.loss.kind not in SQUARED or not two or way.learned or way.last is None:
        return ""
    return f"{seen.loss.kind.replace('_', ' ')} on the probability of one of two classes"


def _finding(seen: Observation, found: Head, message: str, severity: Severity, evidence: dict[str, float]) -> Finding:
    way = course(seen)
    return Finding(
        code=CODE,
        name=NAME,
        severity=severity,
        verdict="blocked" if severity == "error" else None,
        message=message,
        healthy="an output that can be what the labels are",
        layers=(found.layer.name,),
        evidence=evidence | way.evidence,
        why=_why(seen, found, severity),
        effect=way.words,
        note=_note(seen, found),
        cures=_cures(seen, found, severity),
    )


def _why(seen: Observation, found: Head, severity: Severity) -> str:
    if found.units == 1 and found.activation == "softmax":
        return "a softmax divides by its own sum; of one unit nothing is left but 1, with a gradient of exactly zero"
    if constant_form(seen):
        return "of one class the probability is 1 whatever the weights are, with a gradient of exactly zero"
    if severity == "note":
        return "the gradient is that of the probability, p (1 - p), and nearly nothing where it is wrong and sure"
    if _twice(seen, found) or _logits(seen, found):
        return "applied twice, it keeps the probabilities away from 0 and 1, and the gradient small"
    if seen.loss.kind in CROSSENTROPY and seen.loss.from_logits is False and found.range != (0.0, 1.0):
        return "what leaves 0..1 is clipped there, and a clipped output has no gradient"
    return "an error that no output can end drives the output to its bound, where it has no slope"


def _note(seen: Observation, found: Head) -> str:
    """Return the note for a framework that sees through a softmax over one unit; empty elsewhere."""
    moved = any(norm > 0 for norm in of_profile(seen, seen.profiles[-1]).norm.values())
    if found.units != 1 or found.activation != "softmax" or not moved:
        return ""
    return (
        "the kernels have gradients because this loss is taken from the logits behind the softmax: it may fall, the "
        "prediction stays 1"
    )


def _cures(seen: Observation, found: Head, severity: Severity) -> tuple[Remedy, ...]:
    if found.units == 1 and (found.activation == "softmax" or seen.loss.kind in CATEGORICAL):
        change = f"one unit: {spelling(seen).activation('sigmoid')} with binary cross-entropy"
    elif severity == "note":
        change = "binary cross-entropy as the loss"
    elif _twice(seen, found):
        change = "one of the two activations at the output, not both"
    elif seen.loss.from_logits or seen.loss.kind in SQUARED:
        change = "no activation in the output layer"
    else:
        own = "softmax" if seen.loss.kind in CATEGORICAL else "sigmoid"
        change = f"{spelling(seen).activation(own)} in the output layer"
    return (Remedy(name="swap-activation", change=change, invasiveness="one word"),)


def _name(found: Head) -> str:
    return "linear" if found.activation == "linear" else article(found.activation)


def _numbers(seen: Observation, found: Head) -> dict[str, float]:
    norms = of_profile(seen, seen.profiles[-1]).norm.values()
    low, high = found.range
    known = {
        "output_units": found.units,
        "label_min": seen.data.label_min,
        "label_max": seen.data.label_max,
        "output_min": low,
        "output_max": high,
        "kernels_zero": sum(norm == 0 for norm in norms),
    }
    return {name: float(number) for name, number in known.items() if number is not None and math.isfinite(number)}
