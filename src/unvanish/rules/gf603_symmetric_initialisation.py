"""All units of a hidden layer start equal and stay equal: a layer of any width is one unit.

## What it measures

The number of different units of every hidden kernel: two count once when their incoming weights and bias are equal to
the bit. The rule looks at layers of two and more units that are all the same one, before the first step and after the
last one that was watched.

Equal units stay equal when they also get equal gradients, that is when every layer that reads them has equal weights
for each. A reader with random weights tells them apart at the first step, and so does a dropout in between. Before
the first step the rule calls a layer stuck only when all its readers have constant kernels too, and nothing random
lies in between; after it, when the units were moved and are still equal.

## Why it matters

Units that start equal and get the same gradient compute the same for ever: 64 of them have the capacity of 1. That is
what random weights are for, however small: the gradient is neither small nor zero here, and no other number shows it.

## Evidence

`distinct_units` of `units` in the first such layer, `distinct_units_later` at the last probe, `layers_symmetric`,
`step`.

An error; a warning where the loss falls clearly below chance all the same (one unit is enough for some tasks).
Undecided where units were not compared.

## Remedies

Any random initialiser with the activation's gain: He, Glorot, LeCun, orthogonal. Biases may be constant.

## When it is harmless

An output layer that starts at zero, a branch whose last kernel starts at zero (both are read by random weights or by
the loss, which tells their units apart); a fixed filter that is not trained.

## References

Rumelhart, Hinton & Williams 1986, *Learning internal representations by error propagation*, section "The symmetry
problem". Goodfellow, Bengio & Courville 2016, *Deep learning*, section 8.4. Zhao, Schaefer & Anandkumar 2022,
*ZerO initialization*, TMLR (constant weights that do break the symmetry).
"""

from __future__ import annotations

from unvanish.core.diagnosis import Clear, Finding, Undecided, Verdict
from unvanish.core.network import Layer
from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile
from unvanish.cures.initialisations import SHIPPED_GAIN
from unvanish.rules.course import course
from unvanish.rules.gradients import moving_kernels
from unvanish.rules.parts import hidden_activation
from unvanish.rules.paths import between, readers
from unvanish.rules.remedies import initialised
from unvanish.rules.words import short, span

CODE = "GF603"
NAME = "symmetric-initialisation"


def judge(seen: Observation) -> Verdict:
    """Judge the hidden kernels all of whose units are one."""
    hidden = [layer for layer in moving_kernels(seen) if _judged(seen, layer)]
    counts = {layer.name: _at_start(seen, layer) for layer in hidden}
    symmetric = [layer for layer in hidden if counts[layer.name] == 1]
    stuck = [layer for layer in symmetric if _stays(seen, layer)]
    if not hidden:
        return Clear(code=CODE, name=NAME, not_applicable="no hidden layer to compare units of")
    first = (stuck or symmetric or hidden)[0]
    if not stuck and any(count is None for count in counts.values()):
        return Undecided(code=CODE, name=NAME, reason="the units of the hidden layers were not compared")
    if not stuck and any(_unclear(seen, layer) for layer in symmetric):
        reason = (
            f"all units of {short(first.name)} start equal, and what reads them is not modelled: to be judged later"
        )
        return Undecided(code=CODE, name=NAME, reason=reason)
    later = _last(seen, first.name)
    known = {
        "distinct_units": counts[first.name],
        "distinct_units_later": None if later is None else later.distinct_units,
        "units": first.units,
        "layers_symmetric": len(stuck),
        "step": seen.profiles[-1].step,
    }
    evidence = {name: float(number) for name, number in known.items() if number is not None}
    return _finding(seen, stuck, evidence) if stuck else Clear(code=CODE, name=NAME, evidence=evidence)


def _finding(seen: Observation, stuck: list[Layer], evidence: dict[str, float]) -> Finding:
    way, several = course(seen), len(stuck) > 1
    _, initializer = SHIPPED_GAIN.get(hidden_activation(seen) or "", (0.0, "glorot_uniform"))
    return Finding(
        code=CODE,
        name=NAME,
        severity="warning" if way.learned else "error",
        verdict=None if way.learned else "blocked",
        message=f"all units of {span([layer.name for layer in stuck])} are equal: {'each' if several else 'it'} "
        "works as a single unit",
        healthy="as many different units as there are",
        layers=tuple(layer.name for layer in stuck),
        evidence=evidence | way.evidence,
        why="units with equal weights on both sides get equal gradients, and stay equal whatever the training does",
        effect=way.words,
        note="one unit is enough for what was learnt so far" if way.learned else "",
        cures=(initialised(seen, initializer),),
    )


def _judged(seen: Observation, layer: Layer) -> bool:
    return layer.kind in ("dense", "conv") and (layer.units or 0) > 1 and layer.name not in seen.network.outputs


def _at_start(seen: Observation, layer: Layer) -> int | None:
    if layer.distinct_units is not None:
        return layer.distinct_units
    probed = next((p.distinct_units for p in seen.profiles[0].layers if p.name == layer.name), None)
    constant = layer.kernel is not None and layer.kernel.variance == 0 and (not layer.bias or layer.bias.variance == 0)
    return 1 if probed is None and constant else probed


def _last(seen: Observation, name: str) -> LayerProfile | None:
    if seen.profiles[-1].step == 0:
        return None
    return next((layer for layer in seen.profiles[-1].layers if layer.name == name), None)


def _stays(seen: Observation, layer: Layer) -> bool:
    """Say whether the units were moved and are still equal; before that, whether nothing can tell them apart."""
    later = _last(seen, layer.name)
    if later is not None and later.distinct_units is not None:
        return later.distinct_units == 1 and bool(later.gradient_norm)  # where it is zero nothing moves: GF502
    nearest = readers(seen.network, layer.name)
    random = any(found.kind == "dropout" for found in between(seen.network, layer.name))
    constant = [reader.kernel is not None and reader.kernel.variance == 0 for reader in nearest]
    return bool(constant) and all(constant) and not random


def _unclear(seen: Observation, layer: Layer) -> bool:
    """Say whether nothing was seen of the units after a step, and a reader's weights are not known."""
    later = _last(seen, layer.name)
    unseen = later is None or later.distinct_units is None
    return unseen and any(reader.kernel is None for reader in readers(seen.network, layer.name))
