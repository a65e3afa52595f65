"""Draw the recurrent kernels orthogonal, one block for each gate: their product neither grows nor shrinks.

The gradient at a step is multiplied by the recurrent kernel and the slope of the activation for every step back (Bengio
et al. 1994). An orthogonal kernel takes nothing away and adds nothing (Saxe et al. 2014; Arjovsky et al. 2016); what
the activation takes remains. Keras draws the kernels of all gates as one wide orthogonal matrix, each of whose square
blocks is a contraction.

Does harm to weights that were loaded: those of the recurrence are lost.
"""

from __future__ import annotations

import math

from unvanish.core.edit import Invasiveness, Prescription, RedrawRecurrence
from unvanish.core.network import Layer
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import recurrent

NAME = "orthogonal-recurrence"
ANSWERS: tuple[str, ...] = ("GF701", "GF702")
INVASIVENESS: Invasiveness = "initialisation only"

SAME_GAIN = 0.1
"""Relative difference below which another gain is no change."""


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return orthogonal recurrent kernels of gain one, for the layers that do not have them already."""
    layers = tuple(layer.name for layer in recurrent(seen.network) if not _is_orthogonal(layer))
    if not layers:
        return ()
    return (
        Prescription(
            name=NAME,
            change="recurrent kernels orthogonal, one block for each gate",
            invasiveness=INVASIVENESS,
            edits=(RedrawRecurrence(layers=layers),),
            answers=ANSWERS,
            harm="where the weights were loaded: those of the recurrence are lost",
        ),
    )


def _is_orthogonal(layer: Layer) -> bool:
    """Say whether each block has gain one: E w^2 = 1 / units, as of a square orthogonal matrix."""
    kernel = layer.recurrent_kernel
    if kernel is None or not kernel.orthogonal or not layer.units:
        return False
    return abs(math.sqrt(layer.units * kernel.second_moment) - 1) < SAME_GAIN
