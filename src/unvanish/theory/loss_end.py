"""The cotangent that a loss sends into the output layer, before any data were seen.

The residual r of a sample is prediction minus label. Its mean over the batch is one random number per output unit: with
rho the correlation of two samples' residuals, (sum of r)^2 = B s t, where s = 1 + (B - 1) rho and t = chi^2 / degrees.
Of sum of r^2, what all samples have in common goes with the same number: B (1 - rho + rho (w t + 1 - w)), w = B rho / s
(its mean, given the sum). The kernels' gradients depend on their ratio, so every log is averaged over it (derived).

A sigmoid or softmax head is taken to be read by a cross-entropy from its pre-activation, where r = p - y: the head's
own slope does not count. Any other head is read by a squared error. Labels are taken as balanced classes, or as
numbers of mean 0 and variance 1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from unvanish.core.activations import value
from unvanish.theory.chi_square import chi_square
from unvanish.theory.moments import moments
from unvanish.theory.signal import Signal
from unvanish.theory.softmax_head import softmax_head

Array = NDArray[np.float64]

FUSED_HEADS = frozenset({"sigmoid", "softmax"})
DRAWS = 16
"""Equally likely values of the batch-mean residual."""


def coherence(head: Signal, activation: str, units: int, batch_size: int) -> Array:
    """Return DRAWS equally likely values of |sum of r|^2 / sum of |r|^2 over the batch, in [0, batch_size].

    head: the pre-activation of a fused head, else the output. Shape (DRAWS,).
    """
    if units == 1 and activation != "softmax" and math.isfinite(head.second):
        return _of_one(*_common_and_own(head, activation), batch_size)
    rho = residual_correlation(head, activation, units)
    degrees = units - 1 if activation == "softmax" and units > 1 else units
    square = chi_square(degrees, DRAWS)
    total = 1 + (batch_size - 1) * rho
    common = batch_size * rho / total
    single = 1 - rho + rho * (common * square + 1 - common)
    return np.minimum(total * square / single, float(batch_size))


def follows_pairs(head: Signal, activation: str, units: int) -> float:
    """Return by how much r(s) r(t) / r^2 grows with a pair's relative k (theory.fluctuation): d rho / d k * spread."""
    if activation == "softmax":
        predicted = _predicted(head, units)
        rho = predicted / (1 + predicted) * head.gap
    elif activation == "sigmoid":
        of = moments("sigmoid", mean=head.mean, variance=head.variance)
        rho = of.pair(head.gap).slope * head.spread / (of.variance + (of.mean - 0.5) ** 2 + 0.25)
    else:
        rho = head.spread / (head.second + 1)
    return rho if rho == rho else 0.0


def leaning(head: Signal, activation: str, units: int, batch_size: int) -> float:
    """Return E (r.z)^2 / (E r^2 E z^2) of the residual's sum over the batch along the logits z; 1 if independent."""
    if activation != "softmax" or units < 2 or not 0 < head.variance < math.inf:
        return 1.0
    found = softmax_head(_rounded(head.variance), units)
    predicted = found.predicted * (1 + (batch_size - 1) * max(1 - head.gap, 0.0))
    return (found.leaning * predicted + 1) / (predicted + 1)


def residual_correlation(head: Signal, activation: str, units: int) -> float:
    """Return the correlation of two samples' residuals: what the predictions have in common, the labels do not."""
    if activation == "softmax":
        predicted = _predicted(head, units)
        rho = predicted * (1 - head.gap) / (1 + predicted)
    elif activation == "sigmoid":
        of = moments("sigmoid", mean=head.mean, variance=head.variance)
        centred = of.variance + (of.mean - 0.5) ** 2
        rho = (centred - of.pair(head.gap).spread) / (centred + 0.25)
    else:
        rho = (head.second - head.spread) / (head.second + 1)
    return max(rho, 0.0) if rho == rho else 0.0


def residual(head: Signal, activation: str, units: int) -> float:
    """Return E |dL/du|^2 of one sample's own loss, summed over the units of the output.

    head: the pre-activation of a fused head, else the output. The loss is a mean over units (a softmax's a sum over
    classes). With r = p - y and independent p and y: E r^2 = E (p - E y)^2 + Var y. A sigmoid's label has Var y = 1/4,
    one of C classes in all 1 - 1/C. A squared error has the gradient 2 (h - y).
    """
    if activation == "softmax":
        return (1 - 1 / units) * (1 + _predicted(head, units)) if head.variance < math.inf else math.nan
    if activation == "sigmoid":
        of = moments("sigmoid", mean=head.mean, variance=head.variance)
        return (of.variance + (of.mean - 0.5) ** 2 + 0.25) / units
    return 4 * (head.second + 1) / units


def _predicted(head: Signal, units: int) -> float:
    """Return E |p - 1/C|^2 in units of the labels'."""
    if units < 2 or not head.variance < math.inf:
        return 1.0 if head.variance == math.inf else 0.0
    return softmax_head(_rounded(head.variance), units).predicted


def _rounded(variance: float) -> float:
    return float(f"{variance:.3g}")


def _common_and_own(head: Signal, activation: str) -> tuple[Array, Array]:
    """Return what all samples have in a single output's residual, DRAWS equally likely values, and its variance."""
    common = _normal(DRAWS) * math.sqrt(max(head.second - head.spread, 0.0))
    if activation != "sigmoid":
        return common, np.full(DRAWS, 1 + head.spread)
    own = math.sqrt(max(head.spread, 0.0)) * _normal(DRAWS)
    p = value("sigmoid", common[:, None] + own)
    return p.mean(axis=1) - 0.5, p.var(axis=1) + 0.25


def _of_one(common: Array, own: Array, batch_size: int) -> Array:
    """Return (sum of r)^2 / sum of r^2 for r = common + a number of variance own in each sample; shape (DRAWS,)."""
    total = math.sqrt(batch_size) * common[:, None] + np.sqrt(own)[:, None] * _normal(DRAWS)
    every = np.sort((total**2 / (common**2 + own)[:, None]).ravel())
    logs = np.log(np.maximum(every, 1e-300)).reshape(DRAWS, -1).mean(axis=1)
    return np.asarray(np.minimum(np.exp(logs), float(batch_size)), dtype=np.float64)


@lru_cache(maxsize=4)
def _normal(count: int) -> Array:
    """Return so many equally likely values of a standard normal, of variance 1."""
    values = np.array([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)])
    return np.asarray(values / values.std(), dtype=np.float64)
