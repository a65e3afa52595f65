"""Put a layer normalisation at every hidden layer, before its activation or after it (Ba et al. 2016).

It keeps the signal of every sample at unit variance, whatever the batch. Before a sigmoid it does not cure: the
gradient still shrinks by .39 a layer (measured and forecast); after it, it divides by the spread of what it leaves.

Does harm where the size of a sample's features means something.
"""

from __future__ import annotations

from unvanish.core.edit import AddNorm, Invasiveness, Prescription
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import NORMS, has, hidden_kernels
from unvanish.cures.answers import WITH_DEPTH

NAME = "add-layer-norm"
ANSWERS: tuple[str, ...] = (*WITH_DEPTH, "GF201", "GF202", "GF302", "GF401")
INVASIVENESS: Invasiveness = "architecture"


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return one before every activation, and one after; nothing where a normalisation is already."""
    network = seen.network
    kernels = tuple(layer.name for layer in hidden_kernels(network))
    if not kernels or has(network, NORMS):
        return ()
    return tuple(
        Prescription(
            name=NAME,
            variant="before" if before else "after",
            change=f"LayerNormalization() {'before' if before else 'after'} every hidden activation",
            invasiveness=INVASIVENESS,
            edits=(AddNorm(layers=kernels, kind="layer_norm", before=before),),
            answers=ANSWERS,
            harm="where the size of a sample's features means something",
        )
        for before in (False, True)
    )
