"""The loss and its residual before training, from the outputs' forecast: what turns ratios of gradients into sizes.

A softmax or sigmoid head is read by a cross-entropy, any other by a mean squared error (see loss_end, which says how
two samples' residuals go together). Labels are balanced classes, or numbers of mean 0 and variance 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from unvanish.theory.loss_end import residual_correlation
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

    A softmax's loss is the smaller of two upper bounds of E ln sum exp z, each exact at one end: ln C + q/2 (Jensen's
    inequality), ln C + E max z. Its residual goes from 1 - 1/C (all p alike) to twice as much (p one-hot).
    """
    head = Signal(0.0, second, second * (1 - correlation))
    alike = residual_correlation(head, activation, units)
    if activation == "softmax":
        loss = math.log(units) + min(second / 2, largest_of(units) * math.sqrt(second))
        return LossStart(loss, (1 - 1 / units) * (1 + second / (units + second)), alike)
    if activation == "sigmoid":
        p = moments("sigmoid", variance=second)
        return LossStart(moments("softplus", variance=second).mean, (p.variance + 0.25) / units, alike)
    return LossStart(second + 1, 4 * (second + 1) / units, alike)


def largest_of(count: int) -> float:
    """Return the mean of the largest of so many independent standard normal numbers, by quadrature."""
    z = np.linspace(-9.0, 9.0, 3601)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    below = np.cumsum(density) * (z[1] - z[0])
    largest = np.diff(np.minimum(below, 1.0) ** count, prepend=0.0)
    return float((z * largest).sum())
