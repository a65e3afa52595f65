"""The three numbers of a verdict, with their healthy bands: slope, floor, signal. One number alone hides the layer."""

from __future__ import annotations

from dataclasses import dataclass

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.numbers import plain, scientific
from unvanish.rules.gradients import at_start, depth_profile, healthy_factor
from unvanish.rules.signal import signal_profile
from unvanish.rules.words import times


@dataclass(frozen=True)
class Number:
    """Hold one number as text, what it is, and what would be healthy."""

    label: str
    value: str
    band: str


def headline(diagnosis: Diagnosis) -> tuple[Number, ...]:
    """Return slope, floor and signal, as the rules see them; what they could not see as `-`, with the reason."""
    return _slope(diagnosis), _floor(diagnosis), _signal(diagnosis)


def _slope(diagnosis: Diagnosis) -> Number:
    found = depth_profile(diagnosis.observation)
    label = "gradient per layer, towards the input"
    if isinstance(found, str):
        return Number(label, "-", found)
    limit = healthy_factor(found.depth)
    band = f"healthy at {found.depth} layers: {times(1 / limit)} to {times(limit)}"
    expected = diagnosis.forecast.transmission_per_layer if diagnosis.forecast else None
    return Number(label, times(found.transmission), band + (f"; forecast {times(expected)}" if expected else ""))


def _floor(diagnosis: Diagnosis) -> Number:
    rms = at_start(diagnosis.observation).rms
    label = "smallest gradient RMS of a layer"
    if not rms:
        return Number(label, "-", "no gradient was taken")
    epsilon = diagnosis.observation.optimizer.epsilon
    band = f"the optimizer's epsilon is {scientific(epsilon)}" if epsilon else "the optimizer adds no epsilon"
    return Number(label, scientific(min(rms.values())), band)


def _signal(diagnosis: Diagnosis) -> Number:
    found = signal_profile(diagnosis.observation)
    label = "1 - c: how far samples still differ at the last hidden layer"
    if found is None or found.spread_last is None:
        return Number(label, "-", "too few hidden layers with a signal")
    return Number(label, plain(found.spread_last), f"at the first layer {plain(found.spread_first)}")
