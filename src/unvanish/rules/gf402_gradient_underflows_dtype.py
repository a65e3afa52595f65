"""The gradient is smaller than the smallest number of float16: most of its entries round to zero.

## What it measures

In a network that computes in float16, for every kernel layer, the RMS of the gradient at its pre-activation before the
first step. The smallest number of float16 is 2^-24 = 6.0e-8, and what is below half of it rounds to zero. Every entry
is a multiple of 2^-24, so that an RMS of r leaves at most the share (r / 2^-24)^2 of them other than zero: below
2^-25 that is a quarter, whatever their distribution. A layer counts when its RMS is below 2^-25, and when it is
exactly zero behind a layer whose RMS is below 2^-24. The rule fires when most layers count. Where every layer is
exactly zero there is nothing to tell underflow by: see GF502.

It does not look at a training that scales its loss dynamically: the scale is raised until the gradient fits, and the
gradients that are told are divided by it. bfloat16 has the range of float32, and is clear.

## Why it matters

What rounds to zero on its way back reaches no weight behind it: deeper layers have no gradient at all, and the others
learn from the few entries that survived. The same network in float32 trains, with a step that makes up for the scale.
It looks like a vanished or a blocked gradient, and neither another initialisation nor a path to the loss cures it.

Cotangents are smaller than they look: of a batch mean over 32 samples and 64 positions, each holds 1/2048 of the sum.

## Evidence

`preactivation_gradient_rms` (the largest among the layers that count), `smallest_number`, `largest_kept_share`,
`layers_affected`, `layers_zero`, `gradient_zero_share` (largest over the kernels' own gradients).

A warning; a note where the loss falls all the same.

## Remedies

A loss scale: multiply the loss by 2^10 to 2^16, divide the gradients before the step, skip steps that overflow
(PyTorch's GradScaler, Keras' LossScaleOptimizer). bfloat16, which needs none. A loss that is not divided by more than
the batch.

A belief that was measured and is false: "gradients of float16 are kept in float32, so nothing can get lost": they are
computed in float16, and copied.

## When it is harmless

In a trained network, whose gradients are small everywhere.

## References

Micikevicius et al. 2018, *Mixed precision training*, ICLR, section 3.2 (gradients below 2^-24; loss scaling). IEEE
754-2019, table 3.5 (binary16: subnormal numbers down to 2^-24).
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Remedy, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import moving_kernels
from unvanish.rules.spellings.choose import spelling
from unvanish.rules.words import percent, power, span

CODE = "GF402"
NAME = "gradient-underflows-dtype"
SMALLEST = 2.0**-24
"""The smallest positive number of float16."""
MOST = 0.5
"""Share of the layers from which on it is most of them."""


def judge(seen: Observation) -> Verdict:
    """Judge the pre-activation gradients of the first probe against the smallest number of float16."""
    start = seen.profiles[0]
    if start.dtype != "float16":
        return Clear(code=CODE, name=NAME, not_applicable="the layers do not compute in float16")
    if seen.optimizer.dynamic_loss_scale:
        return Clear(code=CODE, name=NAME, not_applicable="the loss scale follows the gradients")
    measured = {layer.name: layer for layer in start.layers}
    kernels = [measured[layer.name] for layer in moving_kernels(seen) if layer.name in measured]
    known = {k.name: k.preactivation_gradient_rms for k in kernels if k.preactivation_gradient_rms is not None}
    if not known:
        return Undecided(code=CODE, name=NAME, reason="the gradients of the activations were not measured")
    affected = _affected(known)
    counted = [known[name] for name in affected]
    evidence = {"smallest_number": SMALLEST, "layers_affected": float(len(affected))}
    shares = [k.gradient_zero_share for k in kernels if k.gradient_zero_share is not None]
    evidence |= {"gradient_zero_share": max(shares)} if shares else {}
    way = course(seen)
    if len(affected) <= MOST * len(known):
        return Clear(code=CODE, name=NAME, evidence=evidence)
    largest = max(counted)
    kept = (largest / SMALLEST) ** 2
    return Finding(
        code=CODE,
        name=NAME,
        severity="note" if way.learned else "warning",
        message=f"at most {percent(kept)} of the gradient's entries in {span(affected)} are not rounded to zero",
        healthy=f"an RMS above {power(SMALLEST / 2)}",
        layers=affected,
        evidence=evidence
        | {
            "preactivation_gradient_rms": largest,
            "largest_kept_share": kept,
            "layers_zero": float(sum(rms == 0 for rms in counted)),
        }
        | way.evidence,
        why=f"their RMS is {_size(largest)}, the smallest number of float16 {power(SMALLEST)}",
        effect=way.words,
        note="the loss falls all the same" if way.learned else "",
        cures=(Remedy(name="scale-loss", change=spelling(seen).loss_scale(), invasiveness="one line"),),
    )


def _size(largest: float) -> str:
    return f"up to {power(largest)}" if largest > 0 else "exactly zero behind the smallest numbers"


def _affected(known: dict[str, float]) -> tuple[str, ...]:
    """Return the layers whose gradient is below half of the smallest number, in forward order.

    known: layer -> RMS, in forward order. One that is exactly zero counts behind (before, in forward order) one that
    hardly holds any: by itself it may be cut off.
    """
    found: list[str] = []
    at_floor = False
    for name, rms in reversed(known.items()):
        if 0 < rms < SMALLEST / 2 or (rms == 0 and at_floor):
            found.append(name)
        at_floor = at_floor or 0 < rms < SMALLEST
    return tuple(reversed(found))
