"""Draw the hidden kernels with the gain that belongs to their activation (LeCun 1998, Glorot 2010, He 2015).

With weights of variance gain^2 / fan_in a layer passes the gradient unchanged at its activation's critical gain: 1 for
tanh and its relatives, sqrt(2) for ReLU and its relatives. Sigmoids have none (see centred-orthogonal-init), and behind
a normalisation a gain is divided out again. Weights that are too large make every step too large as well: the gradient
of a layer grows with the weights of all others.

Does harm to weights that were loaded: they are lost.
"""

from __future__ import annotations

from unvanish.core.edit import Invasiveness, Prescription, Redraw
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import NORMS, activation_of, has, hidden_kernels
from unvanish.cures.answers import WITH_DEPTH
from unvanish.cures.initialisations import SHIPPED_GAIN, has_gain

NAME = "rescale-init"
ANSWERS: tuple[str, ...] = (*WITH_DEPTH, "GF201", "GF202", "GF302", "GF401", "GF603")
INVASIVENESS: Invasiveness = "initialisation only"


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return the shipped initialiser of the activation's gain, unless the kernels have it already."""
    network = seen.network
    kernels = tuple(layer.name for layer in hidden_kernels(network))
    activation = (activation_of(network) or ("linear", None))[0]
    if not kernels or activation not in SHIPPED_GAIN or has(network, NORMS):
        return ()
    gain, initializer = SHIPPED_GAIN[activation]
    if has_gain(network, gain) and not _alike(network):
        return ()
    return (
        Prescription(
            name=NAME,
            variant=initializer,
            change=f"kernel_initializer='{initializer}'",
            invasiveness=INVASIVENESS,
            edits=(Redraw(layers=kernels, scheme="normal", gain=gain),),
            answers=ANSWERS,
            harm="where the weights were loaded: they are lost",
        ),
    )


def _alike(network: Network) -> bool:
    """Say whether units of a layer share their weights: another draw tells them apart."""
    return any(
        layer.distinct_units is not None and layer.units is not None and layer.distinct_units < layer.units
        for layer in hidden_kernels(network)
    )
