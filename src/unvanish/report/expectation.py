"""What theory expected of the gradient over depth, in one line, beside what was measured and found."""

from __future__ import annotations

from unvanish.core.diagnosis import Diagnosis
from unvanish.core.forecast import Forecast
from unvanish.report.headline import SLOPE, evidence_of
from unvanish.report.numbers import counted, plain
from unvanish.rules.words import times


def expectation(diagnosis: Diagnosis) -> str:
    """Return the forecast in words; empty where theory says nothing."""
    expected = diagnosis.forecast
    if expected is None or expected.gradient_factor_per_layer is None:
        return ""
    compared = evidence_of(diagnosis, SLOPE).get("forecast_transmission_per_layer", expected.gradient_factor_per_layer)
    parts = [f"{times(compared)} per layer{_measured(diagnosis)}"]
    if expected.log10_first_over_last is not None:
        band = f" +- {plain(expected.log10_sd, 2)}" if expected.log10_sd is not None else ""
        parts.append(f"first/last gradient 10^({plain(expected.log10_first_over_last, 3)}{band})")
    return ", ".join(parts + _depth(diagnosis, expected))


def _measured(diagnosis: Diagnosis) -> str:
    """Return the measured slope in brackets, with its step where that is not the start of which the forecast is."""
    found = evidence_of(diagnosis, SLOPE)
    if "transmission_per_layer" not in found:
        return ""
    when = f" at step {found['step']:.0f}" if found.get("step") else ""
    return f" (measured {times(found['transmission_per_layer'])}{when})"


def _depth(diagnosis: Diagnosis, expected: Forecast) -> list[str]:
    """Return to what depth the gradient would stay healthy, and why a network within it is sick all the same."""
    if expected.safe_depth is None:
        return []
    reach = f"healthy up to {counted(expected.safe_depth, 'layer')}"
    errors = [finding.code for finding in diagnosis.findings if finding.severity == "error"]
    if not errors or expected.safe_depth < len(diagnosis.network.kernels):
        return [reach]
    slope = next((code for code in errors if code in SLOPE), None)
    if slope is not None:
        return [f"{reach}, which the measured slope contradicts ({slope})"]
    return [f"by its slope over depth {reach}: the fault is another one ({errors[0]})"]
