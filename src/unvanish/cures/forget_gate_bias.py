"""Let the gate that carries the state start open: for T steps a bias of log T.

A gate with a bias of b passes sigmoid(b) of the state on at every step, and forgets with a time constant of about e^b
steps (Tallec & Ollivier 2018, section 2). A bias of 0 passes half, Keras' usual 1 for an LSTM passes .73: a hundred
steps later 10^-14 are left. A GRU's update gate plays the same part, and begins at 0.

Does harm where the past does not matter: the network has to learn to forget.
"""

from __future__ import annotations

import math

from unvanish.core.edit import CarryState, Invasiveness, Prescription
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import recurrent

NAME = "forget-gate-bias"
ANSWERS: tuple[str, ...] = ("GF701",)
INVASIVENESS: Invasiveness = "initialisation only"

GATED = frozenset({"gru", "lstm"})
SHORTEST = 3
"""Steps below which a sequence has no past worth a bias: log 3 is about the one that Keras gives."""


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return the bias for the longest sequence that a gated layer read; nothing without one, or without biases."""
    steps = {time.layer: len(time.log10_gradient) for time in seen.profiles[0].through_time if time.cell in GATED}
    layers = tuple(layer.name for layer in recurrent(seen.network) if layer.name in steps and layer.bias is not None)
    longest = max((steps[name] for name in layers), default=0)
    if longest <= SHORTEST:
        return ()
    bias = round(math.log(longest), 1)
    return (
        Prescription(
            name=NAME,
            variant=f"{bias:g}",
            change=f"forget-gate bias {bias:g}, about log of {longest} steps",
            invasiveness=INVASIVENESS,
            edits=(CarryState(layers=layers, bias=bias),),
            answers=ANSWERS,
            harm="where the past does not matter: the network has to learn to forget",
        ),
    )
