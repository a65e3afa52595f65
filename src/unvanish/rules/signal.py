"""The forward signal over depth, at the initialisation: how large it is, and whether samples still differ.

Shared by GF104, GF105 and the rules that ask whether they agree.
"""

from __future__ import annotations

import math

import msgspec

from unvanish.core.measures.slope import Slope, slope
from unvanish.core.observation import Observation
from unvanish.core.profile import LayerProfile
from unvanish.rules.gradients import BAND_SD
from unvanish.theory.bands import DECADES

LIMIT_DECADES = 2 * DECADES
"""Decades of the second moment q over the depth: 1.5 in RMS, the limit of the gradient, by the same matrices."""
ALIKE = 1e-6
"""1 - c below which samples differ by a thousandth of their size: less than a bias moves within a few steps."""
ALIKE_DECADES = 3.0
"""Decades that 1 - c must have lost on the way: alike inputs are not the network's doing."""
INDISTINCT = 1e-12
"""1 - c below which float32 (1 ulp = 1.2e-7 of a value) can no longer carry what the samples differ in."""
UNDERFLOW_LOG10 = {"float16": -10.0, "bfloat16": -60.0, "float32": -60.0, "float64": -580.0}
"""log10 q below which a zero behind it is underflow: q is a square, and the normal numbers end at 6e-5 (6e-8 with
subnormals), 1e-38, 1e-38 and 2e-308."""
LARGE_INPUT = 10.0
"""Second moment of the inputs from which on their scale is the first suspect; standardised inputs have 1."""
FEWEST = 3
"""Hidden layers with a signal below which nothing can be said about depth."""


class SignalProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the slope of the forward second moment over depth. Decades are of q, from the input on."""

    layers: tuple[str, ...]
    slope: Slope
    """log10 q per layer."""
    decades: float
    at_floor: bool
    """Whether the weakest layer that still has a signal is near the smallest number of the dtype."""
    sd: float | None
    """Standard deviation of `decades` from one initialisation to the next; None when theory does not say."""
    spread_first: float | None
    """1 - c at the first kernel layer; None when not measured."""
    spread_last: float | None
    """1 - c at the last hidden kernel layer."""
    silent: int
    """Hidden kernel layers whose signal is exactly zero."""

    @property
    def fades(self) -> bool:
        """Say whether the signal shrinks beyond the limit and beyond the luck of one initialisation."""
        return self.decades < -LIMIT_DECADES and self._certain(-1)

    @property
    def swells(self) -> bool:
        """Say whether the signal grows beyond the limit and beyond the luck of one initialisation."""
        return self.decades > LIMIT_DECADES and self._certain(1)

    @property
    def alike(self) -> bool:
        """Say whether the network made samples alike that were not."""
        if self.spread_first is None or self.spread_last is None or self.spread_last >= ALIKE:
            return False
        return self.spread_last < self.spread_first * 10**-ALIKE_DECADES

    @property
    def indistinct(self) -> bool:
        """Say whether the last hidden layer no longer depends on the input, as far as float32 can tell."""
        return self.alike and self.spread_last is not None and self.spread_last < INDISTINCT

    @property
    def underflows(self) -> bool:
        """Say whether the signal decays down to the smallest number that there is, and then is exactly zero."""
        return self.silent > 0 and self.decades < -LIMIT_DECADES and self.at_floor

    @property
    def evidence(self) -> dict[str, float | None]:
        """Return the numbers by name; None for what was not measured."""
        return {
            "signal_decades": self.decades,
            "signal_decades_sd": self.sd,
            "signal_slope_low": self.slope.low,
            "signal_slope_high": self.slope.high,
            "spread_first": self.spread_first,
            "spread_last": self.spread_last,
        }

    def _certain(self, sign: int) -> bool:
        if self.sd is not None:
            return abs(self.decades) > BAND_SD * self.sd
        return sign * self.slope.low > 0 and sign * self.slope.high > 0


def signal_profile(seen: Observation) -> SignalProfile | None:
    """Return the forward signal's slope over the hidden kernel layers at the first probe; None when there are too few.

    The first and the output layer are left out. Layers whose signal is exactly zero or not finite are left out too.
    """
    kernels = [layer.name for layer in seen.network.kernels]
    place = {name: i for i, name in enumerate(kernels)}
    hidden = _alive(seen, frozenset(kernels[:-1]))
    signal = [(layer.name, q) for layer in hidden if (q := layer.preactivation_second_moment) and math.isfinite(q)]
    signal = signal[1:]  # the first layer's signal has the scale of the inputs, not of the network
    if len(signal) < FEWEST:
        return None
    line = slope([place[name] for name, _ in signal], [math.log10(q) for _, q in signal])
    sd = None if seen.forecast is None else seen.forecast.log10_sd
    spreads = [spread for layer in hidden if (spread := _spread(layer)) is not None]
    return SignalProfile(
        layers=tuple(name for name, _ in signal),
        slope=line,
        decades=line.per_step * len(kernels),
        at_floor=min(math.log10(q) for _, q in signal) < UNDERFLOW_LOG10.get(seen.profiles[0].dtype, -60.0),
        silent=sum(layer.preactivation_second_moment == 0 for layer in hidden),
        sd=None if sd is None else 2 * sd,  # q is a square; the same products of matrices make both
        spread_first=spreads[0] if spreads else None,
        spread_last=spreads[-1] if spreads else None,
    )


def first_nonfinite(seen: Observation) -> LayerProfile | None:
    """Return the first layer whose output was not finite at the initialisation; None when all were."""
    return next((layer for layer in seen.profiles[0].layers if layer.output_nonfinite), None)


def _alive(seen: Observation, kernels: frozenset[str]) -> list[LayerProfile]:
    """Return the kernel layers up to the first layer that is dead altogether: behind it there is no signal to judge."""
    found: list[LayerProfile] = []
    for layer in seen.profiles[0].layers:
        if layer.name in kernels:
            found.append(layer)
        if layer.dead_share == 1:
            break
    return found


def _spread(layer: LayerProfile) -> float | None:
    c = layer.correlation
    if c is None or not math.isfinite(c):
        return None
    return max(1.0 - c, 1e-16)  # a double cannot tell less from 1
