"""Whether a network learns within a budget of Adam's steps: from its forecast, before any data or training (derived).

Adam moves every entry of a kernel by about the learning rate, whatever the size of its gradient g: by rate * g / (g +
epsilon). Over all steps that changes what the kernel does by its travel (travel.py has how gradients grow meanwhile),
to be compared with the gain that it began with, about 1. The kernel that goes least far decides. What tells the outputs
of two samples apart has the mean square q (1 - c), and the loss sees numbers of about 1. To come from the one to the
other it has to grow or to shrink, and the weights go as far again for every e-fold:

    needed = 1 + |ln(max(q, 1) (1 - c))| / 2 + sd^2

That all outputs are small is no hindrance: size alone grows in all kernels at once. (Shrinking it is one, for Adam
divides by the root of the mean square of all gradients so far, the first and largest included.) sd is the standard
deviation, from draw to draw, of ln of the first gradient: q (1 - c) is a mean square over the draws, and where its ln
is normal, as in deep networks (Hanin and Nica 2020, Theorem 1), a typical draw lies 2 sd^2 e-folds below it.

The rate is not free. An entry's step has the sign of the batch's gradient, which where samples have little in common is
a matter of chance to any other sample: so one step throws that sample's loss by about

    rate * sqrt(batch) * sqrt(sum (|G| g / (g + epsilon))^2)     over the entries, of which sqrt(batch) |G| is its own

and as many steps as one walks at random sqrt(steps) times as far. Thrown by a good part of the whole loss, it is where
its gradient means nothing any more: of the loss as it is at the start, or as it is when what all outputs have in common
has been put right (settled), whichever allows the larger step. So a network whose gradient explodes has to take steps
too small to arrive; one whose gradient vanishes is held by epsilon. What leaves the floating-point numbers does not
learn at all.

How far may be thrown was measured on ten classes under a softmax. A regression begins with outputs that are wrong all
alike, which a few steps put right, however large: of other heads, that the steps are too large is not said. Of networks
with dropout, that they learn is not said: its noise takes from every step, and by how much was not measured.
"""

from __future__ import annotations

import math
import statistics

import numpy as np
from numpy.typing import NDArray

from unvanish.core.forecast import Forecast
from unvanish.core.learning import Learning, Obstacle
from unvanish.core.network import Layer, Network
from unvanish.theory.loss_start import loss_start
from unvanish.theory.settled import settled
from unvanish.theory.travel import shares, travelled

Array = NDArray[np.float64]

STEPS, LARGEST_RATE, EPSILON = 300, 1e-3, {"keras": 1e-7, "torch": 1e-8}
"""A budget in which an isometry learns at any depth; Adam's learning rate and epsilon by default."""
SHARE, LAYER_NORMALISED = 0.38, 0.135
"""Of the loss, how far a sample may be thrown over all steps; the second where there is a layer normalisation for each
hidden kernel, and no shortcut. Measured on the 455 recipes of bench/trains.py that come before its `fourth` hundred;
that hundred moved neither. Why the second is smaller is not known; all else but one constant of travel.py is theory."""
DIGITS, LARGEST = 2.0**-24, 3.4e38
"""Relative spacing and largest number of float32."""


