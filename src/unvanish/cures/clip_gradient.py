"""Let the optimizer clip the gradient (Pascanu et al. 2013): offered for growth, measured for all.

Clipping bounds the step. It scales all layers alike (`clipnorm` of one array: that array), so it cannot change how the
gradient is spread over the depth: against vanishing it has no effect, and its row in the table is there to show that.
The bounds are those of all gradients together, of each array, and of each entry. Adaptive clipping (Brock et al. 2021:
each unit's gradient against its own weights) is not among them: no optimizer of Keras' has it, and a class of its own
for every optimizer class would have to be written into the user's source.

Does harm where the bound lies below the usual norm: it is then a smaller learning rate.
"""

from __future__ import annotations

from unvanish.core.edit import Clip, Invasiveness, Prescription
from unvanish.core.observation import Observation

NAME = "clip-gradient"
ANSWERS: tuple[str, ...] = ("GF102", "GF105", "GF302", "GF401", "GF602", "GF702")
INVASIVENESS: Invasiveness = "one line"

BOUNDS = (
    ("global norm 1", "global_clipnorm=1.0", Clip(kind="global_norm", bound=1.0)),
    ("norm 1", "clipnorm=1.0", Clip(kind="norm", bound=1.0)),
    ("value 0.5", "clipvalue=0.5", Clip(kind="value", bound=0.5)),
)
"""Variant, argument of the optimizer, edit: the bounds that tutorials name."""


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return every bound; nothing where the optimizer clips already."""
    if seen.optimizer.clipping is not None:
        return ()
    return tuple(
        Prescription(
            name=NAME,
            variant=variant,
            change=f"{argument} in the optimizer",
            invasiveness=INVASIVENESS,
            edits=(clip,),
            answers=ANSWERS,
            harm="where the bound lies below the usual norm: it is then a smaller learning rate",
        )
        for variant, argument, clip in BOUNDS
    )
