"""The loss before training, from the outputs' forecast.

A softmax or sigmoid head is read by a cross-entropy, any other by a mean squared error. Labels are balanced classes, or
numbers of mean 0 and variance 1 (loss_end has what is sent back).
"""

from __future__ import annotations

import math

import numpy as np

from unvanish.theory.moments import moments


def loss_start(second: float, activation: str, units: int) -> float:
    """Return the loss of the first batch, for outputs of mean square `second` (before a fused head)."""
    if activation == "softmax":
        return log_sum_exp(units, second)
    return moments("softplus", variance=second).mean if activation == "sigmoid" else second + 1


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
