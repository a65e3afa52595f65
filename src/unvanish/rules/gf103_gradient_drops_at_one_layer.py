"""The gradient is lost at one place: a single layer passes far less of it than its neighbours do.

## What it measures

The norm of the pre-activation gradient at every layer with a kernel, before the first step, in training mode. From
one kernel to the one before it the norm changes by a factor; the rule compares each factor with the median of all
of them. It fires when one falls short by more than 1.5 decades, when what lies towards the input stays that low (a
branch beside a shortcut may carry little and lose nothing), and when the kernels' gradient RMS drops at the same
place too (a change of width or a pooling alters one of the two measures, not both).

## Why it matters

One saturated layer, one kernel drawn far too small or one activation that is flat where its input lies cuts off all
layers before it, while the slope over the whole depth, a robust one, still looks healthy. The cure is local too:
the rest of the network is fine.

## Evidence

`drop_decades` (beyond the typical factor), `transmission` at that place and `typical_transmission` elsewhere,
`depth`, the `saturated_share` of the layer that receives too little and the `gain` of the kernel above it. The
finding names both layers.

An error, or a warning when the loss fell clearly below chance all the same.

## Remedies

Scale the inputs where the first layer is saturated by their size; draw the one kernel anew, with the initialiser of
its neighbours, or scale it by what one batch shows (LSUV); exchange the one activation.

## When it is harmless

Beside a shortcut; at a layer that is frozen on purpose, together with everything before it; at a gate or an
attention mask that is shut at the start and opens. Kernels that only decide where an attention looks (queries, keys,
routers) have a small gradient by design and are not counted. A loss that falls anyway makes it a warning.

## References

Glorot & Bengio 2010, AISTATS, section 3.1 (one saturated layer). Mishkin & Matas 2016, *All you need is a good
init*, ICLR (LSUV). LeCun et al. 1998, *Efficient backprop*, sections 4.3 to 4.6 (input scale).
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile
from unvanish.rules.addressing import addressing
from unvanish.rules.course import course
from unvanish.rules.gradients import at_start, moving_kernels
from unvanish.rules.remedies import against_large_inputs, data_driven
from unvanish.rules.signal import LARGE_INPUT
from unvanish.rules.words import percent, short, times
from unvanish.theory.bands import DECADES

CODE = "GF103"
NAME = "gradient-drops-at-one-layer"
LIMIT_DECADES = DECADES
"""The limit of the whole depth (GF101), lost at one place."""
BOTH_DECADES = LIMIT_DECADES / 2
"""Half of it must show in the kernels' gradients as well."""
FEWEST = 4
"""Kernels, so that a factor has at least two others to be compared with."""


class Drop(NamedTuple):
    """Hold the place where most is lost. Decades are towards the input: positive is lost."""

    place: int
    """Among the measured kernels, of the layer that received too little."""
    excess: float
    typical: float
    own: float


def judge(seen: Observation) -> Verdict:
    """Judge the largest drop between two neighbouring kernels."""
    aside = addressing(seen.network)
    kernels = [kernel for kernel in moving_kernels(seen) if kernel.name not in aside]
    if len(kernels) < FEWEST:
        return Clear(code=CODE, name=NAME, not_applicable=f"fewer than {FEWEST} kernels that training may move")
    start = at_start(seen)
    if start.premature:
        return Undecided(
            code=CODE, name=NAME, reason="the output kernel starts constant: to be judged after a few steps"
        )
    if start.profile is None and _level(list(start.rms.values())[:-1]):
        return Clear(code=CODE, name=NAME)  # a drop would show in the kernels' gradients too; the output's is ahead yet
    profile = seen.profiles[0] if start.step == 0 else seen.profiles[-1]
    layers = [layer for kernel in kernels if (layer := _measured(profile.layers, kernel.name)) is not None]
    if len(layers) < FEWEST:
        reason = f"only {len(layers)} of {len(kernels)} kernels have a gradient to compare"
        return Undecided(code=CODE, name=NAME, reason=reason)
    drop = largest_drop([math.log10(layer.preactivation_gradient_norm or 1.0) for layer in layers])
    evidence = {
        "drop_decades": drop.excess,
        "transmission": 10**-drop.own,
        "typical_transmission": 10**-drop.typical,
        "depth": float(len(seen.network.kernels)),
    }
    if drop.excess <= LIMIT_DECADES or _kernel_drop(layers, drop) < BOTH_DECADES:
        return Clear(code=CODE, name=NAME, evidence=evidence)
    return _finding(seen, layers[drop.place], layers[drop.place + 1], drop, evidence)


def largest_drop(log10: list[float]) -> Drop:
    """Return the place where most is lost for good, from log10 norms in forward order (at least two)."""
    lost = [after - before for before, after in pairwise(log10)]
    typical = median(lost)
    best = Drop(0, -math.inf, typical, lost[0])
    for i, own in enumerate(lost):
        level = [value - typical * place for place, value in enumerate(log10)]
        lasting = median(level[i + 1 :]) - median(level[: i + 1])
        excess = min(own - typical, lasting)
        best = max(best, Drop(i, excess, typical, own), key=lambda drop: drop.excess)
    return best


def _level(rms: list[float]) -> bool:
    """Say whether no kernel's gradient lies far enough below the next one's to be a drop."""
    if len(rms) < FEWEST or not all(r > 0 and math.isfinite(r) for r in rms):
        return False
    lost = [math.log10(after / before) for before, after in pairwise(rms)]
    return max(lost) - median(lost) < BOTH_DECADES


def _measured(layers: tuple[LayerProfile, ...], name: str) -> LayerProfile | None:
    """Return the layer's profile when both of its gradients were measured and are above zero."""
    for layer in layers:
        if layer.name == name:
            norms = (layer.preactivation_gradient_norm, layer.gradient_rms)
            return layer if all(n is not None and n > 0 and math.isfinite(n) for n in norms) else None
    return None


def _kernel_drop(layers: list[LayerProfile], drop: Drop) -> float:
    rms = [math.log10(layer.gradient_rms or 1.0) for layer in layers]
    lost = [after - before for before, after in pairwise(rms)]
    return lost[drop.place] - median(lost)


def _finding(
    seen: Observation, below: LayerProfile, above: LayerProfile, drop: Drop, evidence: dict[str, float]
) -> Finding:
    """Return the finding; `below` receives too little, through the kernel of `above`."""
    way, passing = course(seen), seen.network.layer(above.name)
    why = ""
    if below.saturated_share is not None:
        evidence |= {"saturated_share": below.saturated_share}
        why = f"{percent(below.saturated_share)} of the activations of {short(below.name)} are saturated"
    if passing.kernel is not None and passing.fan_in:
        gain = math.sqrt(passing.fan_in * passing.kernel.second_moment)
        evidence |= {"gain": gain}
        why += f"{'; ' if why else ''}the kernel of {short(above.name)} has gain {gain:.2g}"
    q0 = seen.data.input_second_moment
    first = below.name == seen.network.kernels[0].name
    scale = (against_large_inputs(),) if first and q0 is not None and q0 > LARGE_INPUT else ()
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if way.learned else "error",
        verdict=None if way.learned else "vanishing",
        message=f"the gradient drops {times(10**drop.own)} between {short(above.name)} and {short(below.name)}",
        healthy=f"about {times(10**drop.typical)} per layer, as elsewhere in this network",
        layers=(below.name, above.name),
        evidence=evidence | way.evidence,
        why=why,
        effect=way.words,
        cures=(*scale, data_driven(seen)),
    )
