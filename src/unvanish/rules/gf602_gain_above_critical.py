"""The weights are drawn too large for this activation and depth: signal and gradient must grow, whatever the data
are.

## What it measures

The gain of every kernel that passes the gradient on, sqrt(fan_in x E w^2), against the critical gain of its
activation at the signal's size, by mean-field theory, as in GF601. The rule looks closer when the product of gain /
critical gain over the depth is above 1.5 decades.

## Why it matters

Above the critical gain a network is chaotic: nearby inputs are torn apart, the gradient grows by a constant factor
per layer (ReLU of gain 4: 2.8x), activations that can saturate do, and the loss starts far above what guessing
gives.

## Evidence

`gain` and `critical_gain` (medians), `gain_decades` (of the product), `layers_counted`.

An error when the measured slope (GF102), or a growing signal that swamps the output (GF105), agrees; a warning when
nothing could be measured, or when the loss falls all the same or the profile recovered; clear when the measured
profile is healthy all the same.

## Remedies

The initialiser that belongs to the activation: its variance scales with 1 / fan_in, which a fixed standard
deviation (`RandomNormal(0.5)`, `RandomNormal(1.0)`) does not. Orthogonal kernels of the critical gain. A
normalisation.

## When it is harmless

At small depth; under a normalisation; slightly above the critical gain (He weights with tanh: 1.05x per layer),
which trains faster than slightly below it.

## References

Poole et al. 2016, NeurIPS (chaos). Schoenholz et al. 2017, ICLR. He et al. 2015, ICCV, eq. 10. Sompolinsky,
Crisanti & Sommers 1988, Physical Review Letters 61.
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.easing import eased
from unvanish.rules.gains import LIMIT_DECADES, agrees, gains
from unvanish.rules.parts import hidden_activation
from unvanish.rules.remedies import against_exploding
from unvanish.rules.words import times, two_digits

CODE = "GF602"
NAME = "gain-above-critical"


def judge(seen: Observation) -> Verdict:
    """Judge the gain of the kernels by theory, and ask the measured profile whether it agrees."""
    found = gains(seen)
    if isinstance(found, str):
        return Undecided(code=CODE, name=NAME, reason=found)
    if found is None:
        return Clear(code=CODE, name=NAME, not_applicable="no kernel passes its gain on to another")
    measured = agrees(seen, 1)
    if found.decades < LIMIT_DECADES or measured is False:
        return Clear(code=CODE, name=NAME, evidence=found.evidence)
    relief = eased(seen)
    severe = bool(measured) and not relief
    return Finding(
        code=CODE,
        name=NAME,
        severity="error" if severe else "warning",
        verdict="exploding" if severe else None,
        message=found.told("above"),
        healthy=f"about {two_digits(found.critical_gain)}",
        layers=found.layers,
        evidence=found.evidence,
        why=(
            f"{times(found.gain / found.critical_gain)} per layer, {times(10**found.decades)} over {len(found.layers)} "
            f"layers, by the slope of {hidden_activation(seen) or 'linear'} at this signal"
        ),
        note=relief if measured else "no gradient could be measured to confirm it",
        cures=against_exploding(seen),
    )
