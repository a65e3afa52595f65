"""The forecast of what is measured over depth: the factor per layer of the kernels' gradients, and of the signal.

A kernel's gradient is made by what arrives from behind and by the signal that comes from the front, so that its factor
per layer need not be that of the pre-activations' gradients: of ReLU with Glorot weights they are 1.0 and 0.71.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from unvanish.core.forecast import Forecast
from unvanish.core.measures.slope import slope
from unvanish.core.network import Network


def gradient_factor(expected: Forecast, network: Network, layers: Sequence[str] = ()) -> float | None:
    """Return the factor by which those kernels' gradient RMS changes per layer towards the input.

    layers: the kernels that a line was fitted to; the hidden ones where none are named. The forecast is of norms, and
    a norm is RMS x sqrt(size). Where theory does not know three of them, its own mean of all.
    """
    norms = {layer.name: layer.log10_gradient_norm for layer in expected.layers}
    sizes = {layer.name: layer.kernel.size for layer in network.kernels if layer.kernel is not None}
    names = layers or [layer.name for layer in network.kernels[1:-1]]
    rms = {
        name: norm - 0.5 * math.log10(size)
        for name in names
        if (norm := norms.get(name)) is not None and math.isfinite(norm) and (size := sizes.get(name))
    }
    return _factor(network, rms, -1) if len(rms) >= 3 else expected.gradient_factor_per_layer


def signal_factor(expected: Forecast, network: Network) -> float | None:
    """Return the factor by which the forward signal (RMS) changes per layer towards the output; None when unknown."""
    known = {layer.name: layer.second_moment for layer in expected.layers}
    hidden = [layer.name for layer in network.kernels[1:-1]]
    rms = {name: math.log10(q) / 2 for name in hidden if (q := known.get(name)) and 0 < q < math.inf}
    return _factor(network, rms, 1) if len(rms) >= 2 else None


def _factor(network: Network, log10: Mapping[str, float], direction: int) -> float:
    """Return the factor per kernel of a line through the numbers; direction: 1 to the output, -1 to the input."""
    place = {layer.name: i for i, layer in enumerate(network.kernels)}
    per_step = slope([direction * place[name] for name in log10], list(log10.values())).per_step
    return float(10.0 ** min(per_step, 300.0))
