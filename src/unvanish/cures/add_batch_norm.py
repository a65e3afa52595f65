"""Put a batch normalisation at every hidden layer, before its activation or after it (Ioffe & Szegedy 2015).

It keeps the signal at unit variance, and the gradient of sigmoids near neutral. Without skips the gradient of a ReLU
network then grows by about 1.21 at every layer towards the input (Yang et al. 2019): harmless at eleven layers, fatal
at a hundred. The forecast does not know layers that are not there yet, so the look at the first step decides.

Does harm with small batches, and where training and evaluation see different data.
"""

from __future__ import annotations

from unvanish.core.edit import AddNorm, Invasiveness, Prescription
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import NORMS, has, hidden_kernels
from unvanish.cures.answers import WITH_DEPTH

NAME = "add-batch-norm"
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
            change=f"BatchNormalization() {'before' if before else 'after'} every hidden activation",
            invasiveness=INVASIVENESS,
            edits=(AddNorm(layers=kernels, kind="batch_norm", before=before),),
            answers=ANSWERS,
            harm="with small batches; in deep networks without skips the gradient grows",
        )
        for before in (True, False)
    )
