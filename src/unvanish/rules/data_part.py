"""What part of a kernel's gradient the data can have made at most; the rest is a penalty on the weights.

A weight penalty adds its own gradient, of the weights' size, to every kernel, and hides a decay behind it. The data's
part of a dense kernel's gradient is the product of the layer's cotangents and inputs, G = delta^T h, so that
|G| <= |delta| |h| (Cauchy-Schwarz); of a convolution |G| <= |delta| |h| sqrt(positions of the kernel).
"""

from __future__ import annotations

import math

from unvanish.core.network import Layer
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile

CERTAIN = 2.0
"""A gradient above so many times its bound cannot come from the data, whatever the batches' norms did to the mean."""


def without_penalty(seen: Observation, profile: Profile, norms: dict[str, float]) -> dict[str, float]:
    """Return the kernels' gradient norms, each cut to what the data can have made where it is certainly more.

    norms: kernel name -> norm, as the probe saw them; not changed. Kernels without a known bound stay as they are.
    """
    found = {layer.name: layer for layer in profile.layers}
    cut = dict(norms)
    for layer in seen.network.kernels:
        norm, cotangent = norms.get(layer.name), None
        if layer.name in found:
            cotangent = found[layer.name].preactivation_gradient_norm
        entering = _entering(seen, profile, layer)
        if norm is None or cotangent is None or entering is None:
            continue
        bound = cotangent * entering
        if bound > 0 and norm > CERTAIN * bound:
            cut[layer.name] = bound
    return cut


def _entering(seen: Observation, profile: Profile, layer: Layer) -> float | None:
    """Return the norm of what enters a kernel, over the whole batch, once per position of the kernel; None: unknown."""
    sources = seen.network.sources(layer.name)
    shared = sum(other.kernel == layer.kernel for other in seen.network.kernels) > 1  # its gradient sums several calls
    if len(sources) != 1 or not layer.fan_in or shared:
        return None
    source = seen.network.layer(sources[0])
    square = next((p.output_second_moment for p in profile.layers if p.name == source.name), None)
    if square is None and source.kind == "input":
        square = seen.data.input_second_moment
    if square is None or not source.shape or any(size is None for size in source.shape):
        return None
    features = math.prod(size or 1 for size in source.shape)
    positions = layer.fan_in / max(source.shape[-1] or 1, 1) if layer.kind == "conv" else 1.0
    return math.sqrt(profile.batch_size * features * positions * square)
