"""What is kept of the gradient of one weight array on one batch: not the gradient."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unvanish.core.measures.norm import norm

Array = NDArray[Any]
Mask = NDArray[np.bool_]


class WeightGradient(NamedTuple):
    """Hold what a layer's numbers need of a gradient."""

    norm: float
    nonfinite: int
    """Entries that are not finite."""
    zeros: Mask
    """Where it is exactly zero, in the shape of the gradient; takes no memory where it is so nowhere or everywhere."""


def weight_gradient(gradient: Array) -> WeightGradient:
    """Return what is kept of a gradient, an array of any shape and real dtype, which is not changed."""
    size = norm(gradient)
    nonfinite = 0 if math.isfinite(size) else int(gradient.size - np.count_nonzero(np.isfinite(gradient)))
    zeros = gradient == 0
    found = np.count_nonzero(zeros)  # of a mask: several times faster than of floats
    if 0 < found < gradient.size:
        return WeightGradient(size, nonfinite, zeros)
    return WeightGradient(size, nonfinite, everywhere(bool(found), gradient.shape))


def everywhere(truth: bool, shape: tuple[int, ...]) -> Mask:
    """Return an array that is true, or false, everywhere, without taking memory for it."""
    return np.broadcast_to(np.bool_(truth), shape)
