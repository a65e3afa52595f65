"""How the loss went: from where to where, against what guessing gives."""

from __future__ import annotations

import math
from statistics import median
from typing import NamedTuple

from unvanish.core.observation import Observation

LEARNED = 0.9
"""A last loss below this part of what guessing gives (and of the first loss) is learning, not noise."""
LEARNED_UNKNOWN = 0.5
"""The same where the chance level is not known: the output's bias alone can bring a loss down a good part."""
DIVERGED = 2.0
"""A last loss above this many times the first and the chance loss; a healthy first step never doubles both."""
THROWN = 1000.0
"""A loss on the way above this many times the first and the chance loss. A step too large for the curvature may raise
the loss about as many times as the network is wide and still settle (Lewkowycz et al. 2020, arXiv:2003.02218, the
catapult); beyond that, nothing is left of the weights that were drawn."""
LEARNED_BATCHES = 0.5
"""The same for single training batches, whose loss varies from one to the next."""
CONVERGED = 0.05
"""A loss below this part of what guessing gives: there is next to nothing left to learn on these samples."""
STILL = 0.01
"""A loss that changed by less than this part of itself did not move."""
FALLING = 0.97
"""A last loss below this part of the first one and of guessing is a training that has begun, however slowly."""
FALLING_UNKNOWN = 0.9
"""The same where the chance level is not known."""
_TAIL = 5


class Course(NamedTuple):
    """Hold the loss before the first step and after the last one that was seen (None: no step was seen)."""

    first: float
    last: float | None
    """Of the same batches as the first one, where they were probed again."""
    chance: float | None
    batches: float | None = None
    """Median over the last recorded training batches: what fit shows. Networks with batch normalisation learn batches
    that come again and again, and score the same samples worse when they are batched otherwise."""
    peak: float | None = None
    """The largest loss of a recorded training batch that is a number."""

    @property
    def learned(self) -> bool:
        """Say whether the loss fell clearly below what guessing gives."""
        best = self.first if self.chance is None else min(self.first, self.chance)
        part = LEARNED_UNKNOWN if self.chance is None else LEARNED
        probed = self.last is not None and math.isfinite(self.last) and self.last < _down_to(part, best)
        return probed or (self.batches is not None and self.batches < _down_to(LEARNED_BATCHES, best))

    @property
    def falling(self) -> bool:
        """Say whether the loss has begun to fall below what guessing gives, or has learned."""
        best = self.first if self.chance is None else min(self.first, self.chance)
        part = FALLING_UNKNOWN if self.chance is None else FALLING
        return self.learned or (self.last is not None and self.last < _down_to(part, best))

    @property
    def diverged(self) -> bool:
        """Say whether the training made the loss far worse than it was, or not a number."""
        if self.last is None or not math.isfinite(self.first):
            return False
        worst = DIVERGED * max(abs(self.first), self.chance or 0.0)
        if not math.isfinite(self.last) or self.batches is None:
            return not self.last <= worst
        return not min(self.last, self.batches) <= worst

    @property
    def thrown(self) -> bool:
        """Say whether the training was thrown about: it diverged, or did on the way and learned nothing since.

        Where the loss stands after that is chance. Units that die with a loss on logits leave an output that biases
        bring back to guessing; where clipped probabilities have no slope, it stays far up.
        """
        if self.diverged or self.peak is None or not math.isfinite(self.first):
            return self.diverged
        return self.peak > THROWN * max(abs(self.first), self.chance or 0.0) and not self.learned

    @property
    def converged_at_start(self) -> bool:
        """Say whether the loss was next to nothing before the first step."""
        return self.chance is not None and 0 <= self.first < CONVERGED * self.chance

    @property
    def converged(self) -> bool:
        """Say whether the loss is next to nothing now."""
        now = self.first if self.last is None else self.last
        return self.chance is not None and 0 <= now < CONVERGED * self.chance

    @property
    def nothing_left(self) -> bool:
        """Say whether the loss came down to exactly 0, where what guessing gives is not known."""
        return self.chance is None and self.last == 0 < self.first

    @property
    def still(self) -> bool:
        """Say whether the loss did not move, in either direction."""
        return self.last is not None and abs(self.last - self.first) < STILL * abs(self.first)

    @property
    def words(self) -> str:
        """Return `loss 0.694 -> 0.693 (chance = 0.693)`."""
        last = "" if self.last is None else f" -> {self.last:.3g}"
        chance = "" if self.chance is None else f" (chance = {self.chance:.3g})"
        better = self.batches is not None and self.last is not None and self.batches < LEARNED_BATCHES * self.last
        own = f"; {self.batches:.3g} on the training's own batches" if better else ""
        return f"loss {self.first:.3g}{last}{chance}{own}"

    @property
    def evidence(self) -> dict[str, float]:
        """Return the numbers by name."""
        known = {
            "loss_first": self.first,
            "loss_last": self.last,
            "loss_chance": self.chance,
            "loss_of_batches": self.batches,
        }
        return {name: number for name, number in known.items() if number is not None}


def _down_to(part: float, loss: float) -> float:
    """Return that part of a loss; of one below 0, what lies below it by as much."""
    return loss - (1 - part) * abs(loss)


def course(seen: Observation) -> Course:
    """Return the course of the loss: the same batches at the first and the last probe where there are two.

    With one probe the last loss is the median of the last recorded batch losses, or None when no step was watched. A
    chance loss of 0 (labels that are all the same) is nothing that could be compared with: None.
    """
    first, chance = seen.profiles[0].loss, seen.loss.chance or None
    tail = seen.recording.losses[-_TAIL:]
    batches = None if not tail else median(tail) if all(math.isfinite(loss) for loss in tail) else math.nan
    last = seen.profiles[-1].loss if len(seen.profiles) > 1 else batches
    peak = max((loss for loss in seen.recording.losses if not math.isnan(loss)), default=None)
    return Course(first, last, chance, batches, peak)
