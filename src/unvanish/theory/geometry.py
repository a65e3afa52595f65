"""Where a layer's units lie: the places of a convolution, how many of its taps fall on padding, what a pool covers."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unvanish.core.network import Layer

Array = NDArray[Any]


class Pooled(NamedTuple):
    """Say how many places a pool takes together, and whether it averages (else it takes the largest)."""

    places: float
    average: bool


def space(layer: Layer) -> tuple[int, ...]:
    """Return the axes of the output shape before the last one (channels); () for a flat or unknown shape."""
    return tuple(n for n in layer.shape[:-1] if n is not None)


def places(layer: Layer) -> int:
    """Return at how many places each channel of the output lies; 1 for a flat or unknown shape."""
    return _entries(layer.shape[:-1])


def size(layer: Layer) -> int:
    """Return the number of output entries of one sample; of one place when the shape is not known."""
    return max(_entries(layer.shape), layer.units or 1)


@lru_cache(maxsize=1024)
def _entries(shape: tuple[int | None, ...]) -> int:
    return max(math.prod(n for n in shape if n is not None), 1)


def receptive_field(layer: Layer) -> int:
    """Return the number of places that one output entry of a kernel layer looks at; 1 for a dense layer."""
    return max(1, round((layer.fan_out or 0) / (layer.units or 1))) if layer.kind == "conv" else 1


class Windows(NamedTuple):
    """Hold where the windows of a convolution lie along one axis."""

    starts: Array
    """First place of each window, whole numbers; negative on the padding."""
    before: int
    """Places of the input."""
    length: int
    """Taps."""

    @property
    def whole(self) -> bool:
        """Say whether no tap falls on padding."""
        return bool(self.starts[0] >= 0 and self.starts[-1] + self.length <= self.before)

    @property
    def tapped(self) -> float:
        """Return the share of taps that are not on padding."""
        return sum(len(self.under(tap)[0]) for tap in range(self.length)) / (self.length * len(self.starts))

    def under(self, tap: int) -> tuple[Array, Array]:
        """Return the windows of which this tap is inside, and the places of the input that it lies on."""
        at = self.starts + tap
        known = np.flatnonzero((at >= 0) & (at < self.before))
        return known, at[known]


def windows(layer: Layer, source: Layer | None) -> tuple[Windows, ...]:
    """Return where a convolution's windows lie along each axis; () where that does not follow from the two shapes.

    The kernel is taken to be as long on every axis, the stride to be the smallest that fits, and padding as in `same`.
    """
    if layer.kind != "conv" or source is None:
        return ()
    before, after = space(source), space(layer)
    length = round(receptive_field(layer) ** (1 / max(len(after), 1)))
    if len(before) != len(after) or length ** len(after) != receptive_field(layer):
        return ()
    found = [_windows(n, m, length) for n, m in zip(before, after, strict=True)]
    return tuple(axis for axis in found if axis is not None) if None not in found else ()


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


@lru_cache(maxsize=256)
def _windows(before: int, after: int, length: int) -> Windows | None:
    """Return the windows along one axis, for the smallest stride that gives this output length."""
    for stride in range(1, before + 1):
        if -(-before // stride) == after:  # padded to ceil(n / stride), as `same` does
            missing = max((after - 1) * stride + length - before, 0)
            return Windows(np.arange(after) * stride - missing // 2, before, length)
        if (before - length) // stride + 1 == after:
            return Windows(np.arange(after) * stride, before, length)
    return None
