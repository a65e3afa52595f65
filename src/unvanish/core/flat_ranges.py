"""Where an activation is flat: the ranges of its input in which a unit counts as saturated.

The same as to evaluate |f'| at every entry (`measures.saturation`), but with a few comparisons, which every device has.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from unvanish.core.activations import FUNCTIONS, GRID, ZERO_BELOW, derivative
from unvanish.core.measures.saturation import SATURATED_BELOW

Array = NDArray[np.float64]
Range = tuple[float, float]
"""(lowest, highest) input, both inside; infinite where there is no end."""

_FAR = np.geomspace(40.0, 1e5, 2000)[1:]
_POINTS: Array = np.concatenate([-_FAR[::-1], np.linspace(-40.0, 40.0, 16001), _FAR])


def can_be_flat(activation: str) -> bool:
    """Say whether saturation means something for the activation (canonical name): elementwise, bent, no ReLU.

    A unit of a ReLU is flat below zero by design: see `measures.dead`.
    """
    return activation in FUNCTIONS and activation != "linear" and activation not in ZERO_BELOW


@functools.lru_cache(maxsize=64)
def flat_ranges(activation: str, parameter: float | None = None) -> tuple[Range, ...]:
    """Return where |f'| is below 1 % of its largest value, in rising order; beyond 1e5 it goes on as it is there.

    The largest value is that on core.activations.GRID, as for a probe. Raise KeyError for an unknown activation.
    """
    largest = float(np.abs(derivative(activation, GRID, parameter)).max())

    def flat(z: Array) -> NDArray[np.bool_]:
        with np.errstate(all="ignore"):
            return np.asarray(np.abs(derivative(activation, z, parameter)) < SATURATED_BELOW * largest)

    there = flat(_POINTS)
    starts = [i for i in np.flatnonzero(there) if i == 0 or not there[i - 1]]
    ends = [i for i in np.flatnonzero(there) if i == len(there) - 1 or not there[i + 1]]
    return tuple(
        (
            -math.inf if first == 0 else _edge(flat, _POINTS[first], _POINTS[first - 1]),
            math.inf if last == len(there) - 1 else _edge(flat, _POINTS[last], _POINTS[last + 1]),
        )
        for first, last in zip(starts, ends, strict=True)
    )


def _edge(flat: Callable[[Array], NDArray[np.bool_]], inside: float, outside: float) -> float:
    """Return the last flat point between one that is flat and one that is not, by bisection."""
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if bool(flat(np.array([middle]))[0]) else (inside, middle)
    return float(inside)
