"""The gradient shrinks at every layer towards the input, so the first layers do not learn.

## What it measures

The slope of the gradient over depth, in decades per layer: a Theil-Sen line through log10 of the gradient RMS of
the hidden kernels, before the first optimizer step, in training mode, on real batches, before any clipping. The
first and the last kernel, kernels that start at zero and kernels whose gradient is exactly zero are left out; where
a weight penalty makes a kernel's gradient, what the data can have made of it at most (|dL/dz| |h|) takes its place.
With fewer than three kernels left, the line goes through the pre-activation gradients of all layers with a kernel.

The rule fires when slope x depth is below -1.5 decades *and* below twice the spread that theory expects from one
initialisation to the next, *and* the pre-activation gradients shrink too (widths and pooling alter the RMS alone),
*and* the typical step from one kernel to the next makes at least a quarter of the slope (a loss at one place is
GF103). It never looks at one gradient's absolute size: a converged network has small gradients and no slope. Where
the profile decays to the smallest number of the dtype and the first layers read exactly zero, that is this pattern
too (underflow), not a blocked path.

## Why it matters

A layer that receives 1e-7 of the gradient moves 1e-7 times as far with SGD. Adam divides the size out, so the decay
hides (update/weight looks normal) until the gradient meets Adam's epsilon, 1e-7 in Keras and 1e-8 in PyTorch; and
what Adam then amplifies is a direction that carries little about the loss. On 81 trained configurations the limit
of 1.5 decades (or a smallest RMS below five epsilon) told networks that do not train, though a cured twin does,
with precision .82 and recall .90; the usual "first/last below 1e-3" had .93 and .70.

## Evidence

`transmission_per_layer`, `slope_decades_per_layer` with its 95 % band (`slope_low`, `slope_high`), `decades` over
the whole `depth` and their `decades_sd` by theory, `attenuation_decades` (the same, positive), `first_over_last`
(kernel gradient norms), the split into `activation_part` and `weight_part`, `forecast_transmission_per_layer`,
`saturated_share`, `first_update_over_weight`, `total_gradient_norm`, and the loss from first to last against
chance.

An error. A warning where learning is slower, not absent: when the loss fell clearly below chance all the same, when
the profile recovered while it was watched, or down to -3.5 decades when the optimizer still moves every layer
within the plan. Measured with sigmoid layers, Adam and digits (accuracy after 1000 steps): two hidden layers .95,
three (-1.7 decades) .93, four (-3.1) .83, five (-3.7) .68, six (-4.3) .34.

## Remedies

Smallest first: another activation in one word, or weights at the critical gain. A sigmoid passes at most 1/4, so
with kernels 4 x orthogonal and b = -W.1/2 it starts as the critical tanh network; `tanh` with Glorot or LeCun
weights passes .999 per layer in the limit of infinite depth and .96 at 11 layers. ReLU needs He's gain; Glorot
gives it .707 forward and backward. Residual connections with a zero branch gain make the product exactly 1 at the
start. On the tutorial's network with learnable labels (11 hidden layers, 125 steps), validation accuracy went from
.50 to .75-.88 by initialisation alone, and to .86-.89 by the one word `tanh`.

In Keras, then in PyTorch (GF601 has the sigmoids):

    layers.Dense(64, activation="tanh")
    layers.Dense(64, activation="relu", kernel_initializer="he_normal")

    nn.Tanh()
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

What does not help: gradient clipping (it scales all layers alike, so the profile stays as it is, to the last
digit), a larger learning rate, and layer normalisation before a sigmoid (.39 per layer).

Beliefs that were measured and are false: "sigmoid vanishes because it saturates" (0 % of the units are saturated at
the start, and it still loses 4.2x per layer); "a small total norm means vanishing" (the sick network's total is
0.86); "Adam makes it irrelevant"; "replace it by ReLU" as a reflex (with Glorot weights and 100 layers it stays at
chance); "batch norm fixes it for good" (without shortcuts the gradient then grows 1.21x per layer: GF102); "a zero
gradient is vanishing" (frozen, unused, cut or zero-initialised: GF502).

## When it is harmless

In a shallow network, where the limit is not reached; when only frozen layers lie at the input; in a network whose
shortcuts carry the gradient past the measured branch.

## References

Hochreiter 1991, *Untersuchungen zu dynamischen neuronalen Netzen*, section 4. Bengio, Simard & Frasconi 1994, IEEE
Transactions on Neural Networks 5. Glorot & Bengio 2010, AISTATS. Schoenholz et al. 2017, ICLR (the depth scale).
Hanin & Nica 2020, Communications in Mathematical Physics 376 (the band of one initialisation). Sen 1968, JASA 63
(the slope).
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.measures.time_to_learn import DIVIDES_BY_GRADIENT
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.easing import eased
from unvanish.rules.evidence import first_update, numbers
from unvanish.rules.gradients import (
    LIMIT_DECADES,
    DepthProfile,
    Gradients,
    at_start,
    depth_profile,
    penalised,
    shallow,
    total_norm,
)
from unvanish.rules.parts import (
    Parts,
    ceiling_words,
    factor_words,
    hidden_activation,
    median_gain,
    parts,
    saturated_share,
    saturation_words,
)
from unvanish.rules.remedies import against_vanishing
from unvanish.rules.words import power, times
from unvanish.theory.bands import healthy_factor

CODE = "GF101"
NAME = "gradient-vanishes-with-depth"
NORMAL_UPDATE = 1e-4
"""Update/weight per step from which on a layer looks as if it learned; 1e-3 is the folklore's healthy one."""


