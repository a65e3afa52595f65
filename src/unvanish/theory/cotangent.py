"""The backward signal: squared cotangents dL/dh, from the loss to the input (Schoenholz et al. 2017, section 4).

Totals are kept over all units (and places) of one sample, so that a kernel passes |dL/dx|^2 = n_in Var(w) |dL/du|^2,
dense and convolution alike, as logarithms, since a thousand layers of 0.25 are beyond any float.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from unvanish.theory.axis import Axis
from unvanish.theory.draws import Draws, mean
from unvanish.theory.normalised_units import NormalisedUnits
from unvanish.theory.profile import mixed
from unvanish.theory.signal import Signal, merged_noise
from unvanish.theory.sizes import Gathered
from unvanish.theory.trunk import Trunk, through_block

Array = NDArray[np.float64]


class Cotangent(Struct, frozen=True, gc=False):
    """Hold dL/dh of one layer's output. Draws: for each value of the loss end's batch-mean residual."""

    log: Draws
    """ln of E |dL/dh|^2 of one sample, in units of the loss end's."""
    alike: Draws
    """|sum over samples|^2 / sum of |one|^2: 1 if independent, the batch size if equal, 0 below a batch norm."""
    pairs: float = 0.0
    """By how much two samples' product, over |dL/dh|^2, grows with their relative k (theory.fluctuation)."""
    places: float = 1.0
    """The same over the places of a convolution's output, of what is summed over samples."""
    within: float = 1.0
    """The same over the places of each sample by itself."""
    profile: tuple[Axis | None, ...] | None = None
    """How |dL/dh|^2 is spread over places (theory.profile)."""
    together: float = 1.0
    """The same over the units of one sample."""
    noise: float = 0.0
    """Variance of `log` from one initialisation to the next, because of what happens on the way back."""
    single: float = 0.0
    """Share of |dL/dh|^2 that goes with the square of one random number: what a residual trunk gathered along h, or a
    kernel with a mean from the sum over its units."""
    degrees: int = 1
    """Outputs of the network, each of which draws its own such number."""
    common: float = 1.0
    """Mean squared cosine between two samples' dL/dh, whatever its sign: 1 when they differ by a factor only."""
    response: float = 0.0
    """d ln(|dL/dW|^2 / |dL/dW_out|^2) / d ln q, with q the second moment of this output."""
    echo: float = 0.0
    """Variance of the same logarithm because of what happened to the signal on the way forward, above this."""
    onto: float = 1.0
    """n (dL/dh . h)^2 / (|dL/dh| |h|)^2: 1 where it knows nothing of h; more below a softmax, whose p follows W h."""
    trunk: Trunk | None = None
    """The cotangent of the last add on the way here; None when there was none."""
    at_trunk: bool = False
    """Whether nothing lies between that add and this."""
    branch: float = 1.0
    """What the signal is multiplied by on the way to that add."""
    pull: float = 0.0
    """c of trunk: what a branch that ends in an activation hands on in step; at that activation's input c / gain."""
    follows: float = 0.0
    """rho of trunk."""
    bent: float = 0.0
    """|sum over units of dL/df E f' z|^2 / |dL/du|^2, beyond that of independent units."""
    along: float = 1.0
    """n times the share of dL/dh along h that a normalisation whose output is h takes out, its units independent."""
    level: float = 0.0
    """What it is more over a batch, whose cotangents add up."""
    in_step: float = 0.0
    """What it is more over the places of one sample."""
    over_batch: NormalisedUnits | None = None
    """Of a batch normalisation that this is the input of, when an activation made that input."""
    over_units: NormalisedUnits | None = None
    """The same of a layer normalisation."""
    gathered: Gathered | None = None
    """How it is shared among the samples of a batch; None where equally."""
    one_place: bool = False
    """Whether only one of the places of h is read, as the last step of a sequence."""
    chosen: Signal | None = None
    """The pre-activation where a maximum pool has taken its input's largest values: only there is a cotangent."""


