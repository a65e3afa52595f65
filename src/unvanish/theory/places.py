"""Two places of a convolution's output: how alike the signal is there, and which of their gradients add up (derived).

Two samples at one place are as alike as their inputs were. Two places see other parts of the input, and zero padding
cuts other taps off: k_p = E h(p) h(p') of two places falls by the share of taps that are inside for both, layer after
layer, while k of two samples does not. Two places of one sample are taken to be as alike as those of two samples.
"""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from unvanish.core.network import Layer
from unvanish.theory.cotangent import Cotangent
from unvanish.theory.draws import Array, Draws, mean
from unvanish.theory.geometry import places
from unvanish.theory.profile import near
from unvanish.theory.signal import Signal


def has_places(layer: Layer) -> bool:
    """Say whether the layer's output lies at more than one place."""
    return places(layer) > 1


def reads_one(layer: Layer, source: Layer) -> bool:
    """Say whether a layer reads one place of its source only: it has none itself, and does not take them together."""
    if layer.kind in ("flatten", "pool", "recurrent"):
        return False
    return has_places(source) and not has_places(layer)


def apart(h: Signal, shared: float = 1.0) -> float:
    """Return the spread of two places, as a kernel sees it.

    shared: of the taps that are inside at one place, the share that is so at another one too.
    """
    second = h.second
    return second - shared * (second - (h.spread if h.across is None else h.across))


def between(h: Signal) -> Signal:
    """Return the signal with two places in place of two samples."""
    return replace(h, spread=apart(h), across=None)


def told_apart(leaving: Signal, before: Signal, other: Signal) -> Signal:
    """Return a layer's output with what became of two places: `before` and `other`, its own for them."""
    made_by = leaving.made_by
    if made_by is not None:
        made_by = (made_by[0], made_by[1], replace(made_by[2], across=before.spread))
    return replace(leaving, across=other.spread, made_by=made_by)


def in_window(h: Signal, after: tuple[int, ...]) -> Signal:
    """Return the signal as a pool sees it: its places are those of one window. after: places of the pool's output."""
    if h.across is None:
        return h
    common = min(near(h.profile, after) * (h.second - h.across), h.second)
    made_by = h.made_by
    if made_by is not None:
        made_by = (made_by[0], made_by[1], in_window(made_by[2], after))
    return replace(h, across=h.second - common, made_by=made_by)


def behind_pool(leaving: Signal, h: Signal, layer: Layer) -> Signal:
    """Return a mean pool's output with what two windows have in common, which is what two places had."""
    if h.across is None or not has_places(layer):
        return leaving
    return replace(leaving, across=leaving.second - (h.second - h.across))


def over_all(h: Signal, layer: Layer, batch_size: int) -> Signal:
    """Return the signal with the mean pair of instances (sample and place) in place of two samples."""
    if h.across is None:
        return h
    count = places(layer)
    apart = ((batch_size - 1) * h.spread + batch_size * (count - 1) * h.across) / max(batch_size * count - 1, 1)
    made_by = h.made_by
    if made_by is not None:
        made_by = (made_by[0], made_by[1], over_all(made_by[2], layer, batch_size))
    return replace(h, spread=apart, across=None, made_by=made_by)


def normalised(leaving: Signal, h: Signal, mean: Signal) -> Signal:
    """Return what a batch normalisation made of the mean pair, told apart again.

    leaving: its output for `mean`, which is over_all(h).
    """
    if h.across is None or not mean.spread > 0:
        return leaving
    factor = leaving.spread / mean.spread
    return replace(leaving, spread=h.spread * factor, across=h.across * factor)


def left_by_batch_norm(d: Cotangent, layer: Layer, left: Array) -> tuple[Draws, float]:
    """Return (alike, places) below a batch normalisation: nothing of the sum over all instances, of one place's some.

    left: share of |d|^2 that is not in that sum.
    """
    count = places(layer)
    with np.errstate(divide="ignore", invalid="ignore"):
        alike = np.where(left > 0, d.alike.array * (1 - d.places / count) / left, 0.0)
    return Draws(np.maximum(alike, 0.0)), 0.0


def left_within(d: Cotangent, layer: Layer, left: Array) -> float:
    """Return `within` below a batch normalisation, which takes the mean over samples out of each sample's sum."""
    count, kept = places(layer), mean(left)
    return max(d.within - (1 - kept) * count, 0.0) / kept if count > 1 and kept > 0 else 1.0


def kept_places(d: Cotangent, alike: Draws, kept: float) -> float:
    """Return `places` behind an activation that keeps `kept` of the product of two places; alike: behind it."""
    if d.places == 1:
        return 1.0
    before, after = d.alike.mean, alike.mean
    return 1 + before * (d.places - 1) * kept / after if after > 0 else 1.0


def in_common(h: Signal, places: float, shared: float = 1.0) -> float:
    """Return c of the sum of <d, d'> <h, h'> over all pairs of instances, spread + alike * c times that of one |d|^2.

    places: of the cotangent d at the kernel's output, as `alike` is. h: the kernel's input.
    """
    within = h.spread if h.across is None else h.across
    return h.second - h.spread + (places - 1) * shared * (h.second - within)
