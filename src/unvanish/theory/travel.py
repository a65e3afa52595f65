"""How far steps of Adam go in all, while the gradients that they follow grow (derived, with one measured constant).

One step moves every entry of a kernel by rate * g / (g + epsilon), with g its gradient's own size. If all steps go in
one direction, n inputs change what kernel l does by travel_l, the sum over the steps of

    rate * n * g_l / (g_l + epsilon)

The gain that a kernel begins with is about 1; of that change a part KEPT goes the way that the signal takes anyway. So
outputs that begin small, of mean square q, grow by the factor

    A = product over the kernels of (1 + KEPT travel_l)

until they are of the size that the loss sees, A sqrt(q) = 1, and with them every gradient, each being a product of what
all the other kernels do. A small gradient that epsilon holds at the first step is set free when many kernels grow a
little: after a part of the steps that falls with the depth.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

KEPT = 0.2
"""Measured on the 555 recipes of bench/trains.py that come before its `fifth` hundred: anything from 0.08 to 0.37 tells
the same of each of them."""
STRETCHES = 30
"""Into how many stretches the steps are split, of which each goes by the gradients in its middle."""


def travelled(logs: Array, fan_ins: Array, second: float, *, steps: int, rate: float, epsilon: float) -> Array:
    """Return how far the kernels go; shape (kernels,), in units of the gain that they begin with.

    logs: log10 of the RMS, per entry, of each kernel's gradient at the start. fan_ins: inputs of each kernel, all that
    a change of its entries adds up over. second: mean square of the outputs at the start, before a fused head.
    """
    most = 0.5 * max(-math.log10(max(second, 1e-300)), 0.0)

    def of_one_step(far: Array) -> Array:
        grown = min(float(np.log10(1 + KEPT * far).sum()), most)
        return rate * fan_ins * shares(logs + grown, epsilon)

    far, count = np.zeros_like(logs), steps / STRETCHES
    for _ in range(STRETCHES):
        far = far + count * of_one_step(far + count / 2 * of_one_step(far))
    return far


def shares(logs: Array, epsilon: float) -> Array:
    """Return what epsilon leaves of a whole step of the rate, for gradients of these log10; between 0 and 1."""
    return 1 / (1 + 10.0 ** np.minimum(math.log10(epsilon) - logs, 300.0))
