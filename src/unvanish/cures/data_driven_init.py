"""Draw the hidden kernels orthogonal, then divide each by the spread of what it gives on a batch (LSUV).

Layer by layer from the input on, so that every pre-activation has unit variance, whatever the activation, the data and
the branches in between do to it (Mishkin & Matas 2016, algorithm 1): measured where others assume. Behind a sigmoid it
scales what the mean of 1/2 adds, and not the signal.

Does harm to weights that were loaded: they are lost. Needs a batch of the training inputs where the model is made.
"""

from __future__ import annotations

from unvanish.core.edit import Invasiveness, Prescription, Redraw, UnitVariance
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import NORMS, activation_of, has, hidden_kernels
from unvanish.cures.answers import WITH_DEPTH
from unvanish.cures.initialisations import SIGMOIDS

NAME = "data-driven-init"
ANSWERS: tuple[str, ...] = (*WITH_DEPTH, "GF201", "GF202", "GF603")
INVASIVENESS: Invasiveness = "initialisation only"


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return the one prescription; nothing for sigmoids, and where a norm divides any scale out again."""
    kernels = tuple(layer.name for layer in hidden_kernels(seen.network))
    activation = (activation_of(seen.network) or ("linear", None))[0]
    if not kernels or activation in SIGMOIDS or has(seen.network, NORMS):
        return ()
    return (
        Prescription(
            name=NAME,
            change="orthogonal kernels, each divided by the spread of what it gives on one batch (LSUV)",
            invasiveness=INVASIVENESS,
            edits=(Redraw(layers=kernels, scheme="orthogonal"), UnitVariance(layers=kernels)),
            answers=ANSWERS,
            harm="where the weights were loaded: they are lost",
        ),
    )
