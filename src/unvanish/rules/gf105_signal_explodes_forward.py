"""The forward signal grows at every layer until the output is saturated, off all scales, or no longer a number.

## What it measures

At the initialisation, over the hidden layers with a kernel: a Theil-Sen line through log10 of the second moment q
of the pre-activations. The rule looks closer when q gains more than 3 decades over the depth (1.5 in RMS) and more
than one initialisation's luck, or when the output of a layer is not finite although data and weights are. A layer
that is not modelled may make its own infinities; those belong to GF401.

## Why it matters

A saturated softmax or sigmoid head has a gradient of zero on every sample that it gets right, and on those that it
gets wrong where probabilities are clipped: the network looks blocked, and the cause lies at the bottom. Twenty ReLU
layers of 64 units drawn with standard deviation 0.5 multiply the signal by 2.8 per layer and end at a loss of 14.5
where guessing gives 2.3. Stacked exponentials overflow within a few layers.

## Evidence

`signal_decades` of q over the depth with `signal_decades_sd`, `signal_slope_low` and `signal_slope_high` per layer,
`nonfinite_outputs` of the layer where they begin, `gradient_decades`, `depth`, the loss against chance.

An error when outputs overflow, when the gradient explodes too (GF102), or when the first loss is more than twice
what guessing gives; a warning when the loss fell clearly below chance all the same, or when it did not and nothing
else is wrong.

## Remedies

Weights at the critical gain, inputs of unit size, an activation that does not grow faster than its input,
normalisation, a zero gain at the start of every residual branch. Clipping the gradient does not touch the forward
pass.

## When it is harmless

In residual networks without normalisation q doubles per block by construction; with few blocks that trains. Before
a normalisation the size of q is meaningless.

## References

Poole et al. 2016, NeurIPS. He et al. 2015, ICCV, section 2.2. Hanin & Rolnick 2018, *How to start training*,
NeurIPS. Zhang, Dauphin & Ma 2019, *Fixup*, ICLR (growth per residual block). Taki 2017, arXiv:1709.02956.
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile
from unvanish.rules.course import course
from unvanish.rules.gradients import depth_profile
from unvanish.rules.harm import swamped
from unvanish.rules.remedies import against_exploding, against_large_inputs
from unvanish.rules.signal import LARGE_INPUT, SignalProfile, first_nonfinite, signal_profile
from unvanish.rules.words import short, times

CODE = "GF105"
NAME = "signal-explodes-forward"


def judge(seen: Observation) -> Verdict:
    """Judge the forward signal at the initialisation."""
    broken, found = first_nonfinite(seen), signal_profile(seen)
    if broken is not None:
        return _overflow(seen, broken, found)
    if found is None:
        return Clear(code=CODE, name=NAME, not_applicable="fewer than three hidden layers have a signal")
    evidence = _numbers(seen, found, None)
    way, damage = course(seen), swamped(seen)
    if not found.swells or (way.learned and not damage):
        return Clear(code=CODE, name=NAME, evidence=evidence)
    severe = bool(damage) and not way.learned
    return Finding(
        code=CODE,
        name=NAME,
        severity="error" if severe else "warning",
        verdict="exploding" if severe else None,
        message=f"the forward signal grows {times(10 ** (found.slope.per_step / 2))} at every layer",
        healthy="q within 3 decades over the depth",
        layers=found.layers[-1:],
        evidence=evidence | way.evidence,
        why=damage,
        effect=way.words,
        cures=against_exploding(seen),
    )


def _overflow(seen: Observation, broken: LayerProfile, found: SignalProfile | None) -> Verdict:
    """Judge a layer whose output is not finite before the first step."""
    if seen.data.input_nonfinite or _weights_nonfinite(seen):
        return Undecided(code=CODE, name=NAME, reason="the inputs or the weights are not finite: see GF401")
    if not seen.network.layer(broken.name).modelled:
        reason = f"{short(broken.name)} is not modelled and gives values that are not finite: see GF401"
        return Undecided(code=CODE, name=NAME, reason=reason)
    q0 = seen.data.input_second_moment
    scale = (against_large_inputs(),) if q0 is not None and q0 > LARGE_INPUT else ()
    return Finding(
        code=CODE,
        name=NAME,
        severity="error",
        verdict="exploding",
        message=f"the forward signal overflows in {short(broken.name)}, before the first step",
        healthy="finite outputs",
        layers=(broken.name,),
        evidence=_numbers(seen, found, broken),
        why="data and weights are finite: the layers before it multiply the signal",
        cures=(*scale, *against_exploding(seen)),
    )


def _weights_nonfinite(seen: Observation) -> bool:
    return any(
        stats is not None and not abs(stats.second_moment) < float("inf")
        for layer in seen.network.layers
        for stats in (layer.kernel, layer.bias, layer.scale, layer.shift)
    )


def _numbers(seen: Observation, found: SignalProfile | None, broken: LayerProfile | None) -> dict[str, float]:
    gradients = depth_profile(seen)
    known: dict[str, float | None] = {} if found is None else found.evidence
    known |= {
        "nonfinite_outputs": None if broken is None else float(broken.output_nonfinite),
        "gradient_decades": None if isinstance(gradients, str) else gradients.decades,
        "depth": float(len(seen.network.kernels)),
    }
    return {name: number for name, number in known.items() if number is not None}
