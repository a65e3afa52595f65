"""Who judges what a watched training shows. Filled in by api: a room down here sees no rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unvanish.core.diagnosis import Finding
    from unvanish.core.observation import Observation

JUDGES: list[Callable[[Observation], Sequence[Finding]]] = []
"""The last one is called: it returns the errors that a single sample shows, the root cause first."""
