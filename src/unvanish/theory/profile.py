"""How E h(p) h(p') of two places p and p' of a convolution varies over them, and the same of a cotangent (derived).

Zero padding takes from the border first: with every layer less signal is left there, and less gradient, so that a
further layer loses less than it would of a uniform one: a random walk with absorbing ends, which two places take in
step. A profile has one matrix (p, p') an axis, its diagonal (q of one place) of mean 1; the axes are taken to multiply,
which for linear layers they do. None stands for a uniform profile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from unvanish.core.network import Layer
from unvanish.theory import axis as along_axis
from unvanish.theory.axis import Axis
from unvanish.theory.geometry import Windows, places, space, windows
from unvanish.theory.signal import Signal, moments_of, weights_moments

Profile = tuple[Axis, ...] | None


def passed(axes: Sequence[Windows], h: Profile, d: Profile) -> tuple[float, float]:
    """Return how much less than without padding a kernel passes of one place, and how much less than that of two.

    h: of its input; d: of the cotangent at its output. Both enter its gradient; uniform ones (None) leave what it does
    to the other.
    """
    if not axes:
        return 1.0, 1.0
    one, two, of_signal, of_cotangent = 1.0, 1.0, 1.0, 1.0
    for axis, signal, cotangent in zip(axes, _of(h, axes), _of(d, axes), strict=True):
        if not along_axis.is_small(axis):
            one, two = one * axis.tapped, two * axis.tapped
            continue
        reached, weight = along_axis.gathered(axis, signal), along_axis.known(cotangent, len(axis.starts))
        one *= float(np.mean(np.diag(reached) * np.diag(weight)))
        two *= float(np.mean(reached * weight))
        of_signal *= float(along_axis.known(signal, axis.before).mean())
        of_cotangent *= float(weight.mean())
    before, after = math.prod(axis.before for axis in axes), math.prod(len(axis.starts) for axis in axes)
    given = _others(of_signal, 1.0, before) * _others(of_cotangent, 1.0, after)
    return one, _others(two, one, after) / (given * one) if given * one > 0 else 1.0


def _others(every: float, same: float, count: int) -> float:
    """Return the mean over pairs of two places, from that over all pairs and that over each with itself."""
    return (every * count - same) / (count - 1) if count > 1 else same


def through(
    layer: Layer, sources: Sequence[tuple[Layer, Signal]], before: Signal, leaving: Signal
) -> tuple[Profile, Profile]:
    """Return the profiles of a layer's pre-activation and output, which do not hold them yet."""
    if not sources or places(layer) < 2:
        return None, None
    source, h = sources[0]
    match layer.kind:
        case "conv":
            own = _convolved(windows(layer, source), h.profile, _share_of_kernel(layer, before))
            return own, _activated(own, before, layer)
        case "activation":
            return h.profile, _activated(h.profile, before, layer)
        case "layer_norm" | "rms_norm":
            found = _evened(h.profile, h.profile)
        case "add":
            found = mixed([(h.second / leaving.second if leaving.second > 0 else 0.0, h.profile) for _, h in sources])
        case "pool":
            found = _over(h.profile, space(layer), along_axis.pooled)
        case _:
            found = h.profile if space(source) == space(layer) else None
    return found, found


def near(h: Profile, after: tuple[int, ...]) -> float:
    """Return by which factor two places of one window of a pool have more in common than any two.

    after: places of the pool's output; () where it leaves none.
    """
    return 1.0 if h is None else math.prod(along_axis.in_window(v, n) for v, n in zip(h, after, strict=False))


def back(layer: Layer, source: Layer | None, h: Signal, d: Profile) -> Profile:
    """Return the profile of the cotangent at a layer's input, from that at its pre-activation."""
    if source is None or places(source) < 2 or places(layer) < 2:
        return None
    match layer.kind:
        case "conv":
            axes = windows(layer, source)
            if not axes or (d is None and all(axis.whole and len(axis.starts) == axis.before for axis in axes)):
                return None
            return along_axis.scaled(
                [along_axis.scattered(axis, v) for axis, v in zip(axes, _of(d, axes), strict=True)]
            )
        case "layer_norm" | "rms_norm":
            return _evened(d, h.profile)
        case "pool":
            return _over(d, space(source), along_axis.repeated)
    return d


