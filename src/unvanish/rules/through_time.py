"""The gradient through time of the recurrent layers: slope, horizon, and whether the loss needs the far past.

Shared by GF701 and GF702.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from unvanish.core.measures.slope import Slope
from unvanish.core.measures.time_horizon import time_horizon, time_slope
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile, TimeProfile
from unvanish.rules.gradients import LIMIT_DECADES

GATED = frozenset({"gru", "lstm"})
"""Cells whose state is carried by a gate that training can open."""
OPEN_BY_DESIGN = 0.45
"""Factor per step of a gated cell as it is usually made: a gate of zero bias passes 1/2, a forget bias of one 0.73, and
a tenth below the first is luck. Measured of LSTM and GRU of 16 to 256 units as PyTorch and Keras draw them: 0.58 to
0.96 (bench/recurrences.py); of plain cells 0.34 to 0.86."""


class Recurrence(NamedTuple):
    """Hold what one recurrent layer shows over its sequence."""

    layer: str
    label: str
    """The layer's name; with its place, `rnn 1/2`, where a stack of layers or directions goes by one name."""
    cell: str
    steps: int
    slope: Slope
    """Decades per step back."""
    horizon: float
    """Steps back until less than 10^-1.5 of the gradient at the last step is left; inf where it does not shrink."""
    log10_gradient: tuple[float, ...] = ()
    """As in TimeProfile."""

    @property
    def factor(self) -> float:
        """Return the factor per step back."""
        return float(10**self.slope.per_step)

    @property
    def decades(self) -> float:
        """Return the decades over the whole sequence, towards the past."""
        return self.slope.per_step * (self.steps - 1)

    @property
    def by_design(self) -> bool:
        """Say whether a gated cell carries as far as it is usually made to."""
        return self.cell in GATED and self.factor >= OPEN_BY_DESIGN

    def evidence(self, at_start: Recurrence | None) -> dict[str, float]:
        """Return the numbers by name, those of the same layer at the first probe beside them."""
        numbers = {
            "factor_per_step": self.factor,
            "slope_decades_per_step": self.slope.per_step,
            "slope_low": self.slope.low,
            "slope_high": self.slope.high,
            "horizon_steps": self.horizon,
            "sequence_steps": float(self.steps),
            "decades_over_sequence": self.decades,
        }
        before = {} if at_start is None else {"factor_at_start": at_start.factor, "horizon_at_start": at_start.horizon}
        return {name: number for name, number in (numbers | before).items() if math.isfinite(number)}


def recurrences(profile: Profile) -> tuple[Recurrence, ...]:
    """Return the recurrent layers of one probe, those with fewer than two steps left out."""
    names = [time.layer for time in profile.through_time]
    found = (_recurrence(time, _label(names, i)) for i, time in enumerate(profile.through_time))
    return tuple(one for one in found if one is not None)


def latest(seen: Observation) -> tuple[tuple[Recurrence, ...], dict[str, Recurrence]]:
    """Return what the last probe that looked shows, and what the first one did, by label.

    A probe whose gradients are not numbers (the training broke: GF401) shows nothing, and the one before it counts.
    """
    looked = [profile for profile in seen.profiles if profile.through_time and _finite(profile)]
    if not looked:
        return (), {}
    return recurrences(looked[-1]), {one.label: one for one in recurrences(looked[0])}


def _finite(profile: Profile) -> bool:
    """Say whether every gradient through time is a number; zero (-inf in decades) is one."""
    return all(number < math.inf for time in profile.through_time for number in time.log10_gradient)


def recurrent_layers(seen: Observation) -> tuple[str, ...]:
    """Return the names of the recurrent layers."""
    return tuple(layer.name for layer in seen.network.layers if layer.kind == "recurrent")


def every_step_is_read(seen: Observation) -> bool:
    """Say whether the network answers at every position: then short paths lead from the loss to every step."""
    shapes = [seen.network.layer(name).shape for name in seen.network.outputs]
    return any(len(shape) > 1 for shape in shapes)


def _label(names: list[str], place: int) -> str:
    name, count = names[place], names.count(names[place])
    return name if count == 1 else f"{name} {names[: place + 1].count(name)}/{count}"


def _recurrence(time: TimeProfile, label: str) -> Recurrence | None:
    line = time_slope(time.log10_gradient)
    horizon = time_horizon(time.log10_gradient, LIMIT_DECADES)
    if line is None or horizon is None:
        return None
    return Recurrence(time.layer, label, time.cell, len(time.log10_gradient), line, horizon, time.log10_gradient)
