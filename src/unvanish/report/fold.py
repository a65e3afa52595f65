"""Long networks folded: the first rows, the last ones, the worst in between, and how many are not shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Position = int | Literal["..."]

LONGEST = 20
"""Layers that are shown one by one; above that the list is folded."""

ENDS, WORST = 4, 6


def fold(size: int, worst: Sequence[int] = ()) -> list[Position]:
    """Return the positions to show, in order, with `...` where some are left out.

    size: number of rows. worst: positions that matter, most important first; the first WORST of them are kept.
    """
    if size <= LONGEST:
        return list(range(size))
    kept = sorted({*range(ENDS), *range(size - ENDS, size), *[i for i in worst if 0 <= i < size][:WORST]})
    shown: list[Position] = []
    for before, position in zip([-1, *kept], kept, strict=False):
        if position - before == 2:
            shown.append(before + 1)  # a fold must stand for at least two rows
        elif position - before > 2:
            shown.append("...")
        shown.append(position)
    return shown