def behind_activation(d: Profile, u: Signal, activation: str, parameter: float | None) -> Profile:
    """Return the profile of dL/du = f'(u) dL/df, with d ln E f'^2 / d ln q = (E f'^2 z^2 / E f'^2 - 1) / 2."""
    if u.profile is None:
        return d
    of = moments_of(u, activation, parameter)
    return _product(d, _bent(u.profile, (of.slope_along - 1) / 2, _steepness(of.slope_pair, u)))


def mixed(parts: Sequence[tuple[float, Profile]]) -> Profile:
    """Return the profile of a sum, from each part's share and profile."""
    known = [profile for _, profile in parts if profile is not None]
    if not known or len({tuple(0 if v is None else len(v) for v in profile) for profile in known}) > 1:
        return None
    found: list[Axis] = []
    for i, axis in enumerate(known[0]):
        each = [(share, None if profile is None else profile[i]) for share, profile in parts]
        size = 0 if axis is None else len(axis)
        found.append(sum(share * along_axis.known(matrix, size) for share, matrix in each) if size else None)  # type: ignore[arg-type]
    return along_axis.scaled(found)


def _of(profile: Profile, axes: Sequence[object]) -> tuple[Axis, ...]:
    return (None,) * len(axes) if profile is None else profile


def _share_of_kernel(layer: Layer, u: Signal) -> float:
    """Return the share of a pre-activation's q that is not its bias's."""
    mean, variance = weights_moments(layer.bias)
    return max(1 - (mean * mean + variance) / u.second, 0.0) if u.second > 0 else 1.0


def _convolved(axes: Sequence[Windows], h: Profile, share: float) -> Profile:
    if not axes or (h is None and all(axis.whole for axis in axes)):
        return None
    each = zip(axes, _of(h, axes), strict=True)
    found = along_axis.scaled([along_axis.gathered(axis, v) if along_axis.is_small(axis) else None for axis, v in each])
    return mixed([(share, found), (1 - share, None)])


def _activated(u: Profile, before: Signal, layer: Layer) -> Profile:
    if u is None or layer.activation in ("linear", "softmax", "other"):
        return u
    of = moments_of(before, layer.activation, layer.activation_parameter)
    second = of.mean * of.mean + of.variance
    return _bent(u, of.elasticity, _steepness(lambda gap: second - of.spread(gap), before))


def _steepness(product: Callable[[float], float], u: Signal) -> float:
    """Return d ln product / d ln c of a pair of places, of correlation c = 1 - gap."""
    c = 1 - min(max((u.spread if u.across is None else u.across) / u.variance, 0.0), 1.0) if u.variance > 0 else 1.0
    low, high = 0.95 * c, min(1.05 * c, 1.0)
    one, other = product(1 - low), product(1 - high)
    return math.log(other / one) / math.log(high / low) if 0 < low < high and one > 0 and other > 0 else 0.0


def _bent(profile: tuple[Axis, ...], one: float, pair: float) -> Profile:
    if not (math.isfinite(one) and math.isfinite(pair)):
        return profile
    return along_axis.scaled([along_axis.bent(axis, one, pair) for axis in profile])


def _evened(profile: Profile, by: Profile) -> Profile:
    """Return the profile of what is divided, at each place, by the root of q there."""
    return profile if by is None else _product(profile, tuple(along_axis.inverse_roots(axis) for axis in by))


def _over(profile: Profile, counts: tuple[int, ...], function: Callable[[Axis, int], Axis]) -> Profile:
    if profile is None:
        return None
    return along_axis.scaled([function(axis, count) for axis, count in zip(profile, counts, strict=True)])


def _product(one: Profile, other: Profile) -> Profile:
    if one is None or other is None:
        return one or other
    return along_axis.scaled([b if a is None else a if b is None else a * b for a, b in zip(one, other, strict=True)])