def learns(
    network: Network,
    forecast: Forecast,
    *,
    batch_size: int = 32,
    steps: int = STEPS,
    largest_rate: float = LARGEST_RATE,
    epsilon: float | None = None,
) -> Learning:
    """Say whether the network learns within so many steps of Adam, at the learning rate that suits it best.

    forecast: of this network, for batches of that size. largest_rate: no larger one is tried. epsilon: Adam's; that of
    the network's library by default. Nothing is changed.
    """
    epsilon = EPSILON[network.library] if epsilon is None else epsilon
    kernels = network.kernels
    found = None if forecast.not_modelled else _gradients(kernels, forecast)
    if found is None:
        return Learning(learns=None, obstacle="unknown", steps=steps, epsilon=epsilon)
    logs, second, apart = found
    last = kernels[-1]
    loss = loss_start(second, last.activation, last.units or 1)
    smallest = int(np.argmin(logs))
    scatter = scattered(logs + np.log10(shares(logs, epsilon)), kernels, batch_size)
    left, factor = settled(second, apart, last.activation, last.units or 1, batch_size)
    bound = _share(network) * max(loss, left / factor) / math.sqrt(steps)
    rate = min(largest_rate, bound / 10.0 ** min(max(scatter, -300.0), 300.0))
    fan_in = statistics.median(layer.fan_in or 1 for layer in kernels[1:] or kernels)
    far = travelled(logs, np.full_like(logs, fan_in), second, steps=steps, rate=rate, epsilon=epsilon)
    travel = float(far.min())
    share = travel / (steps * rate * fan_in)
    needed = 1 + 0.5 * abs(math.log(max(second, 1.0) * min(max(apart, DIGITS**2), 1.0)))
    needed += (math.log(10) * (forecast.log10_sd or 0.0)) ** 2
    held_by = "" if travel >= needed else _holder(share, rate / largest_rate)
    obstacle = _obstacle(float(logs.max()), loss, apart, held_by)
    if obstacle == "step too large" and last.activation != "softmax":
        obstacle = "other head"
    if not obstacle and any(layer.kind == "dropout" and layer.keep < 1 for layer in network.layers):
        obstacle = "dropout"
    return Learning(
        learns=None if obstacle in ("other head", "dropout") else not obstacle,
        obstacle=obstacle,
        steps=steps,
        epsilon=epsilon,
        smallest_gradient=float(logs[smallest]),
        smallest_at=kernels[smallest].name,
        apart=apart,
        loss=loss,
        scatter=scatter,
        rate=rate,
        share=share,
        travel=travel,
        needed=needed,
    )


def scattered(logs: Array, kernels: tuple[Layer, ...], batch_size: int) -> float:
    """Return log10 of how far a step of rate 1 throws the loss of a sample outside of the batch, to first order.

    logs: log10 of the RMS, per entry, of each kernel's gradient of the batch-mean loss.
    """
    entries = np.array([layer.kernel.size if layer.kernel else 0 for layer in kernels], dtype=np.float64)
    with np.errstate(divide="ignore"):
        terms = 2 * logs + np.log10(batch_size * entries)
    top = float(terms.max())
    return 0.5 * (top + math.log10(float((10.0 ** (terms - top)).sum()))) if math.isfinite(top) else top


def _share(network: Network) -> float:
    kinds = [layer.kind for layer in network.layers]
    all_normalised = 0 < len(network.kernels) - 1 <= kinds.count("layer_norm")
    return LAYER_NORMALISED if all_normalised and "add" not in kinds else SHARE


def _gradients(kernels: tuple[Layer, ...], forecast: Forecast) -> tuple[Array, float, float] | None:
    """Return log10 of each kernel's gradient RMS per entry, and q and 1 - c of the outputs before a fused head.

    None where the forecast lacks a number.
    """
    if not kernels:
        return None
    last, told = kernels[-1], {layer.name: layer for layer in forecast.layers}
    logs = [told[layer.name].log10_gradient_norm for layer in kernels]
    out, output = told[last.name], forecast.log10_output_gradient
    if out.second_moment is None or out.correlation is None or output is None or None in logs:
        return None
    entries = np.array([layer.kernel.size if layer.kernel else 1 for layer in kernels], dtype=np.float64)
    return np.array(logs, dtype=np.float64) + output - 0.5 * np.log10(entries), out.second_moment, 1 - out.correlation


def _obstacle(largest: float, loss: float, apart: float, held_by: Obstacle) -> Obstacle:
    """Return the first that holds; held_by: what keeps the steps too short, empty where they are long enough."""
    if not (loss < LARGEST and largest < math.log10(LARGEST)):
        return "overflow"
    return held_by or ("outputs alike" if math.sqrt(max(apart, 0.0)) < DIGITS else "")


def _holder(share: float, rate: float) -> Obstacle:
    """Return what keeps the steps too short: of their share of a whole step and of the largest rate, the smaller one.

    Where neither halves them, a kernel has too few entries for so many steps of the largest rate.
    """
    if min(share, rate) > 0.5:
        return "too narrow"
    return "gradient below epsilon" if share < rate else "step too large"
