"""Units of a ReLU layer are zero on every sample: no gradient passes through them, and they never come back.

## What it measures

The share of each ReLU layer's units (channels of a convolution) whose output was zero on every sample of every
probed batch, before the first step and after the last one that was watched. A unit that is off for some samples is
not dead; that is what a ReLU is for.

In deep ReLU networks all samples look alike, and a unit with symmetric weights is off for all of them with
probability up to 1/2: such shares are chance, not disease. A layer counts when its share is beyond what chance
explains at its width (.69 of 64 units, .55 of 1000; of five units no share but all).

## Why it matters

A dead unit's derivative is zero, so nothing that training does reaches its weights. A layer that is dead altogether
cuts off every layer before it and makes the output a constant: the loss then sits exactly at chance. A network of
width w and L layers is born like that with probability about 1 - (1 - 2^-w)^L (Lu et al. 2020): .15 for five units
and five layers.

## Evidence

`dead_share` of the worst layer and `dead_share_at_start` of the same one, its number of `units`, the `samples` that
were looked at, `layers_affected`; where biases outweigh what the weights make of the input, `bias_mean` and
`preactivation_rms_without_bias`. Where all units are silent, the samples of the watched steps count as well since
which the layer's kernel has had a gradient of exactly zero: they say the same.

An error when a layer has at most a tenth of its units left, no shortcut leads around it, and the loss did not fall
clearly below chance; else a warning. Units that were alive at the start and died while the loss diverged, at the
end or on the way, are a warning here: the step is the cause (GF302).

## Remedies

Zero biases where negative ones hold the units below zero: no other kernel helps there. Else He's initialisation;
an activation with a slope below zero (leaky ReLU, ELU, GELU); normalisation before the activation, which centres its
input; a smaller learning rate when units died while training.

## When it is harmless

Up to half of the units of a deep ReLU layer; a sparse layer in a trained network; an unused channel. Dead shares
say nothing about sigmoid or tanh: those saturate.

## References

Lu, Shin, Su & Karniadakis 2020, *Dying ReLU and initialization*, Communications in Computational Physics 28.
Glorot, Bordes & Bengio 2011, AISTATS (sparsity is wanted). Maas, Hannun & Ng 2013, ICML workshop (leaky ReLU).
"""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

from unvanish.core.activations import ZERO_BELOW
from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.measures.chance import silent_by_chance
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile
from unvanish.rules.biases import LowBias, low_bias
from unvanish.rules.course import course
from unvanish.rules.died import died_words, suspects
from unvanish.rules.gradients import of_profile
from unvanish.rules.remedies import against_dead_units, against_low_biases
from unvanish.rules.units import at_the_end
from unvanish.rules.words import percent, short

CODE = "GF202"
NAME = "dead-units"
BLOCKING = 0.9
"""Dead share from which on too few units are left to carry a signal; of fewer than ten units only all."""
FEWEST_SAMPLES = 30
"""A unit that is on half of the time is off on so many samples once in 1e9 times; on three once in eight."""


class Layer(NamedTuple):
    """Hold the dead share of one layer."""

    name: str
    units: int
    share: float

    @property
    def blocking(self) -> bool:
        """Say whether next to nothing passes."""
        return self.share >= BLOCKING

    @property
    def beyond_chance(self) -> bool:
        """Say whether luck does not explain the share."""
        return self.blocking or self.share > silent_by_chance(self.units)


def judge(seen: Observation) -> Verdict:
    """Judge the dead shares at the last probe, beside those at the first."""
    silent = [layer.name for layer in seen.network.layers if layer.activation in ZERO_BELOW]
    if not silent:
        return Clear(code=CODE, name=NAME, not_applicable="no hidden activation is zero on one side")
    now = _layers(seen, seen.profiles[-1])
    if not now:
        return Undecided(code=CODE, name=NAME, reason="the outputs of the ReLU layers were not seen")
    worst = max(now, key=lambda layer: layer.share)
    affected = [layer for layer in now if layer.beyond_chance]
    samples = _samples(seen, worst)
    started = {layer.name: layer.share for layer in _layers(seen, seen.profiles[0])}
    evidence = {
        "dead_share": worst.share,
        "dead_share_at_start": started.get(worst.name, 0.0),
        "units": float(worst.units),
        "samples": float(samples),
        "layers_affected": float(len(affected)),
    }
    if not affected:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    if samples < FEWEST_SAMPLES and worst.share < 1:
        return Clear(code=CODE, name=NAME, evidence=evidence)  # what passes a unit or two is enough to go on looking
    if samples < FEWEST_SAMPLES:
        reason = (
            f"only {samples} samples were seen: {percent(worst.share)} silent units of {short(worst.name)} may be luck"
        )
        return Undecided(code=CODE, name=NAME, reason=reason)
    return _finding(seen, worst, affected, evidence)


