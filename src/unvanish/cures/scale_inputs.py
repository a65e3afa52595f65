"""Standardise the inputs inside the network: a fixed mean off, divided by a fixed standard deviation (LeCun 1998, 4.3).

Every initialisation is made for inputs of unit size. Mean and spread are those of the training inputs; they become part
of the model, so that what is predicted later is scaled alike. By one number for all where the features are alike (the
pixels of a picture), else each feature by its own.

Does harm where one feature is rare: divided by its small spread, it outweighs the others.
"""

from __future__ import annotations

from unvanish.core.edit import Invasiveness, Prescription, StandardiseInputs
from unvanish.core.network import Layer
from unvanish.core.observation import Observation
from unvanish.cures.anatomy import NORMS

NAME = "scale-inputs"
ANSWERS: tuple[str, ...] = ("GF105", "GF201", "GF302", "GF902")
INVASIVENESS: Invasiveness = "one line"

LARGE, SMALL = 10.0, 0.01
"""Mean squares of the inputs beyond which they are not of unit size: GF902 looks from the first on."""
APART = 10.0
"""Ratio of the features' spreads from which on one number does not serve all."""
MOST = 64
"""Features above which their means and spreads are no line of source any more."""


def propose(seen: Observation) -> tuple[Prescription, ...]:
    """Return one number for all, or one for each feature; nothing where the inputs are of unit size, or no numbers."""
    inputs = [layer for layer in seen.network.layers if layer.kind == "input"]
    size, low, high = seen.data.input_second_moment, seen.data.feature_sd_min, seen.data.feature_sd_max
    if len(inputs) != 1 or size is None or not high or _reads_otherwise(seen, inputs[0]):
        return ()
    apart = bool(low) and high > APART * (low or high)
    if SMALL <= size <= LARGE and not apart:
        return ()
    features = inputs[0].shape[-1] if inputs[0].shape else None
    each = features is not None and features <= MOST and len(inputs[0].shape) <= 2
    whole, single = _standardised("whole", "(x - x.mean()) / x.std()"), _standardised("feature", "Normalization()")
    return ((single, whole) if apart else (whole, single)) if each else (whole,)


def _standardised(per: str, change: str) -> Prescription:
    return Prescription(
        name=NAME,
        variant="per feature" if per == "feature" else "one number for all",
        change=f"{change} of the training inputs, in front of the first layer",
        invasiveness=INVASIVENESS,
        edits=(StandardiseInputs(per="feature" if per == "feature" else "whole"),),
        answers=ANSWERS,
        harm="where one feature is rare: divided by its small spread, it outweighs the others",
    )


def _reads_otherwise(seen: Observation, source: Layer) -> bool:
    """Say whether what reads the inputs takes them as numbers of words, or normalises them itself."""
    readers = [seen.network.layer(edge.target) for edge in seen.network.edges if edge.source == source.name]
    return any(layer.kind == "embedding" or layer.kind in NORMS for layer in readers)
