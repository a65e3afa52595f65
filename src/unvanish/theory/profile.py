"""How E h(p) h(p') of two places p and p' of a convolution varies over them, and the same of a cotangent (derived).

Zero padding takes from the border first: with every layer less signal is left there, and less gradient, so that a
further layer loses less than it would of a uniform one: a random walk with absorbing ends, which two places take in
step. A profile has one matrix (p, p') an axis, its diagonal (q of one place) of mean 1; the axes are taken to multiply.
None stands for a uniform one, also on axes of more than LARGEST places, of which hardly any are at the border.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from unvanish.core.network import Layer
from unvanish.theory.geometry import Windows, places, space, windows
from unvanish.theory.signal import Signal, moments_of, weights_moments

Array = NDArray[np.float64]
Axis = Array | None
Profile = tuple[Axis, ...] | None

LARGEST = 128


def passed(axes: Sequence[Windows], layer: Layer, h: Profile, d: Profile) -> tuple[float, float]:
    """Return how much less than without padding a kernel passes of one place, and how much less than that of two.

    h: of its input; d: of the cotangent at its output. Both enter its gradient; uniform ones (None) leave what it does
    to the other.
    """
    if not axes:
        return 1.0, 1.0
    one, two = 1.0, 1.0
    for axis, signal, cotangent in zip(axes, _of(h, axes), _of(d, axes), strict=True):
        if max(axis.before, len(axis.starts)) > LARGEST:
            one, two = one * axis.tapped, two * axis.tapped
            continue
        reached, weight = _gathered(axis, signal), _known(cotangent, len(axis.starts))
        one *= float(np.mean(np.diag(reached) * np.diag(weight)))
        two *= float(np.mean(reached * weight)) / float(weight.mean() * _known(signal, axis.before).mean())
    count = places(layer)
    return one, (two / one * count - 1) / (count - 1) if count > 1 and one > 0 else 1.0


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
            found = _pooled(h.profile, space(layer))
        case _:
            found = h.profile if space(source) == space(layer) else None
    return found, found


def near(h: Profile, after: tuple[int, ...]) -> float:
    """Return by which factor two places of one window of a pool have more in common than any two.

    after: places of the pool's output; () where it leaves none.
    """
    pooled = _pooled(h, after) if after else None
    if h is None or pooled is None:
        return 1.0
    pairs = zip(h, after, strict=True)
    return math.prod(_near(v, n) for v, n in pairs if v is not None and n <= len(v))


def back(layer: Layer, source: Layer | None, h: Signal, d: Profile) -> Profile:
    """Return the profile of the cotangent at a layer's input, from that at its pre-activation."""
    if source is None or places(source) < 2 or places(layer) < 2:
        return None
    match layer.kind:
        case "conv":
            axes = windows(layer, source)
            uniform = d is None and all(axis.whole and len(axis.starts) == axis.before for axis in axes)
            return (
                None
                if uniform or not axes
                else _scaled([_scattered(a, v) for a, v in zip(axes, _of(d, axes), strict=True)])
            )
        case "layer_norm" | "rms_norm":
            return _evened(d, h.profile)
        case "pool":
            return _repeated(d, space(source))
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
        found.append(sum(share * _known(matrix, size) for share, matrix in each) if size else None)  # type: ignore[arg-type]
    return _scaled(found)


def _near(matrix: Array, count: int) -> float:
    size = len(matrix) // count
    blocks = matrix[: count * size, : count * size].reshape(count, size, count, size)
    return float(np.einsum("isit->", blocks)) / (count * size * size) / float(matrix.mean())


def _of(profile: Profile, axes: Sequence[object]) -> tuple[Axis, ...]:
    return (None,) * len(axes) if profile is None else profile


def _known(axis: Axis, size: int) -> Array:
    return np.ones((size, size)) if axis is None else axis


def _gathered(axis: Windows, matrix: Axis) -> Array:
    """Return the mean over taps of what two windows have under the same tap; 0 on the padding."""
    given, found = _known(matrix, axis.before), np.zeros((len(axis.starts), len(axis.starts)))
    for tap in range(axis.length):
        at, under = axis.under(tap)
        found[np.ix_(at, at)] += given[np.ix_(under, under)]
    return found / axis.length


def _scattered(axis: Windows, matrix: Axis) -> Axis:
    """Return the sum over taps of what two places of the input get of the windows that they lie in by the same tap."""
    if max(axis.before, len(axis.starts)) > LARGEST:
        return None
    given, found = _known(matrix, len(axis.starts)), np.zeros((axis.before, axis.before))
    for tap in range(axis.length):
        at, under = axis.under(tap)
        found[np.ix_(under, under)] += given[np.ix_(at, at)]
    return found


def _share_of_kernel(layer: Layer, u: Signal) -> float:
    """Return the share of a pre-activation's q that is not its bias's."""
    mean, variance = weights_moments(layer.bias)
    return max(1 - (mean * mean + variance) / u.second, 0.0) if u.second > 0 else 1.0


def _convolved(axes: Sequence[Windows], h: Profile, share: float) -> Profile:
    if not axes or (h is None and all(axis.whole for axis in axes)):
        return None
    small = (max(axis.before, len(axis.starts)) <= LARGEST for axis in axes)
    each = zip(axes, _of(h, axes), small, strict=True)
    return mixed(
        [(share, _scaled([_gathered(axis, v) if known else None for axis, v, known in each])), (1 - share, None)]
    )


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
    """Return q^one times c^pair, where q and c are what the profile says of places and pairs of them."""
    if not (math.isfinite(one) and math.isfinite(pair)):
        return profile
    found: list[Axis] = []
    for axis in profile:
        if axis is None:
            found.append(None)
            continue
        root = np.sqrt(np.maximum(np.diag(axis), 1e-12))
        scale = np.outer(root, root)
        found.append(scale**one * np.maximum(axis / scale, 1e-12) ** pair)
    return _scaled(found)


def _evened(profile: Profile, by: Profile) -> Profile:
    """Return the profile of what is divided, at each place, by the root of q there."""
    if by is None:
        return profile
    roots = [None if v is None else np.sqrt(np.maximum(np.diag(v), 1e-12)) for v in by]
    return _product(profile, tuple(None if v is None else 1 / np.outer(v, v) for v in roots))


def _pooled(h: Profile, after: tuple[int, ...]) -> Profile:
    def pooled(matrix: Axis, count: int) -> Axis:
        if matrix is None or count > len(matrix):
            return None
        size = len(matrix) // count
        blocks = matrix[: count * size, : count * size].reshape(count, size, count, size)
        return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float64)

    return None if h is None else _scaled([pooled(v, n) for v, n in zip(h, after, strict=True)])


def _repeated(d: Profile, before: tuple[int, ...]) -> Profile:
    def repeated(matrix: Axis, count: int) -> Axis:
        if matrix is None or count > LARGEST:
            return None
        at = np.minimum(np.arange(count) // max(count // len(matrix), 1), len(matrix) - 1)
        return np.asarray(matrix[np.ix_(at, at)], dtype=np.float64)

    return None if d is None else _scaled([repeated(v, n) for v, n in zip(d, before, strict=True)])


def _product(one: Profile, other: Profile) -> Profile:
    if one is None or other is None:
        return one or other
    return _scaled([b if a is None else a if b is None else a * b for a, b in zip(one, other, strict=True)])


def _scaled(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """Return the matrices with a diagonal of mean 1."""
    return tuple(None if v is None else v / max(float(np.diag(v).mean()), 1e-300) for v in axes)
