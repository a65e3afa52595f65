"""Let the optimizer clip the gradient (Pascanu et al. 2013): offered for growth, measured for all.

Clipping bounds the step. It scales all layers alike (`clipnorm` of one array: that array), so it cannot change how the
gradient is spread over the depth: against vanishing it has no effect, and its row in the table is there to show that.

Does harm where the bound lies below the usual norm: it is then a smaller learning rate.
"""

from __future__ import annotations

from unvanish.core.edit import Clip, Invasiveness, Prescription
from unvanish.core.network import Network

NAME = "clip-gradient"
ANSWERS: tuple[str, ...] = ("GF102", "GF105", "GF302", "GF401", "GF602", "GF702")
INVASIVENESS: Invasiveness = "one line"


def propose(network: Network) -> tuple[Prescription, ...]:  # noqa: ARG001  # of every network
    """Return the bound that tutorials name: a norm of 1 for all gradients together."""
    return (
        Prescription(
            name=NAME,
            variant="global norm 1",
            change="global_clipnorm=1.0 in the optimizer",
            invasiveness=INVASIVENESS,
            edits=(Clip(kind="global_norm", bound=1.0),),
            answers=ANSWERS,
            harm="where the bound lies below the usual norm: it is then a smaller learning rate",
        ),
    )
