"""How E h(p) h(p') of two places p and p' of a convolution varies over them, and the same of a cotangent (derived).

Zero padding takes from the border first: with every layer less signal is left there, and less gradient, so that a
further layer loses less than it would of a uniform one: a random walk with absorbing ends, which two places take in
step. A profile has one matrix (p, p') an axis, its diagonal (q of one place) of mean 1; the axes are taken to multiply,
which for linear layers they do. None stands for a uniform profile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from unvanish.core.network import Layer
from unvanish.theory import axis as along_axis
from unvanish.theory.axis import SETTLED, Axis, Reached
from unvanish.theory.geometry import Windows, places, space
from unvanish.theory.signal import Profile, Signal, moments_of, weights_moments
from unvanish.theory.way_back import Slopes, scattered_over

Array = NDArray[np.float64]
Bends = tuple[float, float]
"""Exponents by which q, and c of a pair of places, are to be taken."""


class Taps(Struct, frozen=True, eq=False, gc=False):
    """Hold what a convolution's taps find of its input."""

    axes: tuple[Windows, ...] = ()
    """None where shapes do not fit."""
    found: tuple[Reached, ...] = ()
    """Along each of them."""
    profile: Profile = None
    """Of the sums over taps."""
    inside: float = 1.0
    """Share of the signal under them that is not lost to padding."""
    shared: float = 1.0
    """Of that, the share that two places have by the same tap."""
    alike: float = 1.0
    """What two places of the input have in common, in units of what one has."""


class HandedBack(Struct, frozen=True, eq=False, gc=False):
    """Hold what a convolution's taps do to a cotangent, and its profile below."""

    taken: tuple[float, float] = (1.0, 1.0)
    """The two shares of Taps, for a uniform signal."""
    overlap: tuple[float, float] = (1.0, 1.0)
    """The same of the signal that they find, where the cotangent is: of the kernel's gradient."""
    profile: Profile = None


NO_TAPS, NOTHING_HANDED_BACK = Taps(), HandedBack()


def taps(axes: tuple[Windows, ...], h: Profile, before: Profile) -> Taps:
    """Return what a kernel's taps find of its input.

    h: of the input. before: of the pre-activation that this is made from.
    """
    return _taps(axes, h, before) if h is None else _taps_again(axes, h, before)


@lru_cache(maxsize=SETTLED)
def _taps_again(axes: tuple[Windows, ...], h: tuple[Axis | None, ...], before: Profile) -> Taps:
    """Return the same, of a profile that belongs to one forecast: no two, which may run at once, share an axis."""
    return _taps(axes, h, before)


def _taps(axes: tuple[Windows, ...], h: Profile, before: Profile) -> Taps:
    if not axes:
        return NO_TAPS
    found = along_axis.each(along_axis.gathered, axes, _of(h, axes), _of(before, axes))
    own = None if h is None and all(axis.whole for axis in axes) else tuple([axis.profile for axis in found])
    one = two = every = 1.0
    for along in found:
        one, two, every = one * along.share, two * along.shared, every * along.alike
    inner, outer = _places(axes)
    alike = (every * inner - 1) / (inner - 1) if inner > 1 else 1.0
    return Taps(axes, found, own, one, _of_two(one, two, alike, outer), alike)


@lru_cache(maxsize=SETTLED)
def handed_back(at: Taps, d: Profile, before: Profile) -> HandedBack:
    """Return what a kernel does to a cotangent of profile d.

    before: of the cotangent that this is made from. A sum over taps is the same, whichever of its two ends it is taken
    at.
    """
    axes, found = at.axes, at.found
    if not axes:
        return NOTHING_HANDED_BACK
    scattered = along_axis.each(along_axis.scattered, found, _of(d, found), _of(before, found))
    one = two = same = every = alike = 1.0
    for along in scattered:
        one, two, alike = one * along.share, two * along.shared, alike * along.alike
        same, every = same * along.same, every * along.every
    inner, outer = _places(axes)
    alike = (alike * outer - 1) / (outer - 1) if outer > 1 else 1.0
    taken, overlap = _of_two(one, two, alike, outer), _of_two(same, every, at.alike * alike, outer)
    uniform = min(inner, outer) < 2 or (d is None and all(axis.whole and axis.after == axis.before for axis in axes))
    below = None if uniform else tuple([along.profile for along in scattered])
    return HandedBack((one, taken), (same, overlap), below)


class Passed(NamedTuple):
    """Hold what the way back needs of a convolution in a run."""

    taps: Taps
    spread: Profile
    """Of the pre-activation."""
    bends: Bends | None
    """None where there is no activation."""


