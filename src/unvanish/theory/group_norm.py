"""Group normalisation: mean and variance over the places and channels of a group (Wu & He 2018); one channel: instance.

Within a group of m channels, N entries, most pairs are of two channels, which only have the mean over units in common;
a share of about 1/m are two places of one channel. So the variance in a group is that of the units less 1/m of what
places share, its mean takes 1/m of that out of k of two places and of two samples, and the backward pass takes 1/m of
what adds up over places out of the cotangent. Entries that places share are no free ones: with c their correlation,
there are N / (1 + (P - 1) c^2); and a cotangent that adds up over places has more of it along such a signal (derived).
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from unvanish.core.network import Layer
from unvanish.theory.backward import inverse
from unvanish.theory.cotangent import Cotangent, behind_norm, nothing, scaled
from unvanish.theory.draws import Draws
from unvanish.theory.geometry import places
from unvanish.theory.signal import Signal, affine, units_of


def entries(layer: Layer) -> tuple[int, int]:
    """Return (channels, places) of one group."""
    channels = layer.units or 1
    return max(channels // (layer.groups or 1), 1), places(layer)


def through_group_norm(h: Signal, layer: Layer) -> Signal:
    """Return (h - mean) / sd over each group, scaled and shifted; its places (across) are told apart as h's are."""
    scale, shift = affine(layer)
    n = math.prod(entries(layer))
    variance = _spread(h, layer).spread * (1 - 1 / n)
    below = variance + (layer.epsilon or 0.0)
    factor = scale.second_moment / below if below > 0 else 0.0
    across = None if h.across is None else h.across * factor
    return Signal(
        shift.mean,
        variance * factor + shift.variance,
        h.spread * (1 - 1 / n) * factor,
        across=across,
        within=_free(h, layer),
        pairs=h.pairs,
    )


def back_through_group_norm(d: Cotangent, h: Signal, layer: Layer) -> Cotangent:
    """Return dL/dh: less its mean over each group and its part along the output, divided by the group's sd."""
    scale, _ = affine(layer)
    channels, count = entries(layer)
    n, epsilon = channels * count, layer.epsilon or 0.0
    mean = _spread(h, layer)
    common, free = _common(h, mean, channels), _free(h, layer)
    units = units_of(mean, epsilon, free) if h.made_by is not None else None
    factor = units.passed if units is not None else inverse(mean.spread, epsilon, d.along, free)
    in_step = d.in_step + max(d.within - 1 - d.in_step, 0.0) * common
    along = (in_step + 1 / max(layer.groups or 1, 1)) / n  # W^T dL/du has no part along x either, once for all groups
    left = 1 - d.within * d.together / n - along
    if n <= 1 or left <= 1e-9:
        return nothing(d)
    kept = max(d.within * (1 - 1 / channels) - along * (1 + (count - 1) * common), 0.0) / left
    at_places = max(1 - d.places / n - along, 1 / n)
    several = count > 1
    d = replace(
        scaled(d, scale.second_moment * factor * left),
        alike=Draws(d.alike.array * at_places / left),
        places=d.places * kept / d.within * left / at_places if several and d.within > 0 else 1.0,
        within=kept if several else 1.0,
    )
    return behind_norm(d, units, together=d.together if several else 0.0)


def _spread(h: Signal, layer: Layer) -> Signal:
    """Return the signal with the mean pair of entries of one group in place of two samples."""
    channels, count = entries(layer)
    share = (count - 1) / max(channels * count - 1, 1)
    made_by = h.made_by
    if made_by is not None:
        made_by = (made_by[0], made_by[1], _spread(made_by[2], layer))
    within = h.spread if h.across is None else h.across
    return replace(h, spread=share * within + (1 - share) * h.variance, across=None, made_by=made_by)


def _free(h: Signal, layer: Layer) -> float:
    """Return how many free entries a group is worth; two at least, which a variance needs."""
    channels, count = entries(layer)
    common = _common(h, _spread(h, layer), channels)
    return max(channels * count / (1 + (count - 1) * common * common), 2.0)


def _common(h: Signal, mean: Signal, channels: int) -> float:
    """Return the correlation of two places of the normalised signal; mean: _spread of h."""
    if h.across is None or not mean.spread > 0:
        return 0.0
    return min(max((h.variance - h.across) * (1 - 1 / channels) / mean.spread, 0.0), 1.0)
