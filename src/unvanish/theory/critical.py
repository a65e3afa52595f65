"""The gain of the weights at which a layer passes the gradient on unchanged."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from unvanish.core.forecast import LayerForecast
from unvanish.core.network import Network


def with_critical_gains(network: Network, layers: Sequence[LayerForecast]) -> tuple[LayerForecast, ...]:
    """Return the forecasts with `critical_gain` filled in for every kernel.

    chi = gain^2 E f'^2 = 1 (Poole et al. 2016, eq. 4; Schoenholz et al. 2017, eq. 5): the critical gain is the inverse
    of what the activations behind the kernel pass on, at the q that this network has there: fused into the kernel's
    layer, or layers of their own up to the next kernel, normalisation or branching. None where nothing is passed.
    """
    known = {layer.name: layer for layer in layers}
    followers: dict[str, list[str]] = {}
    for edge in network.edges:
        followers.setdefault(edge.source, []).append(edge.target)
    kinds = {layer.name: layer.kind for layer in network.layers}
    kernels = {layer.name for layer in network.kernels}

    def passed(name: str) -> float:
        """Return the product of the activations' transmissions from the layer on."""
        share = known[name].activation_transmission or 0.0
        after = followers.get(name, [])
        if len(after) == 1 and kinds[after[0]] in ("activation", "dropout", "flatten"):
            share *= passed(after[0]) if kinds[after[0]] == "activation" else _through(after[0])
        return share

    def _through(name: str) -> float:
        after = followers.get(name, [])
        return passed(after[0]) if len(after) == 1 and kinds[after[0]] == "activation" else 1.0

    return tuple(
        replace(layer, critical_gain=1 / share)
        if layer.name in kernels and (share := passed(layer.name)) > 0
        else layer
        for layer in layers
    )
