"""The kernels' gradient norms that the recursions add up to, relative to the output kernel's."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from unvanish.core.network import Layer
from unvanish.theory.cotangent import Cotangent, ln
from unvanish.theory.draws import stacked
from unvanish.theory.places import in_common
from unvanish.theory.recursion import Pass
from unvanish.theory.signal import Signal
from unvanish.theory.trunk import single_draw

Array = NDArray[np.float64]

_DECADE = math.log(10)
OWN = 0.25
"""Error of the theory's mean, in decades for each layer over its width: what is left out of second order in 1/width.
Fitted on the refine half of bench/forecast_accuracy.py."""


def gradient_norms(kernels: list[Pass], batch_size: int) -> Array:
    """Return log10 of each kernel's gradient norm over the last kernel's, for every value of the loss end.

    Shape (kernels, values).

    kernels: the layers that own a kernel, in forward order. The mean of a logarithm lies half its variance below the
    logarithm of the mean (log-normal: Hanin & Nica 2020). -inf for a gradient of exactly zero, nan where the last one's
    is.
    """
    felt = [at for at in kernels if at.d_before is not None]
    if not felt:
        return np.full((len(kernels), 1), -math.inf)
    squares = _log_squares(
        [(at.d_before, at.arriving, at.layer, *at.overlap) for at in felt if at.d_before is not None], batch_size
    )
    squares += np.array([_below_mean(at) for at in felt])[:, None]
    every = np.full((len(kernels), squares.shape[1]), -np.inf)
    every[[at.d_before is not None for at in kernels]] = squares
    last = np.where(np.isfinite(every[-1]), every[-1], np.nan)
    return np.asarray((every - last) / (2 * _DECADE), dtype=np.float64)


def _below_mean(at: Pass) -> float:
    """Return by how much the mean of ln |dL/dW|^2 differs from the logarithm of the mean."""
    d = at.d_before
    shift = single_draw(d.single, d.degrees)[0] - (d.noise + at.arriving.noise) / 2 if d is not None else 0.0
    return shift if math.isfinite(shift) else 0.0


def spread_of_first(kernels: list[Pass], norms: Array) -> float | None:
    """Return the standard deviation of log10(first/last) from one initialisation to the next.

    Finite width on the way back (Hanin & Nica 2020) and on the way forward, the sum over the batch, the loss end, and
    what the theory leaves out.
    """
    if len(kernels) < 2:
        return None
    first, last = kernels[0], kernels[-1]
    if first.d_before is None or last.d_before is None or not np.all(np.isfinite(norms[0])):
        return None
    width = first.d_before.noise + first.d_before.echo + single_draw(first.d_before.single, first.d_before.degrees)[1]
    width += gradient_noise(first.d_before, first.arriving, first.layer)
    width += gradient_noise(last.d_before, last.arriving, last.layer)
    felt = np.all(np.isfinite(norms), axis=1)
    own = OWN * math.fsum(
        1 / max(at.layer.units or 1, 1) for at, is_felt in zip(kernels[:-1], felt, strict=False) if is_felt
    )
    found = math.sqrt(width / (2 * _DECADE) ** 2 + float(norms[0].var()) + own * own)
    return found if math.isfinite(found) else None


def transmission_per_layer(kernels: list[Pass]) -> float:
    """Return the geometric mean of the factors by which |dL/du| changes from kernel to kernel, towards the input.

    Each is sqrt(chi) (Schoenholz et al. 2017, section 4).
    """
    logs = [at.d_before.log.mean if at.d_before is not None else math.nan for at in kernels]
    steps = per_step([log / (2 * _DECADE) for log in logs])
    return math.nan if math.isnan(steps) else float(10.0 ** min(steps, 300.0))


def per_step(decades: Iterable[float]) -> float:
    """Return the mean decades per kernel between hidden ones, towards the input; nan where there are no two.

    decades: one number a kernel. The first kernel is left out (its input has another scale), and so is the output's,
    while two others are left; those that are not finite always (behind a zero-initialised kernel).
    """
    known = list(decades)
    for part in (known[1:-1], known[:-1], known):
        finite = [number for number in part if math.isfinite(number)]
        if len(finite) > 1:
            return (finite[0] - finite[-1]) / (len(finite) - 1)
    return math.nan


def kernel_gradient(d: Cotangent, h: Signal, layer: Layer, inside: float, shared: float, batch_size: int) -> Array:
    """Return ln |dL/dW|^2 of the batch-mean loss: n_in [D q/B + (1 - 1/B) O k] (derived).

    D = |dL/du|^2 of one sample, O the same product of two samples: with O = D (alike - 1)/(B - 1) it is
    n_in D (spread + alike * k)/B, without cancellation. d: of the pre-activation. h: the kernel's input. inside,
    shared: of a convolution's taps (theory.profile).
    """
    return np.asarray(_log_squares([(d, h, layer, inside, shared)], batch_size)[0], dtype=np.float64)


def _log_squares(kernels: list[tuple[Cotangent, Signal, Layer, float, float]], batch_size: int) -> Array:
    """Return kernel_gradient of each, all at once: numpy takes as long for one."""
    logs, alike = stacked([d.log for d, *_ in kernels]), stacked([d.alike for d, *_ in kernels])
    rows = []
    for d, h, layer, inside, shared in kernels:
        told = (batch_size - 1) * d.pairs * h.pairs.whole * h.spread if d.places == 1 else 0.0
        scale = ln((layer.fan_in or 1) * inside / batch_size)
        rows.append((scale, h.spread + told, in_common(h, d.places, shared)))
    scales, own, common = np.array(rows).T[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(logs + scales + np.log(np.maximum(own + alike * common, 0.0)), dtype=np.float64)


def gradient_noise(d: Cotangent, h: Signal, layer: Layer) -> float:
    """Return the variance that |dL/dW|^2 has beyond that of d and h: it is one sum over pairs of samples (derived).

    Of the part that adds up over samples, units * (1 - common) directions are new; in the other part a pair's two
    products have random signs.
    """
    coherent = np.maximum(d.alike.array * in_common(h, d.places), 0.0)
    total = coherent + h.spread
    with np.errstate(invalid="ignore", divide="ignore"):
        share = float(np.where(total > 0, coherent / total, 1.0).mean())
    units = max(layer.units or 1, 1)
    own = 2 * share**2 * (1 - d.common) / units
    return own + 2 * (1 - share) ** 2 * (d.common + 1 / units) / max(layer.fan_in or 1, 1)
