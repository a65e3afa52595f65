"""Which kernels are no longer as their declared initialiser draws them: trained, loaded or set."""

from __future__ import annotations

import math

from unvanish.core.network import Layer, Network
from unvanish.spec import initialisers

DECLARED = {
    "GlorotNormal": "glorot_normal",
    "GlorotUniform": "glorot_uniform",
    "HeNormal": "he_normal",
    "HeUniform": "he_uniform",
    "LecunNormal": "lecun_normal",
    "LecunUniform": "lecun_uniform",
}
"""Keras' name -> ours. Of others a gain or a range, which the name does not tell, decides."""

SDS = 6.0
"""Standard errors of the sample's mean and variance within which a draw lies."""


def not_as_drawn(network: Network) -> tuple[tuple[str, ...], int]:
    """Return the names of the kernels that their declared initialiser did not draw, and of how many that is known."""
    known = [layer for layer in network.kernels if layer.initializer in DECLARED and layer.fan_in and layer.fan_out]
    return tuple(layer.name for layer in known if not _drawn(layer)), len(known)


def _drawn(layer: Layer) -> bool:
    """Compare mean and variance with those declared; normal entries have the larger error, sqrt(2/N) of a variance."""
    found = layer.kernel
    if found is None or not found.size:
        return True
    expected = initialisers.kernel(DECLARED[layer.initializer or ""], layer.fan_in or 1, layer.fan_out or 1).variance
    near = abs(found.variance / expected - 1) <= SDS * math.sqrt(2 / found.size)
    return near and abs(found.mean) <= SDS * math.sqrt(expected / found.size)
