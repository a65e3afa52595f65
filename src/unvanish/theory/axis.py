"""Numbers for each pair of places (p, p') along one axis, k(p, p') = k(p', p); None: the same number everywhere.

What the sums stand for is derived in theory.profile.

Axes of more than LARGEST places are left uniform: few of them are at the border, and the numbers would be many. The two
axes of a square image are one object all the way: what follows from it is worked out once (each).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from unvanish.theory.draws import mean
from unvanish.theory.geometry import Windows
from unvanish.theory.packed import outer, packed, packing
from unvanish.theory.tap_sums import over_places, over_windows

Array = NDArray[np.float64]
Found = TypeVar("Found")

LARGEST = 128
FAR = 1e100
"""Scale beyond which numbers are divided by it, as not every layer's have to be."""
LEAST = 1e-12
"""Of a q and of a c, so that they have logarithms."""
ROUNDING = 1e-14
"""What two exponents, or two axes in their own units, differ by and are still the same."""
SETTLED = 16
"""Results that are kept, of layers that find the profiles of an earlier one again: those that take turns in a block."""


class Axis(Struct, eq=False, gc=False):
    """Hold one number for each pair of places (theory.packed), in units of the mean of the diagonal.

    It is never changed, and told from others by what it is. What is asked for more than once is kept. A network has a
    few for each layer: the collector is not to walk through them, and never has to, since no axis leads back to itself.
    `of` leads to one that was there before; what `bent` leads to is made from none, nor does it come from there.
    """

    held: Array | None
    """The numbers, of any scale; None where they are made when they are asked for."""
    places: int
    known_unit: float | None = None
    known_mean: float | None = None
    known_roots: Array | None = None
    known_logs: Array | None = None
    again: bool = False
    """Whether layers that have settled found it again: what follows from it is kept, which else would fill memory."""
    bent: tuple[float, float, Axis] | None = None
    """The last exponents that it was bent by, and what that made of it: one that holds its numbers."""
    of: Axis | None = None
    """What the numbers are made from, with these exponents of its q and c."""
    one: float = 1.0
    pair: float = 1.0

    @property
    def pairs(self) -> Array:
        """Return the numbers, and hold them."""
        if self.held is None:
            self.held = self.once()
        return self.held

    def once(self) -> Array:
        """Return the numbers without holding what a network would hold for every layer."""
        if self.held is not None:
            return self.held
        assert self.of is not None
        return raised(self.of, self.one, self.pair)

    @property
    def diagonal(self) -> Array:
        """Return the number of each place with itself; shape (places,)."""
        return self.pairs[: self.places]

    @property
    def matrix(self) -> Array:
        """Return all pairs, shape (places, places)."""
        return np.asarray(self.pairs[packing(self.places).where])

    @property
    def unit(self) -> float:
        """Return the mean of the diagonal."""
        if self.known_unit is None:
            self.known_unit = max(mean(self.diagonal), 1e-300)
        return self.known_unit

    @property
    def mean(self) -> float:
        """Return the mean over all pairs."""
        if self.known_mean is None:
            self.known_mean = float(packing(self.places).sums[1].dot(self.pairs)) / self.places**2 / self.unit
        return self.known_mean

    def logs(self) -> tuple[Array, Array, Array | None]:
        """Return sqrt(q) and ln c, for q (the diagonal, to scale) and c = k / sqrt(q q') of each pair.

        And sqrt(q q'), where it was just worked out.
        """
        root, logs = self.known_roots, self.known_logs
        if root is not None and logs is not None:
            return root, logs, None
        pairs = self.pairs
        self.known_roots = root = np.sqrt(np.maximum(pairs[: self.places], LEAST * self.unit))
        both = outer(root)
        c = pairs / both
        self.known_logs = logs = np.log(np.maximum(c, LEAST, out=c), out=c)
        return root, logs, both

    def told(self, diagonal: float, pairs: float) -> tuple[float, float]:
        """Take the sums, which came with others of the same numbers; return unit and mean."""
        self.known_unit = unit = max(diagonal / self.places, 1e-300)
        self.known_mean = mean = pairs / self.places**2 / unit
        return unit, mean


