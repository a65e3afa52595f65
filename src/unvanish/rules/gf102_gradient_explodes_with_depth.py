"""The gradient grows at every layer towards the input, so that no one step size suits all layers.

## What it measures

The same line as GF101: Theil-Sen through log10 of the hidden kernels' gradient RMS against depth, before the first
step, in training mode, raw. The rule fires when slope x depth exceeds +1.5 decades and twice the spread that theory
expects from one initialisation to the next, and the pre-activation gradients grow too.

Growth that is systematic (more than 1.1x per layer, and forecast) but still within the limit is a note, with the
number of layers at which it would cross it.

## Why it matters

With SGD the layers with the largest gradient diverge at a rate at which the others do not yet move. Adam divides
the size out; what stays is a loss surface that is rough in the first layers' weights, since a small change there is
multiplied on the way up. Networks with ReLU and batch normalisation, 64 wide, on MNIST-1D: training accuracy .61 at
11 layers, .13 at 30, .10 (chance) at 100, where first/last is 8.8e8.

## Evidence

As in GF101: `transmission_per_layer` (above 1), `decades`, `slope_low`, `slope_high`, `depth`, `first_over_last`,
the split into `activation_part` and `weight_part`, the forecast; for a note also `fatal_depth`.

An error, or a warning when the loss fell clearly below chance all the same, or began to while the profile recovered; a
note within the limit.

## Remedies

Weights at the critical gain (He for ReLU, LeCun for tanh), orthogonal kernels, or residual connections whose
branches start at zero. Under SGD, gradient clipping bounds the step and keeps training from diverging; it leaves the
profile as it is. Adam and its like divide the gradient's size out again: there clipping changes nothing.

Beliefs that were measured and are false: "batch norm fixes it for good" (without shortcuts the gradient of ReLU
networks grows by sqrt(pi/(pi-1)) = 1.21x per layer); "the logged norm is the raw one" (it is often taken after
clipping, or still multiplied by a loss scale; this one is neither).

## When it is harmless

Within the limit: the tutorial's improved network (eleven times Dense, ReLU, batch normalisation) grows 1.2x per
layer and trains. A few layers with a large gradient at a sharp turn of the loss are no slope.

## References

Pascanu, Mikolov & Bengio 2013, ICML. Yang et al. 2019, *A mean field theory of batch normalization*, ICLR
(explosion without shortcuts). Philipp, Song & Carbonell 2018, *Gradients explode*. Hanin 2018, NeurIPS. Hanin &
Nica 2020, CMP 376.
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.easing import eased
from unvanish.rules.evidence import numbers
from unvanish.rules.expected import expected_factor
from unvanish.rules.gradients import (
    LIMIT_DECADES,
    DepthProfile,
    at_start,
    depth_profile,
    shallow,
)
from unvanish.rules.parts import factor_words, parts
from unvanish.rules.remedies import against_exploding
from unvanish.rules.words import times
from unvanish.theory.bands import growth_becomes_fatal_at, healthy_factor

CODE = "GF102"
NAME = "gradient-explodes-with-depth"
SYSTEMATIC = 1.1
"""Growth per layer that is worth a note; tanh with Glorot weights stays within 1.05 (theory), He within 1.05."""
FORECAST_AGREES = 1.05
"""Forecast growth per layer from which on measured growth is the recipe's, not the luck of one initialisation."""


def judge(seen: Observation) -> Verdict:
    """Judge the growth of the gradient over depth."""
    start = at_start(seen)
    if shallow(seen):
        return Clear(code=CODE, name=NAME, not_applicable="fewer than two layers have weights that training may move")
    found = depth_profile(seen, start)
    if isinstance(found, str):
        return Undecided(code=CODE, name=NAME, reason=found)
    split = parts(seen, start.profile, found) if start.profile is not None else None
    evidence = numbers(seen, start, found, split)
    if not found.explodes:
        return _within(seen, found, evidence)
    way, relief = course(seen), eased(seen)
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if relief else "error",
        verdict=None if relief else "exploding",
        message=f"the gradient grows {times(found.transmission)} at every layer towards the input",
        healthy=f"within {times(healthy_factor(found.depth))} at this depth",
        layers=tuple(name for name, rms in start.rms.items() if rms > min(start.rms.values()) * 10**LIMIT_DECADES),
        evidence=evidence | way.evidence,
        why=f"{factor_words(seen, found, split)}.{_why(seen)}",
        effect=way.words,
        note=relief,
        cures=against_exploding(seen),
    )


def _within(seen: Observation, found: DepthProfile, evidence: dict[str, float]) -> Verdict:
    """Return Clear, or the note on growth that this depth still forgives."""
    expected = expected_factor(seen, found)
    fatal = growth_becomes_fatal_at(found.transmission) if found.transmission > SYSTEMATIC else None
    if expected is None or expected < FORECAST_AGREES or fatal is None or fatal <= found.depth:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    return Finding(
        code=CODE,
        name=NAME,
        severity="note",
        message=(
            f"the gradient grows {times(found.transmission)} per layer towards the input: harmless at {found.depth} "
            f"layers, no longer from about {fatal} on"
        ),
        healthy=f"within {times(healthy_factor(found.depth))} at this depth",
        evidence=evidence | {"fatal_depth": float(fatal)},
        why=f"forecast {expected:.2f} per layer.{_why(seen)}",
    )


def _why(seen: Observation) -> str:
    kinds = {layer.kind for layer in seen.network.layers}
    if "batch_norm" in kinds and "add" not in kinds:
        return " Batch normalisation without shortcuts multiplies the gradient at every layer, by 1.21 behind a ReLU."
    return ""
