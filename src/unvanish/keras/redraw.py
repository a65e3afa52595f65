"""Kernels and biases that are drawn anew, in float64: independent, orthogonal, centred, and looks-linear."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Shape = tuple[int, ...]

CUT = 2.0
"""Standard deviations beyond which Keras draws a normal entry again."""
CUT_SD = 0.87962566103423978
"""Standard deviation of a standard normal that is cut there: sqrt(1 - 2 CUT phi(CUT) / (2 Phi(CUT) - 1))."""


def normal(shape: Shape, gain: float, random: np.random.Generator, fan_in: int) -> Array:
    """Return a kernel of independent normal entries, cut at two standard deviations, sd = gain / sqrt(fan_in).

    To the distribution what Keras draws for `VarianceScaling(gain**2, "fan_in", "truncated_normal")`.
    """
    values = random.normal(size=shape)
    while np.any(far := np.abs(values) > CUT):
        values[far] = random.normal(size=int(far.sum()))
    return values * (gain / math.sqrt(fan_in) / CUT_SD)


def orthogonal(shape: Shape, gain: float, random: np.random.Generator) -> Array:
    """Return gain x a semi-orthogonal matrix, of all axes but the last by the last, in the kernel's shape.

    Uniform over such matrices: Q of a QR decomposition with the signs of R's diagonal (Mezzadri 2007).
    """
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(random.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return gain * (q if rows >= columns else q.T).reshape(shape)


def centring_bias(kernel: Array) -> Array:
    """Return b = -W.1/2, by which inputs of mean 1/2 (a sigmoid's) give pre-activations of mean 0; shape (n_out,)."""
    return -0.5 * np.asarray(kernel.reshape(-1, kernel.shape[-1]).sum(axis=0))


def looks_linear(
    shape: Shape, gain: float, random: np.random.Generator, *, channels: int | None, mirrored: bool, exact: bool = True
) -> Array:
    """Return a kernel that makes the network a linear map at the initialisation (Balduzzi et al. 2017, section 4).

    channels: number of channels of an input that comes in mirrored pairs f(u), f(-u), a divisor of n_in; None for one
    that does not. mirrored: whether the units are to be such pairs. exact: keep semi-orthogonal columns of length 1;
    else a kernel that narrows is scaled by sqrt(n_in / n_out), so that it keeps the norm on average. Blocks are
    [O, -O], [[O, -O], [-O, O]] and [A; -A]. channels and, if mirrored, the units have to be even.
    """
    rows, columns = math.prod(shape[:-1]), shape[-1]
    inner = (rows if channels is None else rows // 2, columns // 2 if mirrored else columns)
    block = orthogonal(inner, gain, random)
    if not exact and inner[0] > inner[1]:
        block = block * math.sqrt(inner[0] / inner[1])
    if channels is not None:
        half = block.reshape(-1, channels // 2, inner[1])
        block = np.concatenate([half, -half], axis=1).reshape(rows, inner[1])
    if mirrored:
        block = np.concatenate([block, -block], axis=1)
    return block.reshape(shape)
