"""Draw the kernels between sigmoids 4 x orthogonal with biases b = -W.1/2: at the start, the critical tanh network.

With u = z/2, sigmoid(z) - 1/2 = tanh(u)/2. The bias takes off what the mean 1/2 of a sigmoid adds, and
u' = (4 O) tanh(u)/2 / 2 = O tanh(u). The first kernel reads the data, whose mean is not 1/2: 4 x orthogonal, no bias.

Does harm to weights that were loaded: they are lost. Needs biases, and nothing between the sigmoids.
"""

from __future__ import annotations

from unvanish.core.edit import Edit, Invasiveness, Prescription, Redraw
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import NORMS, activation_of, applying, has, hidden_kernels

NAME = "centred-orthogonal-init"
ANSWERS: tuple[str, ...] = ("GF101", "GF104", "GF201", "GF601")
INVASIVENESS: Invasiveness = "initialisation only"

BETWEEN = frozenset({"add", "concatenate", "dropout", "multiply", "other", "pool"}) | NORMS
"""Kinds behind which a sigmoid's mean is not 1/2 any more."""


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return the one prescription for a network of sigmoids; nothing for any other."""
    network = seen.network
    found = activation_of(network)
    kernels = hidden_kernels(network)
    if found is None or found[0] != "sigmoid" or len(kernels) < 2 or has(network, BETWEEN):
        return ()
    if any(layer.bias is None for layer in kernels):
        return ()
    centred = tuple(layer.name for layer in kernels if _reads_sigmoid(network, layer.name))
    first = tuple(layer.name for layer in kernels if layer.name not in centred)
    edits: tuple[Edit, ...] = (
        *((Redraw(layers=first, scheme="orthogonal", gain=4.0),) if first else ()),
        Redraw(layers=centred, scheme="centred_orthogonal", gain=4.0),
    )
    return (
        Prescription(
            name=NAME,
            change="kernels 4 x orthogonal, b = -W.1/2",
            invasiveness=INVASIVENESS,
            edits=edits,
            answers=ANSWERS,
            harm="where the weights were loaded: they are lost",
        ),
    )


def _reads_sigmoid(network: Network, name: str) -> bool:
    """Say whether what the layer reads left a sigmoid, whatever passes it on unchanged in between."""
    sigmoids = applying(network, "sigmoid")
    waiting = list(network.sources(name))
    while waiting:
        source = waiting.pop()
        if source in sigmoids:
            return True
        if network.layer(source).kind == "flatten":
            waiting += network.sources(source)
    return False
