"""What watching a training cost."""

from __future__ import annotations

import math

import msgspec


class WatchCost(msgspec.Struct, frozen=True, kw_only=True):
    """Hold times in seconds; what the training does beside its steps, as validation, does not count."""

    samples: int
    seconds: float
    """For which the training ran, watching included."""
    added_seconds: float
    """By which watching made it longer, warm-up included."""
    warm_up_seconds: float
    """Of these, for compiling a second step and for reading the network."""
    step_seconds: float | None
    """Of a plain step, the median; None where there was none to compare with."""
    sample_seconds: float | None
    """By which a sampled step takes longer, the median; None where that is not known."""
    budget: float | None = None
    """The share that was allowed; None where the steps to sample were given."""
    looks: int = 0
    """How many of the samples were looked into, for their activations."""
    look_seconds: float | None = None
    """By which such a step takes longer, the median; None where that is not known."""

    @property
    def share(self) -> float:
        """Return the part of the training's own time that watching added; 0 before anything ran, inf where all was."""
        plain = self.seconds - self.added_seconds
        return self.added_seconds / plain if plain > 0 else math.inf if self.added_seconds else 0.0
