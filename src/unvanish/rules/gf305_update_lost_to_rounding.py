"""Most updates are smaller than half the spacing of the weights' numbers: rounding throws them away.

## What it measures

For every hidden kernel in half precision the share of entries for which weight plus update rounds to the weight. A
number w of p significant bits has its neighbour 2^(floor(log2 w) + 1 - p) away (bfloat16: p = 8, float16: 11), and an
update below half of that is lost. Weights and updates are taken as Gaussian: the weights with their measured RMS, the
update with the RMS that the optimizer intends, rms_w / T, T being the steps to learn of GF301. Entries whose gradient
is exactly zero have no update to lose, and are left out. float32 is clear: it loses only what would need 10^7 steps
(GF301).

The rule fires when the share exceeds one half in most of the kernels.

## Why it matters

The gradient arrives, the optimizer steps, and the weights stay: what is lost is not made up for by the next step,
since every one of them rounds from the same number. In bfloat16, weights of 0.18 lie 0.001 apart: of updates of
3.4e-5 (SGD at 0.002, three layers of 64 units on digits) 96 % are lost. After 50 epochs its accuracy is .51-.62, and
.92-.94 with weights in float32.

## Evidence

`lost_share` (median over the kernels) and `largest_lost_share`, `update_rms` and `weight_rms` of the worst kernel,
`kernels_affected`, `significant_bits`, the loss from first to last.

A warning; a note where the loss falls all the same.

## Remedies

Weights in float32, and only the arithmetic in half precision (autocast, a mixed-precision policy): it costs memory,
not speed. Else an update large enough to be held; stochastic rounding; or a compensated (Kahan) sum in the optimizer.

A belief that was measured and is false: "bfloat16 has the range of float32, so it trains like it". It has its range,
and a twentieth of its digits.

## When it is harmless

At the end of a schedule whose step is meant to be next to nothing; where only a few layers are concerned; where the
optimizer keeps a float32 copy of its own.

## References

Micikevicius et al. 2018, *Mixed precision training*, ICLR, section 3.1 (a master copy of the weights; updates lost
below 2^-11). Zamirai et al. 2020, *Revisiting bfloat16 training*, arXiv:2010.06192 (lost updates; Kahan sums).
Goldberg 1991, ACM Computing Surveys 23(1), section 1.2.
"""

from __future__ import annotations

import math
from statistics import median
from typing import NamedTuple

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.measures.lost_updates import SIGNIFICANT_BITS, lost_share
from unvanish.core.observation import Observation
from unvanish.rules.course import course
from unvanish.rules.gradients import at_start
from unvanish.rules.learning_time import learning_times
from unvanish.rules.words import percent, power, span, two_digits

CODE = "GF305"
NAME = "update-lost-to-rounding"
HALF = frozenset({"bfloat16", "float16"})
"""Dtypes that are judged: what float32 loses needs 10^7 steps to learn, which GF301 tells."""
MOST = 0.5
"""Share of the updates, and of the kernels, from which on it is most of them."""


class Lost(NamedTuple):
    """Hold what rounding takes from one kernel."""

    layer: str
    dtype: str
    share: float
    update_rms: float
    weight_rms: float


def judge(seen: Observation) -> Verdict:
    """Judge the share of updates that the weights' dtype cannot hold."""
    dtypes = _dtypes(seen)
    if not HALF.intersection(dtypes.values()):
        if seen.network.kernels and not dtypes:
            return Undecided(code=CODE, name=NAME, reason="the dtype of the weights is not known")
        return Clear(code=CODE, name=NAME, not_applicable="no weights in half precision")
    found = _lost(seen, dtypes)
    if not found:
        reason = f"no hidden kernel has a gradient and a known step of {seen.optimizer.name}"
        return Undecided(code=CODE, name=NAME, reason=reason)
    worst = max(found, key=lambda one: one.share)
    affected = tuple(one.layer for one in found if one.share > MOST)
    evidence = {
        "lost_share": median(one.share for one in found),
        "largest_lost_share": worst.share,
        "update_rms": worst.update_rms,
        "weight_rms": worst.weight_rms,
        "kernels_affected": float(len(affected)),
        "significant_bits": float(SIGNIFICANT_BITS[worst.dtype]),
    }
    way = course(seen)
    if len(affected) <= MOST * len(found) or way.converged_at_start:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    spacing = 2.0 ** (math.floor(math.log2(worst.weight_rms)) + 1 - SIGNIFICANT_BITS[worst.dtype])
    return Finding(
        code=CODE,
        name=NAME,
        severity="note" if way.learned else "warning",
        message=f"{percent(evidence['lost_share'])} of the updates of {span(affected)} are lost to rounding",
        healthy=f"below {percent(MOST)}",
        layers=affected,
        evidence=evidence | way.evidence,
        why=(
            f"{worst.dtype} weights of {two_digits(worst.weight_rms)} lie {power(spacing)} apart, "
            f"the updates are {power(worst.update_rms)}"
        ),
        effect=way.words,
        note=(
            "the loss falls all the same"
            if way.learned
            else "weights in float32 hold such updates; half precision is then in the arithmetic alone"
        ),
    )


def _lost(seen: Observation, dtypes: dict[str, str]) -> list[Lost]:
    """Return what rounding takes from every hidden kernel of half precision whose step is known, in forward order."""
    zero = _zero_shares(seen)
    found: list[Lost] = []
    for name, steps in learning_times(seen).items():
        kernel = seen.network.layer(name).kernel
        if kernel is None or not math.isfinite(steps) or dtypes.get(name) not in HALF:
            continue
        weight = math.sqrt(kernel.second_moment)
        update = weight / steps / math.sqrt(max(1 - zero.get(name, 0.0), 1 / kernel.size))
        share = lost_share(weight, update, dtypes[name])
        if share is not None:
            found.append(Lost(name, dtypes[name], share, update, weight))
    return found


def _dtypes(seen: Observation) -> dict[str, str]:
    """Return the dtype of every kernel layer's largest array, by its name."""
    found: dict[str, str] = {}
    for layer in seen.network.kernels:
        own = [parameter for parameter in seen.network.parameters if parameter.layer == layer.name]
        if own:
            found[layer.name] = max(own, key=lambda parameter: parameter.size).dtype
    return found


def _zero_shares(seen: Observation) -> dict[str, float]:
    profile = at_start(seen).profile
    layers = () if profile is None else profile.layers
    return {layer.name: layer.gradient_zero_share for layer in layers if layer.gradient_zero_share is not None}
