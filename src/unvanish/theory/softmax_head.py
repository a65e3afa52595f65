"""What a softmax makes of Gaussian logits: how large p is, and how the residual leans along the logits.

No closed form is known for many classes; the expectations are taken over a fixed design of points, each coordinate
stratified (McKay, Beckman & Conover 1979), the same at every call.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINTS, MOST = 512, 1000
"""Points of the design, and classes beyond which it does not look: the largest few decide."""


class SoftmaxHead(NamedTuple):
    """Hold expectations over logits z of variance v, C classes, z centred over them."""

    predicted: float
    """E |p - 1/C|^2 over that of a label, 1 - 1/C: 0 for equal logits, 1 for one certain class."""
    leaning: float
    """E (p.z)^2 / (E |p - 1/C|^2 v): what p has along z; 1 if independent."""


@lru_cache(maxsize=512)
def softmax_head(variance: float, classes: int) -> SoftmaxHead:
    """Return the expectations at this variance of the logits; raise ValueError for fewer than two classes."""
    if classes < 2:
        raise ValueError(f"a softmax over {classes} classes predicts nothing")
    count = min(classes, MOST)
    z = _design(count) * np.sqrt(variance)
    z = z - z.mean(axis=1, keepdims=True)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    square = float(((p - 1 / count) ** 2).sum(axis=1).mean())
    onto = float(((p * z).sum(axis=1) ** 2).mean())
    own = variance * square
    return SoftmaxHead(square / (1 - 1 / count), onto / own if own > 0 else float(count - 1))


@lru_cache(maxsize=16)
def _design(count: int) -> Array:
    """Return POINTS standard normal vectors of that length, each coordinate stratified."""
    strata = np.array([NormalDist().inv_cdf((i + 0.5) / POINTS) for i in range(POINTS)])
    rng = np.random.default_rng(0)
    return np.stack([rng.permutation(strata) for _ in range(count)], axis=1)
