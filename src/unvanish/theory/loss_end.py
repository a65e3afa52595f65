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

import numpy as np
from numpy.typing import NDArray

from unvanish.theory.chi_square import chi_square
from unvanish.theory.moments import moments
from unvanish.theory.signal import Signal

Array = NDArray[np.float64]

FUSED_HEADS = frozenset({"sigmoid", "softmax"})
DRAWS = 16
"""Equally likely values of the batch-mean residual."""


def coherence(head: Signal, activation: str, units: int, batch_size: int) -> Array:
    """Return DRAWS equally likely values of |sum of r|^2 / sum of |r|^2 over the batch, in [0, batch_size].

    head: the pre-activation of a fused head, else the output. Shape (DRAWS,).
    """
    rho = residual_correlation(head, activation, units)
    degrees = units - 1 if activation == "softmax" and units > 1 else units
    square = chi_square(degrees, DRAWS)
    total = 1 + (batch_size - 1) * rho
    common = batch_size * rho / total
    single = 1 - rho + rho * (common * square + 1 - common)
    return np.minimum(total * square / single, float(batch_size))


def follows_pairs(head: Signal, activation: str, units: int) -> float:
    """Return by how much r(s) r(t) / r^2 grows with the relative k of a pair (theory.pairs): d rho / d k * spread."""
    if activation == "softmax":
        rho = head.variance / (units + 2 * head.variance) * head.gap
    elif activation == "sigmoid":
        of = moments("sigmoid", mean=head.mean, variance=head.variance)
        rho = of.slope_pair(head.gap) * head.spread / (of.variance + (of.mean - 0.5) ** 2 + 0.25)
    else:
        rho = head.spread / (head.second + 1)
    return rho if rho == rho else 0.0


def residual_correlation(head: Signal, activation: str, units: int) -> float:
    """Return the correlation of two samples' residuals: what the predictions have in common, the labels do not."""
    if activation == "softmax":  # p - 1/C grows as (z - mean z)/C and stays below one hot; in units of the labels' part
        predicted = head.variance / (units + head.variance)
        rho = predicted * (1 - head.gap) / (1 + predicted)
    elif activation == "sigmoid":
        of = moments("sigmoid", mean=head.mean, variance=head.variance)
        centred = of.variance + (of.mean - 0.5) ** 2
        rho = (centred - of.spread(head.gap)) / (centred + 0.25)
    else:
        rho = (head.second - head.spread) / (head.second + 1)
    return max(rho, 0.0) if rho == rho else 0.0
