"""Add the input of every hidden layer to what leaves it, times a gain that starts at zero (He 2016; Bachlechner 2021).

h + g F(h) with g = 0 is the identity at the start, at any depth. F's own gradient is exactly zero at the first step, by
design: such a network is judged after it was trained, not before.

Does harm where a layer must forget its input; costs an addition and a weight for each.
"""

from __future__ import annotations

from unvanish.core.edit import AddResidual, Invasiveness, Prescription
from unvanish.core.network import Layer, Network
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import has, hidden_kernels
from unvanish.cures.answers import WITH_DEPTH

NAME = "add-residual"
ANSWERS: tuple[str, ...] = WITH_DEPTH
INVASIVENESS: Invasiveness = "architecture"


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return a branch at every hidden layer as wide as its input; nothing where branches are already."""
    network = seen.network
    kernels = tuple(layer.name for layer in hidden_kernels(network) if _keeps_width(network, layer))
    if not kernels or has(network, frozenset({"add"})):
        return ()
    return (
        Prescription(
            name=NAME,
            change="h + g * F(h) around every hidden layer, g = 0 at the start",
            invasiveness=INVASIVENESS,
            edits=(AddResidual(layers=kernels),),
            answers=ANSWERS,
            harm="where a layer must forget its input",
        ),
    )


def _keeps_width(network: Network, layer: Layer) -> bool:
    sources = network.sources(layer.name)
    return len(sources) == 1 and bool(layer.shape) and network.layer(sources[0]).shape == layer.shape
