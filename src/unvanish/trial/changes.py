"""What a search asks of a change."""

from __future__ import annotations

import math

from unvanish.core.edit import INVASIVENESS, LEARNING_RATE, Clip, Prescription, Redraw

DECADES, SIGNAL_DECADES = 1.5, 3.0
"""Decades over all kernels beyond which a forecast is that of a sick network: of the kernels' gradients GF101's band,
of the signal what GF104 finds worth a warning by itself (6 decades of its square)."""


def sick_forecast(one: Prescription, kernels: int) -> str:
    """Return, in words, the forecast of a network of so many kernels that would be sick; empty where none would."""
    depth = max(kernels - 1, 1)
    for factor, limit, what in ((one.transmission, DECADES, ""), (one.signal, SIGNAL_DECADES, "the signal ")):
        if factor is not None and abs(math.log10(factor)) * depth > limit:
            return f"forecast: {what}{factor:.2f}x per layer"
    return ""


def size_of(one: Prescription) -> int:
    """Return the place of the change among the sizes, 0 for the smallest."""
    return INVASIVENESS.index(one.invasiveness)


def keeps_lengths(one: Prescription) -> bool:
    """Say whether the network begins as an isometry: what no draw of weights can do better."""
    return any(isinstance(edit, Redraw) and edit.scheme == "looks_linear" for edit in one.edits)


def name_of(one: Prescription | None) -> str:
    """Return what progress calls the change, or the network without one."""
    return "the network as it is" if one is None else one.label


def signless(score: float) -> str:
    """Return an accuracy, or a loss (its score is minus the loss)."""
    return f"{abs(score):.3f}" if math.isfinite(score) else "no number"


def label_of(one: Prescription | None) -> str:
    """Return the label of the change; empty for none."""
    return "" if one is None else one.label


def clips(one: Prescription) -> bool:
    """Say whether clipping is all that the change does."""
    return all(isinstance(edit, Clip) for edit in one.edits)


def is_rate(one: Prescription | None) -> bool:
    """Say whether another learning rate is all that the change is."""
    return one is not None and one.name == LEARNING_RATE
