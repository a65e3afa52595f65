"""How many steps, seeds and learning rates a trial takes."""

from __future__ import annotations

import msgspec

from unvanish.errors import UsageError

SHARE = 16
"""A training takes one part in so many of the user's own: some twenty of them then cost little more than that one."""
FEWEST_STEPS = 100
"""Steps below which no verdict is given: with Adam's usual rate of 0.001 a weight of 0.1 is moved by its own size in
about a hundred steps (rms / learning rate)."""
UNKNOWN = 250
"""Steps where the length of the user's own training is not known."""
RATES = (1.0, 3.0, 1 / 3)
"""Learning rates that every arm gets, as multiples of the user's own, which is the first."""
FEWEST_SEEDS = 3
MOST_ROWS = 7
"""Changes that a search compares at most: the best of each of the four sizes, an isometry, clipping, another rate."""
PART = 2
"""The short trainings take one part in so many of the steps of the compared ones."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Say what the trials may take."""

    seeds: int = FEWEST_SEEDS
    """Seeds of the trainings that are compared."""
    steps: int | None = None
    """Optimizer steps of each of them; None: a sixteenth of the user's own, at least FEWEST_STEPS."""
    seconds: float | None = None
    """For everything; None: as long as it takes."""
    rates: tuple[float, ...] = RATES

    def __post_init__(self) -> None:
        """Raise UsageError for fewer seeds than a paired test needs, or for no time or steps at all."""
        if self.seeds < FEWEST_SEEDS:
            raise UsageError(
                f"{self.seeds} seeds cannot tell a cure from luck",
                found=f"seeds={self.seeds}",
                hint=f"at least {FEWEST_SEEDS}",
            )
        if (self.seconds is not None and not self.seconds > 0) or (self.steps is not None and self.steps < 1):
            raise UsageError(
                "there is no budget to try anything",
                found=f"seconds={self.seconds}, steps={self.steps}",
                hint="--budget 2m",
            )

    def steps_of(self, planned: int | None) -> int:
        """Return the steps of each compared training, for a training of so many planned ones."""
        if self.steps is not None:
            return self.steps
        return max(FEWEST_STEPS, -(-planned // SHARE)) if planned else UNKNOWN

    def steps_within(self, left: float | None, steps: int, arms: int, seconds: float) -> int:
        """Return the steps of each compared training that fit into the seconds left, at least FEWEST_STEPS.

        steps: what they take without a bound (left None). seconds: that a short training took. arms: that are expected.
        """
        needed = seconds * arms * (len(self.rates) + self.seeds * PART)
        if left is None or needed <= left:
            return steps
        return min(steps, max(FEWEST_STEPS, int(steps * max(left, 0.0) / needed)))
