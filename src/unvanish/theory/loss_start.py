"""The loss and its residual before training, from the outputs' forecast: what turns ratios of gradients into sizes.

A softmax or sigmoid head is read by a cross-entropy, any other by a mean squared error (see loss_end, which says how
two samples' residuals go together). Labels are balanced classes, or numbers of mean 0 and variance 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from unvanish.theory.loss_end import residual, residual_correlation
from unvanish.theory.moments import moments
from unvanish.theory.signal import Signal


class LossStart(NamedTuple):
    """Hold the loss of the first batch, before the first step."""

    loss: float
    residual: float
    """E |dL/dz|^2 of one sample's own loss with respect to what the loss reads."""
    alike: float
    """Correlation of two samples' residuals."""


def loss_start(second: float, correlation: float, activation: str, units: int) -> LossStart:
    """Return it for outputs of mean square `second` (before a fused head) and correlation across samples.

    The residual of a softmax goes from 1 - 1/C (all p alike) to twice as much (p one-hot).
    """
    head = Signal(0.0, second, second * (1 - correlation))
    alike = residual_correlation(head, activation, units)
    if activation == "softmax":
        loss = log_sum_exp(units, second)
    elif activation == "sigmoid":
        loss = moments("softplus", variance=second).mean
    else:
        loss = second + 1
    return LossStart(loss, residual(head, activation, units), alike)


def log_sum_exp(count: int, variance: float) -> float:
    """Return E ln sum exp z of so many independent normal numbers of mean 0; inf where the variance is.

    ln sum exp z is the mean of max(z + g) with Gumbel numbers g, less Euler's constant (Gumbel 1954), so that one
    distribution function F, that of z + g, gives it: E max = t - (integral of F^count up to t), t large.
    """
    sd = math.sqrt(variance)
    if not sd < 1e150:
        return math.inf
    z = np.linspace(-8.0, 8.0, 401)
    density = np.exp(-z * z / 2)
    t = np.linspace(-5.0 - 8 * sd, 30.0 + 8 * sd, 787)  # not in step with z
    below = np.exp(-np.exp(np.minimum(sd * z[None, :] - t[:, None], 700.0))) @ (density / density.sum())
    powers = below**count
    area = float((powers[1:] + powers[:-1]).sum()) / 2 * float(t[1] - t[0])
    return float(t[-1]) - area - float(np.euler_gamma)
