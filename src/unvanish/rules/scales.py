"""How large the numbers are that the first weights read, and the targets. Shared by GF201, GF302 and GF902."""

from __future__ import annotations

import math

from unvanish.core.network import Layer
from unvanish.core.observation import Observation
from unvanish.rules.heads import SQUARED
from unvanish.rules.paths import readers

UNSCALED_TARGETS = 10.0
"""Standard deviation of regression targets: ten times the one that every initialisation is made for."""


def first_kernels(seen: Observation) -> tuple[Layer, ...]:
    """Return the first kernels and embeddings on the ways from the network's inputs.

    Whatever else lies before them (a rescaling, a normalisation) is passed through: it may change the scale, and what
    the first kernel reads shows how.
    """
    inputs = [layer.name for layer in seen.network.layers if layer.kind == "input"]
    if not inputs or not seen.network.edges:
        return tuple(layer for layer in seen.network.layers if _reads_numbers(layer))[:1]
    found = {layer.name for name in inputs for layer in readers(seen.network, name, _reads_numbers)}
    return tuple(layer for layer in seen.network.layers if layer.name in found)


def _reads_numbers(layer: Layer) -> bool:
    return layer.kernel is not None or layer.kind == "embedding"


def entering(seen: Observation, layer: Layer) -> float | None:
    """Return the mean square of what a kernel with random weights reads, from what it made of it; None if not seen.

    E z^2 = fan_in E w^2 q (Poole et al. 2016, eq. 3, without the bias): whatever the network itself does to its inputs
    on the way, a division by 255 for instance, is in it.
    """
    profile = next((p for p in seen.profiles[0].layers if p.name == layer.name), None)
    if profile is None or profile.preactivation_second_moment is None or layer.kernel is None or not layer.fan_in:
        return None
    made = layer.fan_in * layer.kernel.second_moment
    bias = 0.0 if layer.bias is None else layer.bias.second_moment
    read = max(profile.preactivation_second_moment - bias, 0.0) / made if made > 0 else math.nan
    return read if math.isfinite(read) else None


def input_scale(seen: Observation) -> float | None:
    """Return the mean square of the inputs as the first kernels read them; None where that is not known.

    The smaller of what the data have and what the kernels saw: one of them alone may miss what lies in between.
    """
    read = [q for layer in first_kernels(seen) if (q := entering(seen, layer)) is not None]
    known = [q for q in (seen.data.input_second_moment, max(read, default=None)) if q is not None]
    return min(known, default=None)


def target_spread(seen: Observation) -> float | None:
    """Return the standard deviation of the regression targets; None for other tasks and where it is not known."""
    if seen.loss.kind not in SQUARED:
        return None
    if seen.data.label_sd is not None:
        return seen.data.label_sd
    chance = seen.loss.chance
    return math.sqrt(chance) if chance is not None and seen.loss.kind == "mean_squared_error" else None


def targets_words(seen: Observation) -> str:
    """Return what the targets' scale has to do with a training that does not work; empty where it has nothing."""
    spread = target_spread(seen)
    if spread is None or spread <= UNSCALED_TARGETS:
        return ""
    return f"the targets have a standard deviation of {spread:.3g}: divide them by it, the gradient shrinks with them"
