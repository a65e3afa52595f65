"""Numbers, one for each value of the loss end's residual (loss_end.DRAWS), most of which a layer changes all alike.

They are some fixed ones times a factor plus a term, so that a layer changes two numbers, not an array.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mean(values: Array) -> float:
    """Return the mean of a few numbers, sooner than by numpy."""
    return float(sum(values.tolist())) / values.size


def means(rows: Array) -> list[float]:
    """Return `mean` of each row, added up in the same order."""
    with np.errstate(invalid="ignore"):
        found: list[float] = (sum(rows.T) / rows.shape[1]).tolist()
    return found


class Draws(Struct, eq=False, gc=False):
    """Hold `factor` * `fixed` + `term`. It is never changed."""

    fixed: Array
    """Shape (values,)."""
    factor: float = 1.0
    term: float = 0.0
    middle: float | None = None
    """The mean of the fixed numbers, where it is known."""

    @property
    def array(self) -> Array:
        """Return the numbers; shape (values,)."""
        return self.fixed if self.factor == 1 and self.term == 0 else self.factor * self.fixed + self.term

    @property
    def mean(self) -> float:
        """Return their mean."""
        if self.middle is None:
            self.middle = mean(self.fixed)
        return self.factor * self.middle + self.term

    def plus(self, term: float) -> Draws:
        """Return all of them that much larger."""
        return Draws(self.fixed, self.factor, self.term + term, self.middle)

    def nearer_to_one(self, share: float) -> Draws:
        """Return 1 + share * (x - 1) of each."""
        return Draws(self.fixed, share * self.factor, 1 + share * (self.term - 1), self.middle)


def stacked(several: Sequence[Draws]) -> Array:
    """Return the numbers of all; shape (draws, values)."""
    first = several[0].fixed
    same = all(draws.fixed is first for draws in several)  # as of layers in a row
    fixed = first[None, :] if same else np.array([draws.fixed for draws in several])
    found: Array = fixed * np.array([draws.factor for draws in several])[:, None]
    found += np.array([draws.term for draws in several])[:, None]
    return found
