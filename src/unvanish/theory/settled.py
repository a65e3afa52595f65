"""What is left of the loss, and of its gradient, once what all outputs have in common has been put right (derived).

Where two samples' outputs have the correlation c, most of the first steps goes into what is wrong with all of them
alike. A few steps see to that, be they too large or not, for they all go one way. Then outputs differ by what told the
samples apart, of mean square q (1 - c), and residuals have nothing in common any more. Of a kernel's gradient, with B
samples in a batch, rho the correlation of two samples' residuals e and c that of its inputs,

    |G|^2 ~ E|e|^2 [1/B + (1 - 1/B) rho c]

the first part stays. What the inputs have in common is taken to be what the outputs have.
"""

from __future__ import annotations

import math

from unvanish.theory.loss_end import residual, residual_correlation
from unvanish.theory.loss_start import loss_start
from unvanish.theory.signal import Signal


def settled(second: float, apart: float, activation: str, units: int, batch_size: int) -> tuple[float, float]:
    """Return the loss that is left, and the norm of the gradient that is left in units of the first one's, at most 1.

    second, apart: mean square of the outputs (before a fused head), and 1 - correlation of two samples'.
    """
    apart = min(max(apart, 0.0), 1.0)
    own = second * apart
    first, left = Signal(0.0, second, own), Signal(0.0, own, own)
    together = 1 + (batch_size - 1) * residual_correlation(first, activation, units) * (1 - apart)
    square = residual(first, activation, units) * together
    factor = math.sqrt(residual(left, activation, units) / square) if 0 < square < math.inf else 1.0
    return loss_start(own, activation, units), min(factor, 1.0)
