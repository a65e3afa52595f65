"""The gain of the kernels against the critical one, by theory alone. Shared by GF601 and GF602."""

from __future__ import annotations

import math
from statistics import median
from typing import NamedTuple

from unvanish.core.observation import Observation
from unvanish.rules.gradients import depth_profile
from unvanish.rules.harm import starved, swamped
from unvanish.rules.signal import signal_profile
from unvanish.rules.words import two_digits
from unvanish.theory.bands import DECADES

LIMIT_DECADES = DECADES
"""The limit of the measured slope (GF101, GF102), applied to the product of gain / critical gain over the depth."""
NORMS = frozenset({"batch_norm", "group_norm", "layer_norm", "rms_norm"})


class Gains(NamedTuple):
    """Hold the product of gain / critical gain over the kernels that pass the gradient on."""

    layers: tuple[str, ...]
    decades: float
    gain: float
    """Median."""
    critical_gain: float
    """Median."""

    @property
    def evidence(self) -> dict[str, float]:
        """Return the numbers by name."""
        return {
            "gain": self.gain,
            "critical_gain": self.critical_gain,
            "gain_decades": self.decades,
            "layers_counted": float(len(self.layers)),
        }

    def told(self, how: str) -> str:
        """Return the sentence; how: `below` or `above`."""
        own, critical = two_digits(self.gain), two_digits(self.critical_gain)
        return f"the weights' gain of {own} is {how} the critical gain of {critical} in {len(self.layers)} layers"


def gains(seen: Observation) -> Gains | str | None:
    """Return the gains; None where no kernel passes a gradient on undivided; or the reason why nothing is known.

    Counted are the kernels that pass the gradient to another one (all but the first and, where three are left, the
    last), of random weights, without a normalisation before the next kernel: that would divide the gain out again.
    """
    if seen.forecast is None:
        return "there is no forecast of this network"
    expected = {layer.name: layer for layer in seen.forecast.layers}
    free = unnormalised(seen)
    kernels = [k for k in seen.network.kernels if k.kernel is not None and k.kernel.second_moment > 0]
    passing = kernels[1:-1] if len(kernels) >= 5 else kernels[1:]
    if len(seen.network.kernels) < 2 or not [k for k in passing if k.name in free]:
        return None
    known: list[tuple[str, float, float]] = []
    for kernel in passing:
        layer = expected.get(kernel.name)
        if kernel.name in free and layer is not None and layer.gain and layer.critical_gain:
            known.append((kernel.name, layer.gain, layer.critical_gain))
    if not known:
        return "theory knows no critical gain for these layers"
    return Gains(
        layers=tuple(name for name, _, _ in known),
        decades=math.fsum(math.log10(gain / critical) for _, gain, critical in known),
        gain=median(gain for _, gain, _ in known),
        critical_gain=median(critical for _, _, critical in known),
    )


def agrees(seen: Observation, sign: int) -> bool | None:
    """Say whether the measured profile went the way of the gains: -1 vanishing, 1 exploding; None if not measured."""
    gradients, signal = depth_profile(seen), signal_profile(seen)
    forward = signal is not None and (signal.fades if sign < 0 else signal.swells)
    if forward and (starved(seen) if sign < 0 else swamped(seen)):
        return True
    if isinstance(gradients, str):
        return None
    return gradients.vanishes if sign < 0 else gradients.explodes


def unnormalised(seen: Observation) -> frozenset[str]:
    """Return the names of the kernels that no normalisation follows before the next kernel."""
    free: set[str] = set()
    current = ""
    for layer in seen.network.layers:
        if layer.kernel is not None:
            current = layer.name
            free.add(current)
        elif layer.kind in NORMS:
            free.discard(current)
    return frozenset(free)
