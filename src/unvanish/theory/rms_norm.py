"""RMS normalisation, h / sqrt(mean of h^2 over units): layer normalisation without the mean (Zhang & Sennrich 2019).

With n units, h^ the normalised values and r = q / (q + epsilon), E 1/(q_n + epsilon) over the units that are drawn is
(1 + x + x^2) / (q + epsilon), x = r^2 E (h^^2 - 1)^2 / n. The backward pass takes out the part along h^; with the
pull of each unit on q_n that is y = r (2 E[f'^2 h^^2]/E f'^2 - 1) / n for h = f(u) (derived, as in normalised_units).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from unvanish.core.activations import DEFAULT_PARAMETER, derivative, value
from unvanish.core.network import Layer
from unvanish.theory.backward import inverse
from unvanish.theory.cotangent import Cotangent, behind_norm, scaled
from unvanish.theory.normalised_units import NormalisedUnits
from unvanish.theory.quadrature import nodes
from unvanish.theory.signal import Signal, affine


def through_rms_norm(h: Signal, layer: Layer) -> Signal:
    """Return h / rms of h over the units, scaled."""
    scale, _ = affine(layer)
    below = h.second + (layer.epsilon or 0.0)
    factor = scale.second_moment / below if below > 0 else 0.0
    mean = scale.mean * h.mean / math.sqrt(below) if below > 0 else 0.0
    within = (layer.units or 1) * below / h.second if h.made_by is None and h.second > 0 else math.inf
    return Signal(mean, h.second * factor - mean * mean, h.spread * factor, h.together, within=within, pairs=h.pairs)


def back_through_rms_norm(d: Cotangent, h: Signal, layer: Layer) -> Cotangent:
    """Return dL/dh: divided by the RMS, less the part along the output."""
    scale, _ = affine(layer)
    n, epsilon = layer.units or 1, layer.epsilon or 0.0
    units = _units(h, epsilon, n) if h.made_by is not None and h.second > 0 else None
    factor = units.passed if units is not None else inverse(h.second, epsilon, d.along + d.bent, n, taken=0)
    d = scaled(d, scale.second_moment * factor * (1 - 1 / n))  # W^T dL/du has no part along x either
    return behind_norm(d, units, together=d.together if units is None else 0.0)


def _units(h: Signal, epsilon: float, n: int) -> NormalisedUnits:
    assert h.made_by is not None
    activation, parameter, u = h.made_by
    return _averages(activation, parameter, u.mean, u.variance, epsilon=epsilon, n=n)


@lru_cache(maxsize=1024)
def _averages(
    activation: str, parameter: float | None, mean: float, variance: float, *, epsilon: float, n: int
) -> NormalisedUnits:
    """Return the averages for h = f(u), u ~ N(mean, variance)."""
    if not (math.isfinite(mean) and 0 < variance < math.inf):
        return NormalisedUnits(math.nan, math.nan, math.nan, math.nan)
    parameter = DEFAULT_PARAMETER.get(activation, 0.0) if parameter is None else parameter
    z, weights = nodes(mean, math.sqrt(variance))
    with np.errstate(all="ignore"):
        u = mean + math.sqrt(variance) * z
        f, slope = value(activation, u, parameter), derivative(activation, u, parameter)
        square, steep = f * f, slope * slope
        q, steepness = float(weights @ square), float(weights @ steep)
        pull = float(weights @ (square * square)) / q**2 - 1
        along = float(weights @ (square * steep)) / (q * steepness) if steepness > 0 else 1.0
        lean = float(weights @ (f * slope)) ** 2 / (q * steepness) if steepness > 0 else 0.0
    r = q / (q + epsilon)
    x, y = r * r * pull / n, r * (2 * along - 1) / n
    through = steepness / (q + epsilon) * (1 + x + x * x) / (1 + y + 2 * y * y)
    return NormalisedUnits(r, (1 + x) * (1 - r / n) / (q + epsilon), through, lean)
