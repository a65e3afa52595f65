"""What a search asks of a change."""

from __future__ import annotations

import math

from unvanish.core.edit import INVASIVENESS, LEARNING_RATE, Clip, Prescription, Redraw
from unvanish.core.network import Network

DECADES = 1.5
"""Decades over all kernels beyond which a forecast is that of a sick network (THEORY 4: the band of rule GF101)."""


def size_of(one: Prescription) -> int:
    """Return the place of the change among the sizes, 0 for the smallest."""
    return INVASIVENESS.index(one.invasiveness)


def keeps_lengths(one: Prescription) -> bool:
    """Say whether the network begins as an isometry: what no draw of weights can do better."""
    return any(isinstance(edit, Redraw) and edit.scheme == "looks_linear" for edit in one.edits)


def is_sick_by_forecast(one: Prescription, network: Network) -> bool:
    """Say whether the gradient is expected to change too much over the network's depth with the change."""
    depth = max(len(network.kernels) - 1, 1)
    return one.transmission is not None and abs(math.log10(one.transmission)) * depth > DECADES


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
