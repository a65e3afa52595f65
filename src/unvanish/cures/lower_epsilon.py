"""Lower the constant in the denominator of Adam and its relatives, where it is no longer small beside the gradient.

The step is lr m / (sqrt(v) + epsilon) (Kingma & Ba 2015, algorithm 1): at an epsilon of the gradient's own size a layer
moves half as fast as the learning rate says, at a hundred times its size a hundredth. A hundredth of the smallest
layer's gradient leaves the division whole. The profile over depth stays what it is: what makes a gradient vanish is
not cured by it.

Does harm where the gradient of some entries is noise: their steps become as large as all others.
"""

from __future__ import annotations

import math

from unvanish.core.edit import Invasiveness, Prescription, SetEpsilon
from unvanish.core.measures.time_to_learn import DIVIDES_BY_GRADIENT
from unvanish.core.observation import Observation

NAME = "lower-epsilon"
ANSWERS: tuple[str, ...] = ("GF303",)
INVASIVENESS: Invasiveness = "one line"

SMALL = 0.01
"""Part of the smallest gradient RMS below which an epsilon is out of the way: 1 % of the step."""
LOWEST = 1e-20
"""Below it the squares that Adam keeps are no numbers of float32 any more (1e-38), whatever epsilon is."""


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return an epsilon below every layer's gradient; nothing where it is already, or where there is none."""
    found = seen.optimizer.epsilon
    measured = {layer.name: layer.gradient_rms for layer in seen.profiles[0].layers}
    gradients = [measured.get(layer.name) or 0.0 for layer in seen.network.kernels if layer.trainable]
    smallest = min((rms for rms in gradients if rms > 0 and math.isfinite(rms)), default=None)
    if not found or seen.optimizer.family not in DIVIDES_BY_GRADIENT or smallest is None:
        return ()
    wanted = max(10.0 ** math.floor(math.log10(SMALL * smallest)), LOWEST)
    if wanted >= found:
        return ()
    return (
        Prescription(
            name=NAME,
            variant=f"{wanted:.0e}",
            change=f"epsilon={wanted:.0e} in the optimizer",
            invasiveness=INVASIVENESS,
            edits=(SetEpsilon(epsilon=wanted),),
            answers=ANSWERS,
            harm="where the gradient of some entries is noise: their steps become as large as all others",
        ),
    )
