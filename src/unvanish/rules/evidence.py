"""The numbers that the rules of the depth profile show, under one set of names."""

from __future__ import annotations

import math

import numpy as np

from unvanish.core.measures.update_ratio import update_ratio
from unvanish.core.observation import Observation
from unvanish.rules.expected import expected_factor
from unvanish.rules.gradients import DepthProfile, Gradients, at_start, first_over_last, penalised, total_norm
from unvanish.rules.parts import Parts, saturated_share
from unvanish.rules.words import span

DISAGREES_SD = 3.0
"""Theory and measurement further apart than this (in its own sd) means an operation that theory does not model."""


def numbers(seen: Observation, start: Gradients, found: DepthProfile, split: Parts | None) -> dict[str, float]:
    """Return the evidence of the depth profile by name; what was not measured is left out."""
    known: dict[str, float | None] = {
        "transmission_per_layer": found.transmission,
        "slope_decades_per_layer": found.slope.per_step,
        "slope_low": found.slope.low,
        "slope_high": found.slope.high,
        "decades": found.decades,
        "decades_sd": found.sd,
        "attenuation_decades": -found.decades,
        "depth": float(found.depth),
        "step": float(found.step),
        "first_over_last": first_over_last(start),
        "total_gradient_norm": total_norm(start),
        "activation_part": None if split is None else split.activation,
        "weight_part": None if split is None else split.weights,
        "forecast_transmission_per_layer": expected_factor(seen, found),
        "forecast_log10_first_over_last": None if seen.forecast is None else seen.forecast.log10_first_over_last,
        "forecast_apart_sd": forecast_apart(seen, start),
        "saturated_share": saturated_share(seen.profiles[0]),
        "first_update_over_weight": first_update(seen),
    }
    return {name: number for name, number in known.items() if number is not None}


def forecast_apart(seen: Observation, start: Gradients) -> float | None:
    """Return by how many standard deviations of one initialisation the measured log10(first/last) misses the forecast.

    None where they are not of the same: after a step, of other kernels than the network's first and last, of a penalty.
    """
    ratio, names = first_over_last(start), [kernel.name for kernel in seen.network.kernels]
    if seen.forecast is None or ratio is None or not ratio > 0 or start.step > 0 or penalised(start):
        return None
    expected, sd, measured = seen.forecast.log10_first_over_last, seen.forecast.log10_sd, list(start.norm)
    if (
        expected is None
        or not math.isfinite(expected)
        or not sd
        or (measured[0], measured[-1]) != (names[0], names[-1])
    ):
        return None
    return (math.log10(ratio) - expected) / sd


def disagreement(seen: Observation) -> str:
    """Return what to say when theory and measurement are too far apart to be one initialisation's luck; empty else."""
    start = at_start(seen)
    apart = forecast_apart(seen, start)
    if apart is None or abs(apart) <= DISAGREES_SD or seen.forecast is None:
        return ""
    ratio = math.log10(first_over_last(start) or math.nan)
    pair = f"first/last gradient 10^{ratio:.1f} measured, 10^{seen.forecast.log10_first_over_last:.1f} forecast"
    skipped = [layer for layer in seen.network.layers if not layer.modelled]
    cause = "an operation the forecast does not model, weights that are no random draw, or a bug"
    if skipped:
        cause = f"an operation the forecast does not model ({span([layer.name for layer in skipped])}), or a bug"
    return f"forecast and measurement are {abs(apart):.0f} standard deviations apart ({pair}): {cause}"


def first_update(seen: Observation) -> float | None:
    """Return the first kernel's median update/weight over the watched steps; None when none was watched."""
    recording = seen.recording
    if not recording.steps or not recording.layers or "update_norm" not in recording.rows:
        return None
    ratios = update_ratio(recording.array("update_norm")[:, 0], recording.array("weight_norm")[:, 0])
    known = ratios[np.isfinite(ratios)]
    return float(np.median(known)) if known.size else None
