"""Draw mirrored orthogonal kernels: with f(u) - f(-u) = u the network starts as an orthogonal linear map.

Hidden kernels are [[O, -O], [-O, O]], the first one [O, -O], the output's [A; -A], biases zero (Balduzzi et al. 2017).
Measured to train a thousand plain layers. Needs even widths, and plain layers from the input to the output: a norm, a
dropout or a branch between two of them breaks the pairs. Where a hidden layer is narrower than the one before it, what
it cannot hold is lost: nothing is proposed there.

Does harm to weights that were loaded: they are lost.
"""

from __future__ import annotations

from unvanish.core.edit import Invasiveness, Prescription, Redraw
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import activation_of
from unvanish.cures.answers import WITH_DEPTH
from unvanish.cures.initialisations import LOOKS_LINEAR, may_look_linear

NAME = "looks-linear-init"
ANSWERS: tuple[str, ...] = (*WITH_DEPTH, "GF201", "GF202", "GF401", "GF603")
INVASIVENESS: Invasiveness = "initialisation only"


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return the one prescription for a plain network of such an activation; nothing for any other."""
    network = seen.network
    found = activation_of(network)
    if found is None or found[0] not in LOOKS_LINEAR or not may_look_linear(network):
        return ()
    return (
        Prescription(
            name=NAME,
            change="kernels [[O, -O], [-O, O]]"
            + (" / (1 + slope)" if found[0] == "leaky_relu" else "")
            + " with orthogonal O, zero biases",
            invasiveness=INVASIVENESS,
            edits=(Redraw(layers=tuple(layer.name for layer in network.kernels), scheme="looks_linear"),),
            answers=ANSWERS,
            harm="where the weights were loaded: they are lost",
            transmission=1.0,
        ),
    )
