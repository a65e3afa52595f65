"""The three numbers of a verdict, with their healthy bands: slope, floor, signal. One number alone hides the layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from unvanish.core.diagnosis import Clear, Diagnosis, Finding
from unvanish.report.numbers import plain, scientific
from unvanish.report.rows import kernel_rows, layer_rows
from unvanish.rules.gradients import LIMIT_DECADES
from unvanish.rules.words import times

SLOPE, SIGNAL = ("GF101", "GF102"), ("GF104", "GF105")
"""The rules whose evidence holds the slope of the gradient, and the forward signal; the first that has any counts."""


@dataclass(frozen=True)
class Number:
    """Hold one number as text, what it is, and what would be healthy."""

    label: str
    value: str
    band: str


def headline(diagnosis: Diagnosis) -> tuple[Number, ...]:
    """Return slope, floor and signal, as the rules saw them; what they could not see as `-`, with the reason."""
    return _slope(diagnosis), _floor(diagnosis), _signal(diagnosis)


def evidence_of(diagnosis: Diagnosis, codes: Sequence[str]) -> Mapping[str, float]:
    """Return the evidence of the first of the rules that has any, whether it found its pattern or not."""
    judged: tuple[Finding | Clear, ...] = (*diagnosis.findings, *diagnosis.clear)
    found = {verdict.code: verdict.evidence for verdict in judged if verdict.evidence}
    return next((found[code] for code in codes if code in found), {})


def _slope(diagnosis: Diagnosis) -> Number:
    found = evidence_of(diagnosis, SLOPE)
    label = "gradient per layer, towards the input"
    if "transmission_per_layer" not in found:
        return Number(label, "-", _reason(diagnosis, SLOPE) or "no slope was judged")
    expected = found.get("forecast_transmission_per_layer")
    parts = [f"forecast {times(expected)}"] if expected is not None else []
    if "decades" in found and "depth" in found:
        over = f"{plain(found['decades'])} decades over {found['depth']:.0f} layers"
        parts.append(f"{over} (healthy: within {LIMIT_DECADES:g})")
    return Number(label, times(found["transmission_per_layer"]), "; ".join(parts))


def _floor(diagnosis: Diagnosis) -> Number:
    known = [r.first.gradient_rms for r in kernel_rows(layer_rows(diagnosis)) if r.first.gradient_rms is not None]
    label = "smallest gradient RMS of a layer"
    if not known:
        return Number(label, "-", "no gradient was taken")
    epsilon = diagnosis.observation.optimizer.epsilon
    band = f"the optimizer's epsilon is {scientific(epsilon)}" if epsilon else "the optimizer adds no epsilon"
    return Number(label, scientific(min(known)), band)


def _signal(diagnosis: Diagnosis) -> Number:
    found = evidence_of(diagnosis, SIGNAL)
    label = "1 - c: how far samples still differ at the last hidden layer"
    if "spread_last" not in found:
        return Number(label, "-", _reason(diagnosis, SIGNAL) or "no forward signal was judged")
    return Number(label, plain(found["spread_last"]), f"at the first layer {plain(found.get('spread_first'))}")


def _reason(diagnosis: Diagnosis, codes: Sequence[str]) -> str:
    return next((verdict.reason for verdict in diagnosis.undecided if verdict.code in codes), "")
