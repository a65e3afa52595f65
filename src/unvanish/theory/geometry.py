"""Where a layer's units lie: the places of a convolution, how many of its taps fall on padding, what a pool covers."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from unvanish.core.network import Layer


class Pooled(NamedTuple):
    """Say how many places a pool takes together, and whether it averages (else it takes the largest)."""

    places: float
    average: bool


def space(layer: Layer) -> tuple[int, ...]:
    """Return the axes of the output shape before the last one (channels); () for a flat or unknown shape."""
    return tuple(n for n in layer.shape[:-1] if n is not None)


def places(layer: Layer) -> int:
    """Return at how many places each channel of the output lies; 1 for a flat or unknown shape."""
    return max(math.prod(space(layer)), 1)


def size(layer: Layer) -> int:
    """Return the number of output entries of one sample; of one place when the shape is not known."""
    return max(math.prod(n for n in layer.shape if n is not None), layer.units or 1)


def receptive_field(layer: Layer) -> int:
    """Return the number of places that one output entry of a kernel layer looks at; 1 for a dense layer."""
    return max(1, round((layer.fan_out or 0) / (layer.units or 1))) if layer.kind == "conv" else 1


def taps_inside(layer: Layer, source: Layer | None) -> float:
    """Return which share of a convolution's taps fall on the input and not on zero padding, on average over places.

    Padding and stride follow from the two shapes; the kernel is taken to be as long on every axis. 1 where that does
    not fit (dilation, unknown shapes): then nothing leaks.
    """
    return math.prod(sum(axis) / len(axis) for axis in _axes(layer, source))


def taps_shared(layer: Layer, source: Layer | None) -> float:
    """Return which share of the taps that fall on the input at one place do so at another one, on average over pairs.

    1 where nothing leaks, or where there is no other place.
    """
    axes, count = _axes(layer, source), places(layer)
    if count < 2 or not axes:
        return 1.0
    both = math.prod(sum(tap * tap for tap in axis) / sum(axis) for axis in axes)
    return (both * count - 1) / (count - 1)


def pooled(layer: Layer, source: Layer | None) -> Pooled:
    """Return what a pool covers. Unless the layer says so itself, it averages when it leaves no space, else not."""
    before, after = places(source) if source is not None else 1, places(layer)
    average = layer.reduction == "average" if layer.reduction is not None else not space(layer)
    return Pooled(max(before / after, 1.0), average)


@lru_cache(maxsize=64)
def largest_of(count: int) -> tuple[float, float]:
    """Return mean and variance of the largest of `count` standard normals (count 1: 0 and 1)."""
    step = 0.01
    x = [step * i for i in range(-1000, 1001)]
    below = [(0.5 * math.erfc(-z / math.sqrt(2))) ** count for z in x]
    mass = [b - a for a, b in pairwise(below)]
    middle = [z + step / 2 for z in x[:-1]]
    mean = math.fsum(m * z for m, z in zip(mass, middle, strict=True))
    return mean, math.fsum(m * (z - mean) ** 2 for m, z in zip(mass, middle, strict=True))


def _axes(layer: Layer, source: Layer | None) -> list[tuple[float, ...]]:
    """Return for each axis at which share of the places each tap falls on the input; none where that is not known."""
    if layer.kind != "conv" or source is None:
        return []
    before, after = space(source), space(layer)
    length = round(receptive_field(layer) ** (1 / max(len(after), 1)))
    if len(before) != len(after) or length ** len(after) != receptive_field(layer):
        return []
    return [_inside(n, m, length) for n, m in zip(before, after, strict=True)]


@lru_cache(maxsize=256)
def _inside(before: int, after: int, length: int) -> tuple[float, ...]:
    """Return at which share of the places each tap is inside, for the smallest stride that gives this output length."""
    for stride in range(1, before + 1):
        if -(-before // stride) == after:  # padded to ceil(n / stride), as `same` does
            missing = max((after - 1) * stride + length - before, 0)
            starts = [place * stride - missing // 2 for place in range(after)]
            return tuple(sum(0 <= s + tap < before for s in starts) / after for tap in range(length))
        if (before - length) // stride + 1 == after:
            break
    return (1.0,) * length