@lru_cache(maxsize=256)  # layers of one geometry are many
def can_be_run_through(axes: tuple[Windows, ...]) -> bool:
    """Say whether layers of this geometry that follow each other are gone back through together."""
    alike = all(axis.before == axis.after and along_axis.is_small(axis) for axis in axes)
    return alike and min(_places(axes)) > 1 and not all(axis.whole for axis in axes)


def handed_back_over(run: Sequence[Passed], d: Profile) -> list[HandedBack]:
    """Return handed_back for a run: layers of one geometry, of which each is all that reads the next.

    run: from the one nearest to the loss on. d: behind the slopes of the first; its own bends are not asked for. Only
    what the last hands back has a profile.
    """
    axes = run[0].taps.axes
    outer, known = _places(axes)[1], {}
    one = two = same = every = alike = np.ones(len(run))
    below: list[Axis] = []
    for i, along in enumerate(zip(run[0].taps.found, _of(d, axes), strict=True)):
        if along not in known:
            of = along[1] or along_axis.uniform(along[0].windows.after)
            known[along] = scattered_over([_step(layer, i) for layer in run], of)
        totals, axis = known[along]
        one, two, alike = one * totals.share, two * totals.shared, alike * totals.alike
        same, every = same * totals.same, every * totals.every
        below.append(axis)
    alike = (alike * outer - 1) / (outer - 1)
    taken = _of_all_two(one, two, alike, outer)
    overlap = _of_all_two(same, every, alike * np.array([layer.taps.alike for layer in run]), outer)
    found = [
        HandedBack((share, of_two), (product, of_product))
        for share, of_two, product, of_product in zip(one.tolist(), taken, same.tolist(), overlap, strict=True)
    ]
    found[-1] = replace(found[-1], profile=tuple(below))
    return found


def _step(layer: Passed, i: int) -> tuple[Reached, Slopes | None]:
    """Return what the way back along axis i needs of a layer."""
    own = None if layer.spread is None else layer.spread[i]
    if layer.bends is None or own is None:
        return layer.taps.found[i], None
    one, pair = layer.bends
    return layer.taps.found[i], (own, one, pair) if math.isfinite(one) and math.isfinite(pair) else (own, 1.0, 1.0)


@lru_cache(maxsize=256)  # layers of one geometry are many
def _places(axes: tuple[Windows, ...]) -> tuple[int, int]:
    """Return how many places the input has, and how many windows there are."""
    return math.prod([axis.before for axis in axes]), math.prod([axis.after for axis in axes])


def _of_two(one: float, two: float, given: float, count: int) -> float:
    """Return what is passed of two places, over that of one, from means over all pairs; given: of what came in."""
    if not given * one > 0:
        return 1.0
    return ((two * count - one) / (count - 1) if count > 1 else one) / (given * one)


def _of_all_two(one: Array, two: Array, given: Array, count: int) -> list[float]:
    """Return the same of each layer."""
    whole = given * one
    with np.errstate(divide="ignore", invalid="ignore"):
        passed = ((two * count - one) / (count - 1) if count > 1 else one) / whole
    found: list[float] = np.where(whole > 0, passed, 1.0).tolist()
    return found


def through(layer: Layer, sources: Sequence[tuple[Layer, Signal]], leaving: Signal) -> Profile:
    """Return the profile of a layer's output, which does not hold it yet."""
    if not sources or places(layer) < 2:
        return None
    source, h = sources[0]
    match layer.kind:
        case "layer_norm" | "rms_norm":
            return _evened(h.profile, h.profile)
        case "add":
            return mixed([(h.second / leaving.second if leaving.second > 0 else 0.0, h.profile) for _, h in sources])
        case "pool":
            return _over(h.profile, space(layer), along_axis.pooled)
    return h.profile if space(source) == space(layer) else None


def through_units(
    layer: Layer, source: Layer | None, h: Profile, found: Taps, u: Signal
) -> tuple[Profile, Profile, Bends]:
    """Return the profiles of a layer's pre-activation u, which does not hold it yet, and of its output.

    found: of a convolution's input. The last are the exponents of the way back (behind_activation).
    """
    if source is None or places(layer) < 2:
        return None, None, (0.0, 0.0)
    match layer.kind:
        case "conv":
            own = found.profile
            if own is not None and (share := _share_of_kernel(layer, u)) != 1:
                own = mixed([(share, own), (1 - share, None)])
        case "activation":
            own = h
        case _:
            own = h if space(source) == space(layer) else None
    if own is None or layer.activation in ("linear", "softmax", "other"):
        return own, own, (0.0, 0.0)
    forward, back = _bends(u, layer)
    return own, own if layer.kind == "dense" else _bent(own, *forward), back


