"""Multiplication by constants: the scale of a residual branch, one number (SkipInit) or one for each unit (LayerScale).

A branch scale a multiplies chi of its branch by a^2: with a of about 1/sqrt(depth) the product over all blocks stays of
order 1 (De & Smith 2020; Touvron et al. 2021, section 3). The numbers are taken to be independent of the signal.
"""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.network import Layer
from unvanish.theory.cotangent import Cotangent, scaled
from unvanish.theory.signal import Signal, affine


def through_scale(h: Signal, layer: Layer) -> Signal:
    """Return gamma h + beta: q <- E gamma^2 q + E beta^2, gamma and beta independent of h (derived)."""
    scale, shift = affine(layer)
    second, mean = scale.second_moment, scale.mean * h.mean
    variance = max(second * h.second - mean * mean, 0.0) if scale.variance else second * h.variance
    return replace(
        h, mean=mean + shift.mean, variance=variance + shift.variance, spread=second * h.spread, made_by=None
    )


def back_through_scale(d: Cotangent, layer: Layer) -> Cotangent:
    """Return dL/dh = gamma dL/dh_out: the square times E gamma^2 (derived)."""
    scale, _ = affine(layer)
    return replace(scaled(d, scale.second_moment), branch=d.branch * scale.mean)