def judge(seen: Observation) -> Verdict:
    """Judge the slope of the gradient over depth."""
    start = at_start(seen)
    if shallow(seen):
        return Clear(code=CODE, name=NAME, not_applicable="fewer than two layers have weights that training may move")
    found = depth_profile(seen, start)
    if isinstance(found, str):
        return Undecided(code=CODE, name=NAME, reason=found)
    split = parts(seen, start.profile, found) if start.profile is not None else None
    evidence = numbers(seen, start, found, split)
    if not found.vanishes:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    way, relief = course(seen), eased(seen)
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if relief else "error",
        verdict=None if relief else "vanishing",
        message=f"the gradient shrinks {times(1 / found.transmission)} at every layer towards the input",
        healthy=f"within {times(healthy_factor(found.depth))} at this depth",
        layers=_starved(start),
        evidence=evidence | way.evidence,
        why=_why(seen, found, split, start),
        effect=way.words,
        note=_note(seen, start, found, relief),
        cures=against_vanishing(seen),
    )


def _starved(start: Gradients) -> tuple[str, ...]:
    """Return the kernels that receive less than the limit's part of the largest gradient, in forward order."""
    enough = max(start.rms.values()) * 10**-LIMIT_DECADES
    return tuple(name for name, rms in start.rms.items() if rms < enough)


def _why(seen: Observation, found: DepthProfile, split: Parts | None, start: Gradients) -> str:
    activation = hidden_activation(seen)
    ceiling = "" if activation is None else ceiling_words(activation, median_gain(seen))
    share = None if start.profile is None else saturated_share(start.profile)
    return f"{ceiling}{factor_words(seen, found, split)}.{saturation_words(share)}"


def _note(seen: Observation, start: Gradients, found: DepthProfile, relief: str) -> str:
    ratio = first_update(seen)
    notes = [relief] if relief else []
    if found.underflowed:
        notes.append(f"the gradient of {len(found.underflowed)} layers underflows to exactly zero")
    if penalised(start):
        notes.append(f"the weight penalty makes the gradient of {penalised(start)} kernels; it is left out here")
    if ratio is not None and ratio > NORMAL_UPDATE and seen.optimizer.family in DIVIDES_BY_GRADIENT:
        total = f"the total gradient norm ({total_norm(start):.2g}) and update/weight ({power(ratio)}) look normal"
        notes.append(f"{total}; {seen.optimizer.name} hides the decay")
    return "; ".join(notes)
