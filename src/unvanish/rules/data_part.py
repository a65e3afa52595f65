"""What part of a kernel's gradient the data can have made at most; the rest is a penalty on the weights.

A weight penalty adds its own gradient, of the weights' size, to every kernel, and hides a decay behind it. The data's
part of a dense kernel's gradient is the product of the layer's cotangents and inputs, G = delta^T h, so that
|G| <= |delta| |h| (Cauchy-Schwarz); of a convolution |G| <= |delta| |h| sqrt(positions of the kernel).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

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
    entering = _entering(seen, profile)
    cut = dict(norms)
    for name, norm in norms.items():
        cotangent = found[name].preactivation_gradient_norm if name in found else None
        if cotangent is None or name not in entering:
            continue
        bound = cotangent * entering[name]
        if bound > 0 and norm > CERTAIN * bound:
            cut[name] = bound
    return cut


def _entering(seen: Observation, profile: Profile) -> dict[str, float]:
    """Return the norm of what enters each kernel, over the whole batch, once per position; unknown ones are left out.

    Of kernels that several layers share none is known: their gradient sums several calls.
    """
    network, sources = seen.network, dict[str, list[str]]()
    for edge in network.edges:
        sources.setdefault(edge.target, []).append(edge.source)
    layers = {layer.name: layer for layer in network.layers}
    given = {layer.name: layer.output_second_moment for layer in profile.layers}
    times = Counter(layer.kernel for layer in network.kernels)
    found = {}
    for layer in network.kernels:
        before = sources.get(layer.name, [])
        if len(before) == 1 and layer.fan_in and times[layer.kernel] == 1:
            source = layers[before[0]]
            square = given.get(source.name)
            if square is None and source.kind == "input":
                square = seen.data.input_second_moment
            if square is not None and source.shape and all(size is not None for size in source.shape):
                found[layer.name] = _norm(profile.batch_size, layer, source.shape, square)
    return found


def _norm(batch_size: int, layer: Layer, shape: Sequence[int | None], square: float) -> float:
    features = math.prod(size or 1 for size in shape)
    positions = layer.fan_in / max(shape[-1] or 1, 1) if layer.fan_in and layer.kind == "conv" else 1.0
    return math.sqrt(batch_size * features * positions * square)
