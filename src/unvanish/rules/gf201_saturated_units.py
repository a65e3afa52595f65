"""Units of a sigmoid or tanh layer sit in the flat ends of their activation: next to no gradient passes.

## What it measures

For every hidden layer with an activation that is flat on both sides (sigmoid, tanh, their hard versions, softsign,
erf) the share of (sample, unit) pairs whose slope is below 1 % of the largest one, and what the slopes cost: measured
gradient behind the activation over gradient before it, against the largest slope, in decades. The rule looks at the
last probe, and says what was there at the first.

A layer counts when nine tenths of its pairs are saturated: a share s passes at most sqrt(1 - s) of the largest slope,
0.32 there, which is half a decade and a third of what a network may lose over its whole depth (GF101).

Not counted: the output (a sure and right classifier saturates), gates that a product reads, and recurrent cells.

## Why it matters

A saturated unit answers every sample alike and passes nothing on, so that what comes before it stands still: one
large step, or inputs of the wrong size, and a layer is frozen. It is not how the gradient of a sigmoid network
vanishes by itself: at the initialisation 0 % are saturated, and the gradient still shrinks 4.2x per layer.

## Evidence

`saturated_share` of the worst layer and `saturated_share_at_start` of the same one, `lost_decades` over all layers,
`layers_affected`, `gain` of the worst layer's weights, `input_rms`, `movement_over_plan` (of the hidden kernel that
moves farthest, where they stand still).

An error when a layer counts, its slopes really cost half a decade, no shortcut leads around it, and the loss has not
begun to fall below chance; or when all layers together lost more than 1.5 decades in that way. An error too, though
the loss falls, when every layer that can saturate counts, at the first probe and at the last, and no hidden kernel
will have changed by a tenth of its size when the planned steps are over: then the output alone learns, from features
that nothing trains (three sigmoid layers of gain 110 on the breast-cancer data: a held-out accuracy of .83 to .87,
where gain one gives .94 to .97). Else a warning when a layer counts (also where units saturated while the loss
diverged: the step is the cause, GF302), and silence where the loss falls and fewer than all its pairs are saturated.

## Remedies

Inputs of unit size where the first layer is affected (GF902); weights of gain one; a smaller step where units
saturated while training (GF302); a normalisation before the activation.

Beliefs that were measured and are false: "sigmoid vanishes because it saturates".

## When it is harmless

In a trained network, whose features are nearly binary; in an output; in gates and in squashed images.

## References

Glorot & Bengio 2010, AISTATS, section 3 (saturation of sigmoid and tanh). LeCun et al. 1998, *Efficient backprop*,
section 4.4. Ioffe & Szegedy 2015, ICML, section 1 (saturated regimes).
"""

from __future__ import annotations

import math

from unvanish.core.diagnosis import Clear, Finding, Remedy, Undecided, Verdict
from unvanish.core.network import Layer
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import LIMIT_DECADES
from unvanish.rules.learning_time import BEYOND, hidden_movement
from unvanish.rules.remedies import against_large_inputs, initialised
from unvanish.rules.scales import first_kernels, input_scale
from unvanish.rules.signal import LARGE_INPUT
from unvanish.rules.units import BLOCKING, Saturating, at_the_end, can_saturate, saturating
from unvanish.rules.words import percent, short, two_digits

CODE = "GF201"
NAME = "saturated-units"
COSTS = -0.5 * math.log10(1 - BLOCKING)
"""Decades that a layer of that share costs when the gradient does not spare the units that are saturated."""
ALL = 0.995
"""Share that reads as everything."""
MOVES = 1 / BEYOND
"""Part of its size that a kernel must change by within the plan: what would need more than ten plans stands still."""