def _finding(seen: Observation, worst: Layer, affected: list[Layer], evidence: dict[str, float]) -> Finding:
    way = course(seen)
    died = evidence["dead_share_at_start"] < BLOCKING and way.thrown
    blocks = worst.blocking and not _leads_around(seen, worst.name)
    severe = blocks and not way.learned and not died
    reasons = {
        "alive at the start, dead after the loss diverged: see GF302": died,
        "a shortcut leads around it": worst.blocking and not blocks,
        "the loss falls all the same": way.learned,
    }
    when = at_the_end(seen, evidence["dead_share_at_start"])
    alike, low = _alike_words(seen), low_bias(seen, affected[0].name)
    started = Layer(worst.name, worst.units, evidence["dead_share_at_start"])
    suspect = {} if started.beyond_chance else suspects(seen)  # at the start no more were silent than luck explains
    cause = f"{alike}{_bias_words(low)}{died_words(seen, suspect)}"
    cures = () if alike else against_low_biases(seen) if low else against_dead_units(seen, slower=bool(suspect))
    count = "all" if worst.share == 1 else percent(worst.share) + " of the"
    return Finding(
        code=CODE,
        name=NAME,
        severity="error" if severe else "warning",
        verdict="dead" if severe else None,
        message=f"{count} {worst.units} units of {short(worst.name)} are zero on every sample{when}",
        healthy=f"below {percent(min(BLOCKING, silent_by_chance(worst.units)))} at this width",
        layers=tuple(layer.name for layer in affected),
        evidence=evidence | _numbers(low) | suspect | way.evidence,
        why=f"{cause}no gradient passes a unit that is zero on every sample, so its weights never move again",
        effect=way.words,
        note="; ".join(text for text, holds in reasons.items() if holds),
        cures=cures,
    )


def _alike_words(seen: Observation) -> str:
    low, high = seen.data.input_min, seen.data.input_max
    if low is None or low != high:
        return ""
    return f"every input is {low + 0.0:g}: there is nothing to tell samples by; "


def _numbers(low: LowBias | None) -> dict[str, float]:
    return {} if low is None else {"bias_mean": low.mean, "preactivation_rms_without_bias": low.rest}


def _bias_words(low: LowBias | None) -> str:
    if low is None:
        return ""
    return (
        f"the biases of {short(low.layer)} (mean {low.mean:.3g}) outweigh what its weights make of its input "
        f"(RMS {low.rest:.3g}) and hold its units below zero; "
    )


def _layers(seen: Observation, profile: Profile) -> list[Layer]:
    shares = {layer.name: layer.dead_share for layer in profile.layers}
    found: list[Layer] = []
    for layer in seen.network.layers:
        share = shares.get(layer.name)
        if layer.activation in ZERO_BELOW and share is not None:
            found.append(Layer(layer.name, layer.units or (layer.shape[-1] if layer.shape else None) or 1, share))
    return found


def _samples(seen: Observation, worst: Layer) -> int:
    """Return how many samples show that the layer is silent: those of the probe, and of the steps that confirm it."""
    profile, recording = seen.profiles[-1], seen.recording
    probed = profile.batches * profile.batch_size
    own = seen.network.layer(worst.name).kernel is not None
    kernels = {worst.name} if own else set(seen.network.sources(worst.name))
    places = [i for i, name in enumerate(recording.layers) if name in kernels]
    if worst.share < 1 or not places:
        return probed
    rows = reversed(recording.rows.get("gradient_norm", ()))
    silent = takewhile(lambda row: all(row[i] == 0 for i in places), rows)
    return probed + sum(1 for _ in silent) * seen.data.batch_size


def _leads_around(seen: Observation, name: str) -> bool:
    """Say whether the network has shortcuts and a kernel before the layer still receives a gradient."""
    if not any(layer.kind == "add" for layer in seen.network.layers):
        return False
    order = [layer.name for layer in seen.network.layers]
    gradients = of_profile(seen, seen.profiles[-1])
    return any(rms > 0 and order.index(kernel) < order.index(name) for kernel, rms in gradients.rms.items())
