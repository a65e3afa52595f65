"""The way back along one axis through convolutions of one geometry that follow each other (derived).

Once the way forward is known, a layer does two linear things to the numbers of a cotangent for pairs of windows: it
multiplies them by what the slopes keep, and sums them over taps. Nothing but these numbers goes on from layer to layer,
and all that is said of a layer are a few sums of them: so that what else axis.scattered works out is worked out of all
layers at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unvanish.theory.axis import FAR, ROUNDING, Axis, Reached, raised
from unvanish.theory.tap_sums import to_places

Array = NDArray[np.float64]

Slopes = tuple[Axis, float, float]
"""A pre-activation's numbers, and the exponents of its q and c that make what the slopes keep."""


class Totals(NamedTuple):
    """Hold the numbers of axis.Scattered, one for each layer."""

    share: Array
    shared: Array
    same: Array
    every: Array
    alike: Array


def scattered_over(layers: Iterable[tuple[Reached, Slopes | None]], of: Axis) -> tuple[Totals, Axis]:
    """Return what axis.scattered says of each layer, and the cotangent's axis at the input of the last.

    layers: what the taps of each found, as many windows as places, and the slopes that the cotangent meets before them
    (None: it is behind them); from the one nearest to the loss on. of: of the cotangent.
    """
    count, padded = of.places, np.append(of.pairs / of.unit, 0.0)
    d, rows = padded[:-1], []
    kept, known = None, None
    for found, slopes in layers:
        if slopes is not None:
            if known is None or not _same(slopes, known):
                known, kept = slopes, raised(*slopes)
                if not slopes[0].again:
                    slopes[0].known_logs = None
            d *= kept
        reached = found.profile
        assert reached is not None
        table, taps, weights = to_places(found.windows)
        totals: list[float] = weights.dot(d).tolist()
        pairs = reached.pairs
        rows.append((*totals, pairs[:count].dot(d[:count]), pairs.dot(d), reached.unit, found.share))
        taps.dot(padded.take(table), out=d)
        if not 1 / FAR < totals[0] < FAR:
            d /= max(totals[0], 1e-300)
    one, every, of_one, of_all, same, both, unit, share = np.array(rows).T
    one = np.maximum(one, 1e-300)
    scale, unit = one * found.windows.length, unit * one
    over_layers = Totals(
        share=of_one / scale,
        shared=of_all / scale / count,
        same=share * same / unit,
        every=share * (2 * both - same) / count / unit,
        alike=every / count / one,
    )
    return over_layers, Axis(d.copy(), count)


def _same(one: Slopes, other: Slopes) -> bool:
    """Say whether the slopes of two layers keep the same, but for rounding."""
    return one[0] is other[0] and abs(one[1] - other[1]) <= ROUNDING and abs(one[2] - other[2]) <= ROUNDING
