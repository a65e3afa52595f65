"""An embedding: each word its own row of a table, drawn independently."""

from __future__ import annotations

from unvanish.core.network import Layer
from unvanish.theory.signal import Signal, weights_moments


def through_embedding(layer: Layer, *, reads_words: bool) -> Signal:
    """Return the rows of the table as a signal: two samples have one in common with the chance 1 / words.

    Words are taken to be equally likely. reads_words: whether an input tells the rows; else they are those of places,
    the same for every sample (derived).
    """
    mean, variance = weights_moments(layer.table)
    words = max((layer.table.size if layer.table is not None else 0) // (layer.units or 1), 1)
    apart = variance * (1 - 1 / words)
    return Signal(mean, variance, apart if reads_words else 0.0, across=apart)