def uniform(places: int) -> Axis:
    """Return the same number for each pair."""
    return Axis(np.ones(places * (places + 1) // 2), places)


def _of_sums(sums: Array, places: int, diagonal: float, pairs: float) -> Axis:
    """Return the axis of sums over taps, which grow from layer to layer. diagonal, pairs: their own sums."""
    unit = max(diagonal / places, 1e-300)
    mean = pairs / places**2 / unit
    return Axis(sums, places, unit, mean) if 1 / FAR < unit < FAR else Axis(sums / unit, places, 1.0, mean)


def each(function: Callable[..., Found], *axes: Sequence[object]) -> tuple[Found, ...]:
    """Return the function of each axis; once, where all of them are one object."""
    every = list(zip(*axes, strict=True))
    if every and every.count(every[0]) == len(every):
        return (function(*every[0]),) * len(every)
    return tuple([function(*along) for along in every])


def is_small(axis: Windows) -> bool:
    """Say whether the pairs along a convolution's axis are told apart."""
    return max(axis.before, axis.after) <= LARGEST


class Reached(Struct, frozen=True, eq=False, gc=False):
    """Hold what the taps of a convolution find along one axis."""

    windows: Windows
    share: float
    """How much less than without padding a tap finds at one place."""
    shared: float
    """The same of any two places."""
    profile: Axis | None
    """How that varies over the windows."""
    alike: float
    """The mean over all pairs of places of its input, in units of one place's."""


def gathered(axis: Windows, of: Axis | None, before: Axis | None = None) -> Reached:
    """Return the mean over taps of what two windows have under the same tap; 0 on the padding.

    of: at its input. before: what an earlier layer found, which is found again where layers have settled.
    """
    if not is_small(axis):
        return Reached(axis, axis.tapped, axis.tapped, None, 1.0)
    of = of or uniform(axis.before)
    sums, (one, every, of_one, of_all) = over_windows(axis, of.once())
    unit, mean = of.told(one, every)
    share = of_one / axis.after / axis.length / unit
    own = _as_before(_of_sums(sums, axis.after, of_one, of_all), before)
    return Reached(axis, share, share * own.mean, own, mean)


def _as_before(own: Axis, before: Axis | None) -> Axis:
    """Return the axis `before` where the two differ by their scale and by rounding alone, so that it is known again."""
    if before is None or abs(own.mean - before.mean) > ROUNDING or own.places != before.places:
        return own
    if np.max(np.abs(own.pairs / own.unit - before.pairs / before.unit)) > ROUNDING:
        return own
    before.again = True
    return before


class Scattered(NamedTuple):
    """Hold what the taps of a convolution do to a cotangent along one axis, and to the gradient."""

    share: float
    """How much less than without padding all places get in all."""
    shared: float
    """The same of all pairs of them."""
    same: float
    """How much less it is of the product of the cotangent and of what the taps find: the mean over windows."""
    every: float
    """The same over pairs of windows."""
    alike: float
    """The mean over all pairs of windows of the cotangent, in units of one window's."""
    profile: Axis | None
    """Of the sums over taps."""


def scattered(found: Reached, of: Axis | None, before: Axis | None = None) -> Scattered:
    """Return what two places of the input get of the windows that have them under the same tap, summed over taps.

    of: of the cotangent at the windows. before: as of `gathered`.
    """
    axis = found.windows
    if not is_small(axis):
        return Scattered(axis.tapped, axis.tapped, found.share, found.share, 1.0, None)
    of, count, share, reached = of or uniform(axis.after), axis.after, found.share, found.profile
    sums, (one, pairs, of_one, of_all) = over_places(axis, of.once())
    unit, mean = of.told(one, pairs)
    whole = count * axis.length * unit
    own = _as_before(_of_sums(sums, axis.before, of_one, of_all), before)
    same, every = 1.0, mean
    if reached is not None:
        of_both = float(reached.pairs[:count].dot(of.pairs[:count]))
        same = of_both / count / (reached.unit * unit)
        every = (2 * float(reached.pairs.dot(of.pairs)) - of_both) / count**2 / (reached.unit * unit)
    return Scattered(of_one / whole, of_all / whole / count, share * same, share * every, mean, own)


def pooled(axis: Axis | None, count: int) -> Axis | None:
    """Return the means over windows of equal size, `count` of them; places that are left over are left out."""
    blocks = None if axis is None else _blocks(axis.matrix, count)
    return None if blocks is None else Axis(packed(blocks.mean(axis=(1, 3))), count)


def in_window(axis: Axis | None, count: int) -> float:
    """Return the mean over pairs of one of `count` windows, over that of all pairs."""
    blocks = None if axis is None else _blocks(axis.matrix, count)
    if axis is None or blocks is None:
        return 1.0
    size: int = blocks.shape[1]
    return float(np.einsum("isit->", blocks)) / (count * size * size) / (axis.mean * axis.unit)


def repeated(axis: Axis | None, count: int) -> Axis | None:
    """Return the axis with each place as often as a pool took places together; count: of its input."""
    if axis is None or count > LARGEST:
        return None
    at = np.minimum(np.arange(count) // max(count // axis.places, 1), axis.places - 1)
    return Axis(packed(axis.matrix[np.ix_(at, at)]), count)


def bent(axis: Axis | None, one: float, pair: float) -> Axis | None:
    """Return q^one times c^pair, where q (the diagonal) and c = k / sqrt(q q') are what the numbers say of places."""
    if axis is None:
        return None
    if axis.bent is not None and max(abs(one - axis.bent[0]), abs(pair - axis.bent[1])) <= ROUNDING:
        return axis.bent[2]
    if not axis.again:
        return Axis(None, axis.places, of=axis, one=one, pair=pair)
    found = Axis(raised(axis, one, pair), axis.places)
    axis.bent = one, pair, found
    return found


def raised(axis: Axis, one: float, pair: float) -> Array:
    """Return the numbers of what is bent by these exponents."""
    root, logs, both = axis.logs()
    pairs: Array = logs * pair
    np.exp(pairs, out=pairs)
    if one == 1:
        pairs *= outer(root) if both is None else both
    elif one != 0:
        pairs *= outer((root / math.sqrt(axis.unit)) ** one)
    return pairs


def bent_times(axis: Axis | None, one: float, pair: float, other: Axis | None) -> Axis | None:
    """Return `bent` times another axis, pair by pair; nobody will ask for the first axis again."""
    if axis is None:
        return other
    if not axis.again and other is not None:
        found = raised(axis, one, pair)
        found *= other.pairs
        axis.known_logs = None
        return Axis(found, axis.places)
    by = bent(axis, one, pair)
    if by is None or other is None:
        return by
    return _product(by, other) if other.again else Axis(by.pairs * other.pairs, axis.places)


@lru_cache(maxsize=SETTLED)
def _product(one: Axis, other: Axis) -> Axis:
    """Return the product of two axes that are found again, which is then found again, too."""
    return Axis(one.pairs * other.pairs, one.places)


def evened(axis: Axis | None, by: Axis | None) -> Axis | None:
    """Return what is divided, at each place, by the root of what `by` is there."""
    if by is None:
        return axis
    inverse = outer(np.maximum(by.diagonal / by.unit, LEAST) ** -0.5)
    return Axis(inverse if axis is None else axis.pairs * inverse, by.places)


def mixed(shares: Sequence[float], axes: Sequence[Axis | None]) -> Axis | None:
    """Return the sum of axes, each times its share."""
    known = [(share / axis.unit, axis) for share, axis in zip(shares, axes, strict=True) if axis is not None]
    if not known:
        return None
    share, first = known[0]
    found = share * first.pairs
    for share, axis in known[1:]:
        found += share * axis.pairs
    if len(known) < len(axes):
        found += math.fsum(share for share, axis in zip(shares, axes, strict=True) if axis is None)
    return Axis(found, first.places)


def _blocks(matrix: Array, count: int) -> Array | None:
    """Return (window, place, window, place); None where there are fewer places than windows."""
    size = len(matrix) // count
    return matrix[: count * size, : count * size].reshape(count, size, count, size) if size else None
