"""What a forecast comes to: whether the gradient arrives, and which layer stands for the recipe."""

from __future__ import annotations

import math

from unvanish.core.forecast import Forecast
from unvanish.core.network import Layer, Network
from unvanish.core.outlook import Expected
from unvanish.theory.bands import DECADES
from unvanish.theory.loss_end import FUSED_HEADS

_FEWEST = 5
"""Kernels of which three are hidden, so that a slope over depth can be seen."""


def verdict(network: Network, forecast: Forecast) -> tuple[Expected, str]:
    """Return the verdict by bands.DECADES on what the gradient changes by over the depth, and why it is undecided.

    As GF101 and GF102 judge what is measured: what two neighbouring hidden kernels differ by, times the number of
    kernels. The first and the last one, whose inputs are of other kinds, are compared where there are fewer than three
    hidden ones. A signal that vanishes or explodes on its way to the output leaves that alone and hurts all the same:
    then it is not called fine.
    """
    if forecast.not_modelled:
        return "undecided", f"the theory does not model {', '.join(forecast.not_modelled)}"
    change = over_depth(network, forecast)
    if change is None:
        if len(network.kernels) > 1:
            return "undecided", "the signal or the gradient leaves the range of numbers on its way"
        return "undecided", "two layers with weights are needed to compare their gradients"
    if abs(change) >= DECADES:
        return ("vanishes" if change < 0 else "explodes"), ""
    signal = _signal(network, forecast)
    if not abs(signal) < DECADES:
        found = f"the gradient changes by 10^({change:.1f}) over the depth, which is fine"
        return "undecided", f"{found}, but the signal changes by 10^({signal:.1f})"
    return "fine", ""


def on_the_line(word: Expected, forecast: Forecast) -> bool:
    """Say whether the verdict's line is within two standard deviations of the first/last gradient ratio.

    False where the ratio lies on the other side of it already: then it is the slope that tells the verdict.
    """
    change, sd = forecast.log10_first_over_last, forecast.log10_sd
    if change is None or sd is None or word == "undecided":
        return False
    away = {"fine": DECADES - abs(change), "vanishes": -DECADES - change, "explodes": change - DECADES}[word]
    return 0 <= away < 2 * sd


def over_depth(network: Network, forecast: Forecast) -> float | None:
    """Return log10 of what the gradient changes by over the depth, towards the input; None where there is no depth."""
    factor, kernels = forecast.gradient_factor_per_layer, len(network.kernels)
    if factor is None or kernels < _FEWEST:
        return forecast.log10_first_over_last
    return math.log10(factor) * kernels if factor > 0 else -math.inf


def _signal(network: Network, forecast: Forecast) -> float:
    """Return log10 of the RMS of the last hidden kernel's pre-activation over the first's; nan when it is not known."""
    first, last = (forecast.layer(layer.name).second_moment for layer in _ends(network))
    if first is None or last is None:
        return math.nan
    return 0.5 * math.log10(last / first) if 0 < first < math.inf and last > 0 else -math.inf


def typical(network: Network) -> str | None:
    """Return the name of the middle one of the hidden kernels between the first and the output's; None without one."""
    hidden = network.kernels[1:-1]
    return hidden[len(hidden) // 2].name if hidden else None


def beside_a_shortcut(network: Network, name: str) -> bool:
    """Say whether all that the layer makes is added to something: then no gain of its kernel is critical.

    Past an addition the gradient goes through the shortcut, whatever the branch's gain, which only adds to it.
    """
    kinds, targets = {layer.name: layer.kind for layer in network.layers}, network.targets()
    while len(reading := targets.get(name, [])) == 1:
        name = reading[0]
        if kinds[name] == "add":
            return True
    return False


def apart(network: Network, forecast: Forecast) -> tuple[float | None, float | None]:
    """Return 1 - c of two inputs in the first kernel and in the last hidden one; None where it is not known."""
    found = [forecast.layer(layer.name).correlation for layer in _ends(network)]
    one, other = (None if c is None else max(0.0, 1 - c) for c in found)
    return one, other


def assumed_loss(network: Network) -> str:
    """Return in words the loss that loss_end takes the output layers to be read by."""
    names = network.outputs or tuple(layer.name for layer in network.layers[-1:])
    heads = {network.layer(name).activation for name in names}
    fused = sorted(heads & FUSED_HEADS)
    found = [f"cross-entropy of the {' and the '.join(fused)} output"] if fused else []
    return " and ".join([*found, *(["squared error"] if heads - FUSED_HEADS else [])])


def _ends(network: Network) -> tuple[Layer, Layer]:
    """Return the first kernel and the last one before the output's; the only one twice."""
    kernels = network.kernels
    return kernels[0], kernels[max(len(kernels) - 2, 0)]
