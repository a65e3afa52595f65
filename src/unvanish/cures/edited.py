"""The network as theory would see it with a prescription: its layers edited, nothing built."""

from __future__ import annotations

from msgspec.structs import replace

from unvanish.core.edit import Edit, Redraw, SwapActivation
from unvanish.core.network import Layer, Network, WeightStats
from unvanish.cures.anatomy import hidden


def edited(network: Network, edits: tuple[Edit, ...]) -> Network | None:
    """Return the network with the edits in their order; None where they change more than weights and activations.

    Centred sigmoids are written as the tanh that they equal: with u = z/2, sigmoid(z) - 1/2 = tanh(u)/2, so kernels of
    gain 4 between them have gain 1, and one of gain 4 in front of the first has gain 2.
    """
    layers = {layer.name: layer for layer in network.layers}
    centred = any(isinstance(edit, Redraw) and edit.scheme == "centred_orthogonal" for edit in edits)
    for edit in edits:
        if isinstance(edit, SwapActivation):
            for name in edit.layers:
                layers[name] = swapped(layers[name], edit.activation, edit.parameter)
        elif isinstance(edit, Redraw) and edit.scheme != "looks_linear":
            shrunk = 1.0 if not centred else 0.25 if edit.scheme == "centred_orthogonal" else 0.5
            for name in edit.layers:
                layers[name] = redrawn(layers[name], edit.gain * shrunk, orthogonal=edit.scheme != "normal")
        else:
            return None
    if centred:
        inside = {layer.name for layer in hidden(network)}
        layers = {name: _as_tanh(layer) if name in inside else layer for name, layer in layers.items()}
    return replace(network, layers=tuple(layers.values()))


def swapped(layer: Layer, activation: str, parameter: float | None = None) -> Layer:
    """Return the layer with another activation, its weights left as they are."""
    return replace(layer, activation=activation, activation_parameter=parameter)


def redrawn(layer: Layer, gain: float, *, orthogonal: bool = False) -> Layer:
    """Return the kernel layer with E w^2 = gain^2 / fan_in (orthogonal: / the larger side) and zero biases.

    Source: He et al. 2015, eq. 10; Saxe et al. 2014 for orthogonal kernels. A layer without a kernel is given back.
    """
    if layer.kernel is None or not layer.fan_in:
        return layer
    side = max(layer.fan_in, layer.fan_out or 0) if orthogonal else layer.fan_in
    kernel = WeightStats(mean=0.0, variance=gain * gain / side, size=layer.kernel.size, orthogonal=orthogonal)
    bias = None if layer.bias is None else replace(layer.bias, mean=0.0, variance=0.0)
    return replace(layer, kernel=kernel, bias=bias)


def _as_tanh(layer: Layer) -> Layer:
    return swapped(layer, "tanh") if layer.activation == "sigmoid" else layer
