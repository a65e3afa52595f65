"""Let the hidden layers apply another activation, alone or with the initialisation that belongs to it.

A sigmoid passes at most 1/4 of the gradient; tanh passes all of it at zero. ReLU and its relatives pass half of it or
more, and need weights with a gain of sqrt(2): with Glorot's they lose a factor .71 at every layer, so that a swap alone
may not cure (measured: ReLU with Glorot at 100 layers stays at chance). Exactly linear at the start, and the best that
was measured, are those with f(u) - f(-u) = u under mirrored weights (Balduzzi et al. 2017).

Does harm where the range of the activation has a meaning: gates, attention scores, outputs between 0 and 1.
"""

from __future__ import annotations

from unvanish.core.activations import DEFAULT_PARAMETER
from unvanish.core.edit import Invasiveness, Prescription, Redraw, SwapActivation
from unvanish.core.network import Network
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import NORMS, activation_of, applying, has, hidden_kernels
from unvanish.cures.answers import WITH_DEPTH
from unvanish.cures.initialisations import SHIPPED_GAIN, has_gain, may_look_linear

NAME = "swap-activation"
ANSWERS: tuple[str, ...] = (*WITH_DEPTH, "GF201", "GF202", "GF401")
INVASIVENESS: Invasiveness = "one word"

ACTIVATIONS = ("tanh", "elu", "selu", "relu", "leaky_relu", "gelu", "silu")
MIRRORED = ("gelu", "relu")
"""Those worth trying with mirrored weights, the best that was measured first."""
HARM = "where the range of the activation has a meaning: gates, scores, outputs of a part between 0 and 1"


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return each activation alone, then with mirrored weights, then with the shipped initialiser of its gain."""
    network = seen.network
    found = activation_of(network)
    if found is None:
        return ()
    others = [name for name in ACTIVATIONS if name != found[0]]
    free = not has(network, NORMS)  # a norm divides any gain out again
    return (
        *(_swap(network, found[0], new) for new in others),
        *(_mirrored(network, found[0], new) for new in MIRRORED if new in others and may_look_linear(network)),
        *(_with_gain(network, found[0], new) for new in others if free and not has_gain(network, SHIPPED_GAIN[new][0])),
    )


def _swap(network: Network, old: str, new: str) -> Prescription:
    return Prescription(
        name=NAME,
        variant=new,
        change=f"activation='{new}'",
        invasiveness=INVASIVENESS,
        edits=(_edit(network, old, new),),
        answers=ANSWERS,
        harm=HARM,
    )


def _mirrored(network: Network, old: str, new: str) -> Prescription:
    kernels = tuple(layer.name for layer in network.kernels)
    return Prescription(
        name=NAME,
        variant=f"{new} + looks-linear-init",
        change=f"activation='{new}', kernels [[O, -O], [-O, O]] with orthogonal O, zero biases",
        invasiveness="one line",
        edits=(_edit(network, old, new), Redraw(layers=kernels, scheme="looks_linear")),
        answers=ANSWERS,
        harm=HARM,
        transmission=1.0,
    )


def _with_gain(network: Network, old: str, new: str) -> Prescription:
    gain, initializer = SHIPPED_GAIN[new]
    kernels = tuple(layer.name for layer in hidden_kernels(network))
    return Prescription(
        name=NAME,
        variant=f"{new} + {initializer}",
        change=f"activation='{new}', kernel_initializer='{initializer}'",
        invasiveness="one line",
        edits=(_edit(network, old, new), Redraw(layers=kernels, scheme="normal", gain=gain)),
        answers=ANSWERS,
        harm=HARM,
    )


def _edit(network: Network, old: str, new: str) -> SwapActivation:
    return SwapActivation(layers=applying(network, old), activation=new, parameter=DEFAULT_PARAMETER.get(new))
