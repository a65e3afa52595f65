"""The forward signal fades on its way to the output, or all samples become alike: the loss cannot see the input.

## What it measures

At the initialisation, over the hidden layers with a kernel: the second moment q of the pre-activations (a Theil-Sen
line through log10 q), and 1 - c, where c is the correlation of two different samples. The signal *fades* when q
loses more than 3 decades over the depth (1.5 in RMS) and more than one initialisation's luck; samples become
*alike* when 1 - c falls below 1e-6 and has lost at least 3 decades on the way.

Neither alone is an error: eleven ReLU layers with Glorot weights lose 3 decades of q and train. It is one when the
gradient shows the damage too: its slope is sick (GF101), or its smallest layer RMS is below five times the
optimizer's epsilon, or learning at that size would take longer than the plan, or the samples differ by less than
float32 can carry, or the signal underflows to zero.

## Why it matters

A kernel's gradient is the product of what arrives from above and the signal from below, so a fading signal starves
every layer, the last ones included, and first/last stays near 1: ReLU with Glorot weights at 100 layers has a ratio
of 2.07 and a gradient RMS of 1e-17.6. Alike samples are worse: where all inputs give one output, no readout can
tell them apart, and the network learns the mean of the labels. Ratios of gradients are blind to both.

## Evidence

`signal_decades` of q over the depth with `signal_decades_sd`, `signal_slope_low` and `signal_slope_high` per layer,
`spread_first` and `spread_last` (1 - c), `smallest_gradient_rms`, `epsilon`, `gradient_decades`, `depth`.

An error as above; a warning where training eased it, as in GF101, and when q alone lost more than 6 decades (the
last layer's signal is below a thousandth of the first's) and the loss has not fallen clearly below chance.

## Remedies

Weights at the critical gain (He for ReLU, where Glorot halves q per layer), orthogonal or looks-linear kernels,
normalisation, residual connections. GELU with looks-linear orthogonal kernels trained at 1000 plain layers.

Beliefs that were measured and are false: "first/last near 1 means healthy"; "replace it by ReLU" as a reflex (with
Glorot weights and 100 layers it stays at chance, .101 of ten classes).

GF101 and GF601 have these as they are typed in Keras and in PyTorch.

## When it is harmless

At moderate depth: q may fall 3 decades in 12 layers and Adam does not mind. Before a normalisation the size of q is
meaningless. Alike inputs (the same image again and again) are alike in a healthy network too; hence the loss on the
way.

## References

Poole et al. 2016, NeurIPS (q and c over depth). Schoenholz et al. 2017, ICLR (how fast c converges). He et al.
2015, ICCV, section 2.2. Balduzzi et al. 2017, ICML (looks-linear). Hanin & Rolnick 2018, *How to start training*,
NeurIPS.
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Verdict
from unvanish.core.observation import Observation
from unvanish.cures.initialisations import SAME_GAIN, SHIPPED_GAIN
from unvanish.rules.course import course
from unvanish.rules.easing import eased
from unvanish.rules.gradients import at_start, depth_profile
from unvanish.rules.harm import starved
from unvanish.rules.parts import hidden_activation, median_gain
from unvanish.rules.remedies import against_vanishing
from unvanish.rules.signal import SignalProfile, signal_profile
from unvanish.rules.words import article, power, times, two_digits

CODE = "GF104"
NAME = "signal-vanishes-forward"
SLOW_DECADES = 6.0
"""Loss of q that is worth a warning by itself: ReLU with Glorot weights at 30 layers (9 decades) learns .30 where He's
reaches .47; at 12 layers (3.6 decades) .62 against .65."""


def judge(seen: Observation) -> Verdict:
    """Judge the forward signal at the initialisation."""
    found = signal_profile(seen)
    if found is None:  # too shallow to fade, or no signal at all: GF202 and GF401 look at that
        return Clear(code=CODE, name=NAME, not_applicable="fewer than three hidden layers have a signal")
    evidence = _numbers(seen, found)
    damage = _damage(seen, found) if found.fades or found.alike else ""
    way, relief = course(seen), eased(seen)
    slow = found.fades and found.decades < -SLOW_DECADES and not way.learned
    if not damage and not slow:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    severe = bool(damage) and not relief
    return Finding(
        code=CODE,
        name=NAME,
        severity="error" if severe else "warning",
        verdict="vanishing" if severe else None,
        message=_message(found),
        healthy="q within 3 decades over the depth" if found.fades else "samples that differ stay different",
        layers=found.layers[-1:],
        evidence=evidence | way.evidence,
        why="; ".join(filter(None, (_cause(seen, found), damage))),
        effect=way.words,
        note=relief,
        cures=against_vanishing(seen),
    )


def _damage(seen: Observation, found: SignalProfile) -> str:
    """Return how the gradient shows that the signal is lost; empty when it does not."""
    if found.underflows:
        return "the signal underflows to exactly zero"
    if found.indistinct:
        return "the samples differ by less than float32 can carry"
    gradients = depth_profile(seen)
    if not isinstance(gradients, str) and gradients.vanishes:
        return f"the gradient shrinks {times(1 / gradients.transmission)} per layer as well"
    return starved(seen) if found.fades else ""


def _cause(seen: Observation, found: SignalProfile) -> str:
    """Return by what the signal shrinks: weights below the gain that keeps the activation's signal; empty if not."""
    activation = hidden_activation(seen) or "linear"
    gain, keeps = median_gain(seen), SHIPPED_GAIN.get(activation, (0.0, ""))[0]
    if not found.fades or gain is None or gain > keeps * (1 - SAME_GAIN):
        return ""
    needed = f"{article(activation)} needs {two_digits(keeps)} to keep a signal"
    return f"the weights have gain {two_digits(gain)}, and {needed}"


def _message(found: SignalProfile) -> str:
    if found.alike and found.spread_last is not None:
        return f"all samples look alike in the last hidden layer: 1 - correlation is {power(found.spread_last)}"
    return f"the forward signal shrinks {times(10 ** (-found.slope.per_step / 2))} at every layer"


def _numbers(seen: Observation, found: SignalProfile) -> dict[str, float]:
    gradients = depth_profile(seen)
    known: dict[str, float | None] = found.evidence | {
        "smallest_gradient_rms": min((rms for rms in at_start(seen).rms.values() if rms > 0), default=None),
        "epsilon": seen.optimizer.epsilon,
        "gradient_decades": None if isinstance(gradients, str) else gradients.decades,
        "depth": float(len(seen.network.kernels)),
    }
    return {name: number for name, number in known.items() if number is not None}
