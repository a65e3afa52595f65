"""Which tensors are summed together: an operation on many small ones of a shape costs little more than on one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def groups(values: Sequence[Any], joined: int) -> list[list[int]]:
    """Return the places of the tensors to be joined, those of one shape and dtype together; large ones alone.

    joined: the most entries of those that are: to copy larger ones would take longer than an operation for each.
    """
    found: dict[Any, list[int]] = {}
    for place, value in enumerate(values):
        large = math.prod(value.shape) > joined
        found.setdefault(place if large else (tuple(value.shape), value.dtype), []).append(place)
    return list(found.values())


def order(found: Sequence[Sequence[int]]) -> list[int] | None:
    """Return where each tensor's row is once those of the groups follow each other; None where they are in order."""
    rows = [place for group in found for place in group]
    places = sorted(range(len(rows)), key=rows.__getitem__)
    return None if places == list(range(len(rows))) else places
