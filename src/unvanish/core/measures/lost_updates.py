"""How many updates of a weight array are lost because they are smaller than half the spacing of its numbers."""

from __future__ import annotations

import math

SIGNIFICANT_BITS = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}
"""Bits of the significand, the leading one included (IEEE 754-2019, table 3.5; bfloat16: float32 without 16 bits)."""
_BINADES = 80


def lost_share(weight_rms: float, update_rms: float, dtype: str) -> float | None:
    """Return the share of entries for which weight + update rounds to the weight; None for an unknown dtype.

    weight_rms, update_rms: of the entries before rounding, both Gaussian with mean zero. Between 2^k and 2^(k+1) the
    numbers of p significant bits lie 2^(k+1-p) apart, and an update below half of that rounds to nothing (round to
    nearest; Goldberg 1991, section 1.2). So the share is the sum over k of P(2^k <= |w| < 2^(k+1)) P(|u| < 2^(k-p)).
    No update at all counts as nothing lost; weights of zero keep every update.
    """
    bits = SIGNIFICANT_BITS.get(dtype)
    if bits is None:
        return None
    if not (update_rms > 0 and weight_rms > 0):
        return 0.0
    top = math.ceil(math.log2(weight_rms)) + 4  # beyond 16 standard deviations there is nothing
    binades = range(top, top - _BINADES, -1)
    return math.fsum(
        (_within(2.0 ** (k + 1), weight_rms) - _within(2.0**k, weight_rms)) * _within(2.0 ** (k - bits), update_rms)
        for k in binades
    )


def _within(bound: float, sd: float) -> float:
    """Return the probability that a Gaussian of that standard deviation lies within +-bound."""
    return math.erf(bound / (sd * math.sqrt(2)))