def merged(parts: Sequence[Cotangent], h: Signal, units: int) -> Cotangent:
    """Return the sum of the cotangents of all layers that read one output h of so many units.

    They are uncorrelated but for what the branches of a residual network pull in step (trunk).
    """
    if len(parts) == 1:
        return parts[0]
    felt = [part for part in parts if is_felt(part)]
    if len(felt) < len(parts):
        return merged(felt or parts[:1], h, units)
    logs = [part.log.array for part in parts]
    log = logs[0]
    for other in logs[1:]:
        log = np.logaddexp(log, other)
    shares = [_share(own, log, len(parts)) for own in logs]
    weights = [mean(share) for share in shares]
    alike = [share * part.alike.array for share, part in zip(shares, parts, strict=True)]

    def over_parts(numbers: list[float]) -> float:
        return math.fsum([share * number for share, number in zip(weights, numbers, strict=True)])

    together, single = over_parts([part.together for part in parts]), over_parts([part.single for part in parts])
    trunk, whole = parts[0].trunk, Draws(log)
    if trunk is not None and all(part.trunk is trunk for part in parts) and 0 < h.second < math.inf:
        pull, follows = sum([part.pull for part in parts]), max([part.follows for part in parts])
        trunk = through_block(trunk, pull, follows, log, units, h)
        whole = trunk.log
        gain = max(mean(np.expm1(whole.array - log)), 0.0)
        together, single = trunk.sums, (single + gain) / (1 + gain)
    return Cotangent(
        log=whole,
        alike=Draws(sum(alike[1:], alike[0])),
        pairs=over_parts([part.pairs for part in parts]),
        places=_together(parts, alike),
        within=over_parts([part.within for part in parts]),
        profile=mixed([(share, part.profile) for share, part in zip(weights, parts, strict=True)]),
        together=together,
        noise=merged_noise([(share, part.noise) for share, part in zip(weights, parts, strict=True)]),
        single=single,
        degrees=max([part.degrees for part in parts]),
        common=over_parts([part.common for part in parts]),
        response=sum([part.response for part in parts]),
        echo=merged_noise([(1.0, part.echo) for part in parts]),
        trunk=trunk,
    )


def is_felt(d: Cotangent) -> bool:
    """Say whether it is more than nothing, for some value of the loss end."""
    return d.log.mean > -math.inf or bool(np.any(d.log.array > -np.inf))


def _share(own: Array, whole: Array, parts: int) -> Array:
    """Return exp(own - whole), draw by draw; where no part has anything, all have the same."""
    if math.isfinite(mean(whole)):
        return np.asarray(np.exp(own - whole))
    with np.errstate(invalid="ignore"):
        return np.where(whole > -np.inf, np.exp(own - whole), 1 / parts)


def _together(parts: Sequence[Cotangent], alike: list[Array]) -> float:
    """Return `places` of a sum: the mean over its parts, each weighted by how much of it adds up over samples.

    alike: that of each part, times its share.
    """
    if all(part.places == 1 for part in parts):
        return 1.0
    weights = [mean(own) for own in alike]
    total = math.fsum(weights)
    return math.fsum(w * part.places for w, part in zip(weights, parts, strict=True)) / total if total > 0 else 1.0


def branching(d: Cotangent, h: Signal) -> Cotangent:
    """Return the cotangent of a sum h as it is handed on to the summands, which may meet again."""
    known = d.trunk is not None and d.trunk.log is d.log
    trunk = d.trunk if known else Trunk.at(d.log, d.together, d.onto, h)
    return replace(d, trunk=trunk, at_trunk=True, onto=1.0, branch=1.0, pull=0.0, follows=0.0)


def behind_norm(d: Cotangent, units: NormalisedUnits | None, *, together: float) -> Cotangent:
    """Return the cotangent of what a normalisation over units reads: what d knew of the signal is taken out of it.

    units: where an activation made the normalised signal. together: of the units of one sample.
    """
    return replace(
        d,
        together=together,
        response=-1.0,
        onto=1.0,
        at_trunk=False,
        pull=0.0,
        follows=0.0,
        bent=0.0,
        along=1.0,
        level=0.0,
        in_step=0.0,
        over_batch=None,
        over_units=units,
    )


def scaled(d: Cotangent, factor: float) -> Cotangent:
    """Return the cotangent with its square multiplied by the factor."""
    return replace(d, log=d.log.plus(ln(factor)))


def nothing(d: Cotangent) -> Cotangent:
    """Return the cotangent with a square of 0."""
    return replace(d, log=Draws(np.full_like(d.log.fixed, -np.inf)))


def ln(x: float) -> float:
    """Return the natural logarithm; -inf of zero, nan of what has none."""
    return math.log(x) if x > 0 else (-math.inf if x == 0 else math.nan)
