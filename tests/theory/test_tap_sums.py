"""Sums over the taps of a convolution, against going through every tap of every pair."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from unvanish.theory.geometry import Windows
from unvanish.theory.packed import packed, packing
from unvanish.theory.tap_sums import over_places, over_windows

GEOMETRIES = [
    Windows(first=-1, stride=1, before=9, after=9, length=3),
    Windows(first=-2, stride=1, before=7, after=7, length=5),
    Windows(first=-1, stride=1, before=8, after=8, length=4),
    Windows(first=0, stride=1, before=9, after=7, length=3),
    Windows(first=0, stride=2, before=10, after=4, length=3),
    Windows(first=-1, stride=2, before=9, after=5, length=3),
    Windows(first=0, stride=2, before=8, after=4, length=3),
    Windows(first=0, stride=3, before=8, after=3, length=2),
    Windows(first=0, stride=1, before=6, after=6, length=1),
    Windows(first=-3, stride=1, before=3, after=3, length=7),
    Windows(first=0, stride=2, before=1, after=1, length=1),
]


def under_the_same_tap(axis: Windows) -> list[tuple[int, int, int, int]]:
    """Return (window, window, place, place) of every pair that one tap has under it, none on the padding."""
    found = []
    for one, other, tap in itertools.product(range(axis.after), range(axis.after), range(axis.length)):
        place, beside = (axis.first + window * axis.stride + tap for window in (one, other))
        if 0 <= place < axis.before and 0 <= beside < axis.before:
            found.append((one, other, place, beside))
    return found


@pytest.mark.parametrize("axis", GEOMETRIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_sums_over_taps(axis: Windows, seed: int) -> None:
    generator = np.random.default_rng(seed)
    h, d = (matrix + matrix.T for matrix in (generator.uniform(size=(n, n)) for n in (axis.before, axis.after)))
    at_windows, at_places = np.zeros_like(d), np.zeros_like(h)
    for one, other, place, beside in under_the_same_tap(axis):
        at_windows[one, other] += h[place, beside]
        at_places[place, beside] += d[one, other]
    for wanted, of, (found, totals) in (
        (at_windows, h, over_windows(axis, packed(h))),
        (at_places, d, over_places(axis, packed(d))),
    ):
        assert found[packing(len(wanted)).where] == pytest.approx(wanted, rel=1e-12, abs=0)
        assert totals == pytest.approx((np.trace(of), of.sum(), np.trace(wanted), wanted.sum()), rel=1e-12, abs=0)
