"""The forecast of what was measured over depth: the factor of the same quantity, over the same layers."""

from __future__ import annotations

from unvanish.core.observation import Observation
from unvanish.rules.gradients import KERNEL_GRADIENTS, DepthProfile
from unvanish.theory.factors import gradient_factor


def expected_factor(seen: Observation, found: DepthProfile) -> float | None:
    """Return what theory expects of the factor per layer that was measured; None where it does not say."""
    if seen.forecast is None:
        return None
    if found.source != KERNEL_GRADIENTS:
        return seen.forecast.transmission_per_layer
    return gradient_factor(seen.forecast, seen.network, found.layers)
