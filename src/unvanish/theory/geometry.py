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
    return _known(layer.shape[:-1])


def places(layer: Layer) -> int:
    """Return at how many places each channel of the output lies; 1 for a flat or unknown shape."""
    return _entries(layer.shape[:-1])


def size(layer: Layer) -> int:
    """Return the number of output entries of one sample; of one place when the shape is not known."""
    return max(_entries(layer.shape), layer.units or 1)


@lru_cache(maxsize=1024)
def _known(shape: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n is not None)


@lru_cache(maxsize=1024)
def _entries(shape: tuple[int | None, ...]) -> int:
    return max(math.prod(n for n in shape if n is not None), 1)


def receptive_field(layer: Layer) -> int:
    """Return the number of places that one output entry of a kernel layer looks at; 1 for a dense layer."""
    return max(1, round((layer.fan_out or 0) / (layer.units or 1))) if layer.kind == "conv" else 1


class Windows(NamedTuple):
    """Hold where the windows of a convolution lie along one axis."""

    first: int
    """First place of the first window; negative on the padding."""
    stride: int
    before: int
    """Places of the input."""
    after: int
    """Windows: places of the output."""
    length: int
    """Taps."""

    @property
    def whole(self) -> bool:
        """Say whether no tap falls on padding."""
        return self.first >= 0 and self.first + (self.after - 1) * self.stride + self.length <= self.before

    @property
    def tapped(self) -> float:
        """Return the share of taps that are not on padding."""
        inside: int = sum(windows.stop - windows.start for windows, _ in taps(self))
        return inside / (self.length * self.after)


@lru_cache(maxsize=256)  # layers of one geometry are many
def taps(axis: Windows) -> tuple[tuple[slice, slice], ...]:
    """Return for each tap that is ever inside the windows of which it is, and the places of the input under it."""
    found = []
    for start in range(axis.first, axis.first + axis.length):
        low = max(-(start // axis.stride), 0)
        high = min((axis.before - 1 - start) // axis.stride + 1, axis.after)
        if low < high:
            places = slice(start + low * axis.stride, start + (high - 1) * axis.stride + 1, axis.stride)
            found.append((slice(low, high), places))
    return tuple(found)


def windows(layer: Layer, source: Layer | None) -> tuple[Windows, ...]:
    """Return where a convolution's windows lie along each axis; () where that does not follow from the two shapes.

    The kernel is taken to be as long on every axis, the stride to be the smallest that fits, and padding as in `same`.
    """
    if layer.kind != "conv" or source is None:
        return ()
    return _windows(source.shape, layer.shape, receptive_field(layer))


def pooled(layer: Layer, source: Layer | None) -> Pooled:
    """Return what a pool covers. Unless the layer says so itself, it averages when it leaves no space, else not."""
    before, after = places(source) if source is not None else 1, places(layer)
    average = layer.reduction == "average" if layer.reduction is not None else not space(layer)
    return Pooled(max(before / after, 1.0), average)


@lru_cache(maxsize=64)
def largest_of(count: int) -> tuple[float, float]:
    """Return mean and variance of the largest of `count` standard normals, of distribution Phi^count (1: 0 and 1)."""
    step = 0.01
    x = [step * i for i in range(-1000, 1001)]
    below = [(0.5 * math.erfc(-z / math.sqrt(2))) ** count for z in x]
    mass = [b - a for a, b in pairwise(below)]
    middle = [z + step / 2 for z in x[:-1]]
    mean = math.fsum(m * z for m, z in zip(mass, middle, strict=True))
    return mean, math.fsum(m * (z - mean) ** 2 for m, z in zip(mass, middle, strict=True))


@lru_cache(maxsize=256)  # layers of one geometry are many
def _windows(source: tuple[int | None, ...], shape: tuple[int | None, ...], field: int) -> tuple[Windows, ...]:
    """Return the windows along each axis, for a kernel that looks at so many places of an output of another layer."""
    before, after = _known(source[:-1]), _known(shape[:-1])
    length = round(field ** (1 / max(len(after), 1)))
    if len(before) != len(after) or length ** len(after) != field:
        return ()
    found = [_along(n, m, length) for n, m in zip(before, after, strict=True)]
    return tuple(axis for axis in found if axis is not None) if None not in found else ()


def _along(before: int, after: int, length: int) -> Windows | None:
    """Return the windows along one axis, for the smallest stride that gives this output length."""
    for stride in range(1, before + 1):
        if -(-before // stride) == after:  # padded to ceil(n / stride), as `same` does
            missing = max((after - 1) * stride + length - before, 0)
            return Windows(-(missing // 2), stride, before, after, length)
        if (before - length) // stride + 1 == after:
            return Windows(0, stride, before, after, length)
    return None
