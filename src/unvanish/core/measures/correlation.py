"""How alike the network makes different samples: second moment q, cross moment k, correlation c = k/q.

q = mean over samples of |h_s|^2 / n, k = mean over pairs s != t of h_s . h_t / n (Poole et al. 2016, eq. 3-5, with the
expectation over pairs of data). By sum_{s != t} h_s . h_t = |sum_s h_s|^2 - sum_s |h_s|^2 no pair is ever visited;
written around the mean over samples this is k = q - S/(S - 1) * variance, the same number, but without the
cancellation that would lose 1 - c where all samples have become alike.
"""

from __future__ import annotations

import math

import numpy as np

from unvanish.core.measures.norm import BLOCK, Array


def correlation(h: Array) -> tuple[float, float, float]:
    """Return (q, k, c) of activations h of shape (samples, ...); all axes but the first are features.

    h: any real dtype, taken to float64 in blocks; not changed. k and c are nan for fewer than two samples and when an
    entry is not finite (q is then inf or nan), c also where q is zero. c is at most 1; it is right where q overflows
    or underflows, and k is then as far as its own range goes.
    """
    samples = len(h)
    rows = np.reshape(h, (samples, -1)) if samples else np.zeros((0, 0))
    if not rows.size:
        return math.nan, math.nan, math.nan
    scale = float(np.max(np.abs(rows))) if rows.dtype.itemsize > 4 else 1.0  # float32 squares fit float64 unscaled
    scale = scale if scale > 0.0 else 1.0
    square, spread = _moments(rows, scale)
    q = square * scale * scale
    if samples < 2:
        return q, math.nan, math.nan
    c = 1.0 - spread / square * samples / (samples - 1) if square > 0.0 else math.nan
    return q, (q * c if square > 0.0 else q), c


def _moments(rows: Array, scale: float) -> tuple[float, float]:
    """Return mean square and mean variance over samples, of the entries divided by the scale."""
    samples, features = rows.shape
    width = max(1, BLOCK // samples)
    square = spread = 0.0
    with np.errstate(invalid="ignore"):
        for start in range(0, features, width):
            block = rows[:, start : start + width].astype(np.float64)
            if scale != 1.0:
                block /= scale
            square += float(np.vdot(block, block))
            block -= block.mean(axis=0)
            spread += float(np.vdot(block, block))
    return square / rows.size, spread / rows.size
