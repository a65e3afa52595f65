"""What Deep Kernel Shaping's own signal tracking says of a plain stack: an arm beside the forecast, where it installs.

By DeepMind's package `dks` (pip install dks autograd): its Gaussian means of an activation and of its slope, at the
input size q = 1 that the method assumes of every layer and arranges for in the networks that it shapes (Martens et al.
2021, arXiv 2110.01765, sections 4 and 5). Nothing in it follows q through a network that was not shaped, a batch, or a
normalisation, so that its forecast is of one sample and of plain stacks alone; it has no band. The package has no
public function for these means: the two that its own transformations use are called.

AutoInit's signal tracking (Bingham & Miikkulainen 2023) is not on the package index: the `autoinit` there is another
package.
"""

from __future__ import annotations

import functools
import importlib.util
import math

from unvanish.core.network import Network

NAMES = {"silu": "swish", "gelu": "gelu_exact"}
"""Activation -> its name in the package, where that is another one."""


def missing() -> str:
    """Return why there can be no such arm; empty where there can."""
    lacking = [name for name in ("dks", "autograd") if importlib.util.find_spec(name) is None]
    return f"no signal tracking of DKS beside: {' and '.join(lacking)} not installed" if lacking else ""


def log10_first_over_last(network: Network, second_moment: float) -> float | None:
    """Return log10 of the first kernel's gradient norm over the output kernel's; None where it says nothing.

    network: hidden dense layers of one activation, and a head. second_moment: of the inputs.
    """
    *hidden, head = [layer for layer in network.layers if layer.kernel is not None]
    found = means(str(hidden[0].activation))
    if found is None:
        return None
    second, slope = found
    shared = math.log10(second_moment / second) if second_moment and second else 0.0
    on_the_way = [layer.units * layer.kernel.second_moment * slope for layer in (*hidden[1:], head)]
    return 0.5 * (shared + sum(map(math.log10, on_the_way)))


@functools.cache
def means(activation: str) -> tuple[float, float] | None:
    """Return E f^2 and E f'^2 at q = 1; None for an activation that the package does not have."""
    from dks.base.activation_getter import get_activation_function
    from dks.base.activation_transform import _calc_c_slope, _estimate_gaussian_mean

    try:
        function = get_activation_function(NAMES.get(activation, activation))
    except ValueError:
        return None
    second = float(_estimate_gaussian_mean(lambda x: function(x) ** 2))
    return second, float(_calc_c_slope(function, q_output=second)) * second
