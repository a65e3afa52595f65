"""Whether a network learns within a budget of Adam's steps: from its forecast alone, without data or training.

What can stand in the way is seen at the first step:

- A number leaves float32, or the outputs of two samples are the same number in it.
- The gradient of some kernel lies below Adam's epsilon, which then divides it: that kernel does not move.
- The step is too large. Adam moves every entry by the learning rate, whatever the size of its gradient, so that to
  first order one step takes rate * sum |dL/dw| off the batch's loss. A step that promises a good part of the whole loss
  has left the region where the gradient means anything. So there is a largest rate; and n inputs that are moved by it
  in one direction for all steps change what a kernel does by steps * rate * n, to be compared with the gain, about 1,
  that it began with. A network that explodes cannot go that far. Where the outputs of different samples are nearly the
  same, most of what a step promises moves all of them together, and what tells them apart has to grow first, by a
  factor 1/sqrt(1 - c): for every e-fold of that the weights have to go as far again.
"""

from __future__ import annotations

import math
import statistics

import numpy as np
from numpy.typing import NDArray

from unvanish.core.forecast import Forecast
from unvanish.core.learning import Learning, Obstacle
from unvanish.core.network import Layer, Network
from unvanish.theory.loss_start import LossStart, loss_start

Array = NDArray[np.float64]

STEPS, EPSILON = 300, {"keras": 1e-7, "torch": 1e-8}
"""A budget in which a network that is an isometry learns at any depth, and what Adam adds by default."""
SHARE = 1 / 6
"""Of the loss, what one step may promise."""
FAR_ENOUGH = 1.15
"""How far the steps must be able to change a kernel's gain. Only SHARE / FAR_ENOUGH matters (bench/trains.py)."""
DIGITS, LARGEST = 2.0**-24, 3.4e38
"""Relative spacing and largest number of float32."""
_MEAN_OF_NORMAL = math.sqrt(2 / math.pi)


def learns(
    network: Network, forecast: Forecast, *, batch_size: int = 32, steps: int = STEPS, epsilon: float | None = None
) -> Learning:
    """Say whether the network learns within so many steps of Adam, at the learning rate that suits it best.

    forecast: of this network, for this batch size. epsilon: Adam's; that of the network's library by default. Nothing
    is changed.
    """
    epsilon = EPSILON[network.library] if epsilon is None else epsilon
    kernels = network.kernels
    sizes = _gradients(kernels, forecast, batch_size) if not forecast.not_modelled else None
    if sizes is None:
        return Learning(learns=None, obstacle="unknown", steps=steps, epsilon=epsilon)
    logs, start, apart = sizes
    smallest = int(np.argmin(logs))
    promise = promised(logs, kernels)
    rate = SHARE * start.loss / 10.0 ** min(promise, 300.0) if promise > -300 else math.inf
    travel = steps * rate * statistics.median(layer.fan_in or 1 for layer in kernels[1:] or kernels)
    needed = FAR_ENOUGH * (1 + 0.5 * math.log(1 / min(max(apart, DIGITS**2), 1.0)))
    obstacle = _obstacle(float(logs[smallest]), float(logs.max()), start, apart, travel / needed, epsilon)
    return Learning(
        learns=not obstacle,
        obstacle=obstacle,
        steps=steps,
        epsilon=epsilon,
        smallest_gradient=float(logs[smallest]),
        smallest_at=kernels[smallest].name,
        apart=apart,
        loss=start.loss,
        promise=promise,
        stable_rate=rate,
        travel=travel,
        needed=needed,
    )


def promised(logs: Array, kernels: tuple[Layer, ...]) -> float:
    """Return log10 of sum |dL/dw| over the kernels' entries, taken as normal numbers of the RMS 10^logs."""
    entries = np.array([layer.kernel.size if layer.kernel else 0 for layer in kernels], dtype=np.float64)
    terms = logs + np.log10(_MEAN_OF_NORMAL * entries)
    top = float(terms.max())
    return top + math.log10(float((10.0 ** (terms - top)).sum())) if math.isfinite(top) else top


def _gradients(
    kernels: tuple[Layer, ...], forecast: Forecast, batch_size: int
) -> tuple[Array, LossStart, float] | None:
    """Return log10 of each kernel's gradient RMS per entry, the loss at the start, and 1 - c of the outputs.

    The output kernel's: |mean of e h^T|^2 = |e|^2 n q_h (1/B + (1 - 1/B) rho c), with residuals e that correlate by
    rho, and inputs h by c. None where the forecast lacks a number.
    """
    if not kernels:
        return None
    last = kernels[-1]
    logs = [forecast.layer(layer.name).log10_gradient_norm for layer in kernels]
    out = forecast.layer(last.name)
    gain = (last.fan_in or 0) * (last.kernel.second_moment if last.kernel else 0.0)
    if out.second_moment is None or out.correlation is None or None in logs or not gain > 0:
        return None
    own = last.bias.second_moment if last.bias else 0.0
    entering = max(out.second_moment - own, 0.0) / gain
    start = loss_start(out.second_moment, out.correlation, last.activation, last.units or 1)
    together = 1 / batch_size + (1 - 1 / batch_size) * start.alike * max(out.correlation, 0.0)
    square = start.residual * (last.fan_in or 0) * entering * together
    entries = np.array([layer.kernel.size if layer.kernel else 1 for layer in kernels], dtype=np.float64)
    output = 0.5 * math.log10(square) if square > 0 else -math.inf
    return np.array(logs, dtype=np.float64) + output - 0.5 * np.log10(entries), start, 1 - out.correlation


def _obstacle(smallest: float, largest: float, start: LossStart, apart: float, far: float, epsilon: float) -> Obstacle:
    if not (start.loss < LARGEST and largest < math.log10(LARGEST)):
        return "overflow"
    if smallest < math.log10(epsilon):
        return "gradient below epsilon"
    if math.sqrt(max(apart, 0.0)) < DIGITS:
        return "outputs alike"
    return "step too large" if far < 1 else ""
