"""Draw the hidden kernels orthogonal, with the gain that belongs to their activation (Saxe et al. 2014).

An orthogonal kernel keeps the length of every direction, not only their mean: the spread of the gradient from one
initialisation to the next shrinks, and a tanh network of a hundred layers still trains (Pennington et al. 2017).
Kernels that are much wider on one side lose what the narrow side cannot hold.

Does harm to weights that were loaded: they are lost.
"""

from __future__ import annotations

from unvanish.core.edit import Invasiveness, Prescription, Redraw
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import NORMS, activation_of, has, hidden_kernels
from unvanish.cures.answers import WITH_DEPTH
from unvanish.cures.initialisations import SHIPPED_GAIN

NAME = "orthogonal-init"
ANSWERS: tuple[str, ...] = (*WITH_DEPTH, "GF201", "GF401", "GF603")
INVASIVENESS: Invasiveness = "initialisation only"


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return orthogonal kernels of the activation's gain; nothing for sigmoids and behind norms."""
    network = seen.network
    kernels = hidden_kernels(network)
    activation = (activation_of(network) or ("linear", None))[0]
    drawn = kernels and all(layer.kernel is not None and layer.kernel.orthogonal for layer in kernels)
    if not kernels or drawn or activation not in SHIPPED_GAIN or has(network, NORMS):
        return ()
    gain = SHIPPED_GAIN[activation][0]
    return (
        Prescription(
            name=NAME,
            change=f"kernel_initializer=Orthogonal(gain={gain:.3g})",
            invasiveness=INVASIVENESS,
            edits=(Redraw(layers=tuple(layer.name for layer in kernels), scheme="orthogonal", gain=gain),),
            answers=ANSWERS,
            harm="where the weights were loaded: they are lost",
        ),
    )
