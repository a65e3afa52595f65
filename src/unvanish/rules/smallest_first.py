"""In what order remedies are told: the smallest change in the user's source first, what would not suffice last."""

from __future__ import annotations

from collections.abc import Iterable

from unvanish.core.diagnosis import Remedy

ORDER = ("initialisation only", "one word", "one line", "written out", "optimizer", "data", "architecture")
WRITTEN_OUT = frozenset({"centred-orthogonal-init", "data-driven-init", "forget-gate-bias", "looks-linear-init"})
"""Initialisations that no framework ships: lines of code of the user's own, where others are one word."""


def smallest_first(remedies: Iterable[Remedy]) -> tuple[Remedy, ...]:
    """Return the remedies, the smallest change first; those after which theory still expects a sick profile last."""
    return tuple(sorted(remedies, key=lambda remedy: (remedy.stays_sick, _size(remedy))))


def _size(remedy: Remedy) -> int:
    told = "written out" if remedy.name in WRITTEN_OUT else remedy.invasiveness
    told = "one word" if remedy.name == "lower-learning-rate" else told
    return ORDER.index(told) if told in ORDER else len(ORDER)