def near(h: Profile, after: tuple[int, ...]) -> float:
    """Return by which factor two places of one window of a pool have more in common than any two.

    after: places of the pool's output; () where it leaves none.
    """
    return 1.0 if h is None else math.prod(along_axis.in_window(v, n) for v, n in zip(h, after, strict=False))


def back(layer: Layer, source: Layer | None, h: Signal, d: Profile) -> Profile:
    """Return the profile of the cotangent at a layer's input h, from that at its output; not of a convolution."""
    if source is None or places(source) < 2 or places(layer) < 2:
        return None
    match layer.kind:
        case "layer_norm" | "rms_norm":
            return _evened(d, h.profile)
        case "pool":
            return _over(d, space(source), along_axis.repeated)
    return d


def behind_activation(d: Profile, own: Profile, bends: Bends) -> Profile:
    """Return the profile of dL/du = f'(u) dL/df, with d ln E f'^2 / d ln q = (E f'^2 z^2 / E f'^2 - 1) / 2.

    own: the profile of u. bends: as of `through_units`.
    """
    return d if own is None else _bent(own, *bends, d)


def mixed(parts: Sequence[tuple[float, Profile]]) -> Profile:
    """Return the profile of a sum, from each part's share and profile."""
    known = [profile for _, profile in parts if profile is not None]
    if not known or len({tuple(0 if v is None else v.places for v in profile) for profile in known}) > 1:
        return None
    shares, every = [share for share, _ in parts], [_of(profile, known[0]) for _, profile in parts]
    return along_axis.each(lambda *axes: along_axis.mixed(shares, axes), *every)


def _of(profile: Profile, axes: Sequence[object]) -> tuple[Axis | None, ...]:
    """Return the profile along each of the axes; uniform where it is not one of as many."""
    return profile if profile is not None and len(profile) == len(axes) else (None,) * len(axes)


def _share_of_kernel(layer: Layer, u: Signal) -> float:
    """Return the share of a pre-activation's q that is not its bias's."""
    mean, variance = weights_moments(layer.bias)
    shift = mean * mean + variance
    return max(1 - shift / u.second, 0.0) if shift > 0 and u.second > 0 else 1.0


def _bends(u: Signal, layer: Layer) -> tuple[Bends, Bends]:
    """Return the exponents of an activation's output, and of its squared slopes."""
    of = moments_of(u, layer.activation, layer.activation_parameter)
    along = (of.slope_along - 1) / 2
    c = _correlation_of_places(u)
    low, high = 0.95 * c, min(1.05 * c, 1.0)
    if not 0 < low < high:
        return (of.elasticity, 0.0), (along, 0.0)
    second, over = of.mean * of.mean + of.variance, math.log(high / low)
    far, close = of.pair(1 - low), of.pair(1 - high)
    of_f = _power(second - far.spread, second - close.spread, over)
    return (of.elasticity, of_f), (along, _power(far.slope, close.slope, over))


def _correlation_of_places(u: Signal) -> float:
    """Return the correlation c of a pair of places."""
    return 1 - min(max((u.spread if u.across is None else u.across) / u.variance, 0.0), 1.0) if u.variance > 0 else 1.0


def _power(low: float, high: float, over: float) -> float:
    """Return d ln product / d ln c of a product that goes from low to high over a distance in ln c."""
    return math.log(high / low) / over if low > 0 and high > 0 else 0.0


def _bent(profile: tuple[Axis | None, ...], one: float, pair: float, times: Profile = None) -> Profile:
    """Return what an activation makes of a profile; times another one, which is the last that is asked of it."""
    finite = math.isfinite(one) and math.isfinite(pair)
    if times is None:
        return along_axis.each(lambda axis: along_axis.bent(axis, one, pair), profile) if finite else profile
    if not finite:
        one = pair = 1.0
    by = along_axis.bent_times
    return along_axis.each(lambda axis, other: by(axis, one, pair, other), profile, _of(times, profile))


def _evened(profile: Profile, by: Profile) -> Profile:
    """Return the profile of what is divided, at each place, by the root of q there."""
    if by is None:
        return profile
    return along_axis.each(along_axis.evened, _of(profile, by), by)


def _over(profile: Profile, counts: tuple[int, ...], function: Callable[[Axis | None, int], Axis | None]) -> Profile:
    if profile is None:
        return None
    return along_axis.each(function, profile, counts)