def judge(seen: Observation) -> Verdict:
    """Judge the saturated shares at the last probe, beside those at the first."""
    if not can_saturate(seen):
        return Clear(code=CODE, name=NAME, not_applicable="no hidden activation goes flat on both sides")
    now = saturating(seen, seen.profiles[-1])
    if not now:
        return Undecided(code=CODE, name=NAME, reason="no layer that could saturate was seen")
    started = {layer.name: layer.share for layer in saturating(seen, seen.profiles[0])}
    worst = max(now, key=lambda layer: layer.share)
    affected = [layer for layer in now if layer.share >= BLOCKING]
    scale, kernel = input_scale(seen), _kernel(seen, worst)
    lost = math.fsum(layer.lost for layer in now if layer.share > 0.5 and math.isfinite(layer.lost))
    known = {
        "saturated_share": worst.share,
        "saturated_share_at_start": started.get(worst.name),
        "lost_decades": lost,
        "layers_affected": float(len(affected)),
        "gain": _gain(kernel),
        "input_rms": None if scale is None else math.sqrt(scale),
    }
    evidence = {name: number for name, number in known.items() if number is not None}
    way = course(seen)
    total = lost > LIMIT_DECADES and not way.falling
    shut = len(affected) == len(now) and min(started.values(), default=0.0) >= BLOCKING and not way.converged
    farthest = hidden_movement(seen)
    stuck = shut and farthest is not None and farthest < MOVES
    if stuck and farthest is not None:
        evidence["movement_over_plan"] = farthest
    if not total and not stuck and (not affected or (way.falling and worst.share < ALL)):
        return Clear(code=CODE, name=NAME, evidence=evidence)
    return _finding(seen, worst, affected or [layer for layer in now if layer.share > 0.5], evidence)


def _finding(seen: Observation, worst: Saturating, affected: list[Saturating], evidence: dict[str, float]) -> Finding:
    way = course(seen)
    around = any(layer.kind == "add" for layer in seen.network.layers)
    thrown = way.thrown and evidence.get("saturated_share_at_start", 1.0) < BLOCKING
    costs = evidence["lost_decades"] > LIMIT_DECADES or any(layer.lost >= COSTS for layer in affected)
    stuck = "movement_over_plan" in evidence
    severe = costs and not around and (stuck or not (way.falling or thrown))
    when = at_the_end(seen, evidence.get("saturated_share_at_start"))
    cause, cure = _cause(seen, affected[0], evidence)
    reasons = {
        "the loss falls by the output layer alone: the hidden ones stand still": stuck and way.falling,
        "the loss falls all the same": way.falling and not stuck,
        "a shortcut leads around it": around,
        "in its range at the start, saturated after the loss diverged: see GF302": thrown,
        "the gradient passes by the units that are not": not costs,
    }
    return Finding(
        code=CODE,
        name=NAME,
        severity="error" if severe else "warning",
        verdict="saturated" if severe else None,
        message=f"{percent(worst.share)} of the activations of {short(worst.name)} are saturated{when}",
        healthy=f"below {percent(BLOCKING)}; next to none at the start",
        layers=tuple(layer.name for layer in affected),
        evidence=evidence | way.evidence,
        why=f"{cause}; a saturated unit passes less than 1 % of the largest slope",
        effect=way.words,
        note="; ".join(text for text, holds in reasons.items() if holds),
        cures=cure,
    )


def _cause(seen: Observation, first: Saturating, evidence: dict[str, float]) -> tuple[str, tuple[Remedy, ...]]:
    """Return why the units are saturated, in words, and what to change."""
    rms = evidence.get("input_rms")
    if evidence.get("saturated_share_at_start", 1.0) < BLOCKING:
        return "the units saturated while training: the steps are too large (GF302)", ()
    entry = any(layer.name in first.kernels for layer in first_kernels(seen))
    if entry and rms is not None and rms > math.sqrt(LARGE_INPUT):
        return f"the inputs have an RMS of {rms:.3g} (GF902)", (against_large_inputs(),)
    gain = _gain(_kernel(seen, first))
    words = f"the weights have gain {two_digits(gain)}" if gain else "the pre-activations are large"
    return words, (initialised(seen, "glorot_uniform"),)


def _kernel(seen: Observation, found: Saturating) -> Layer | None:
    return next((layer for layer in seen.network.kernels if layer.name in found.kernels), None)


def _gain(kernel: Layer | None) -> float | None:
    if kernel is None or kernel.kernel is None or not kernel.fan_in:
        return None
    return math.sqrt(kernel.fan_in * kernel.kernel.second_moment)
