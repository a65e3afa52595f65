"""What a cure is: a module that names what it answers and proposes prescriptions for what was seen."""

from __future__ import annotations

from typing import Protocol

from unvanish.core.edit import Invasiveness, Prescription
from unvanish.core.observation import Observation


class Cure(Protocol):
    """Describe a cure's module. Its docstring says what it changes, why that may help, and when it does harm."""

    NAME: str
    """One of DESIGN's list; what reports call it."""
    ANSWERS: tuple[str, ...]
    """Codes of the rules whose finding it may end."""
    INVASIVENESS: Invasiveness
    """Of its smallest prescription."""
    __doc__: str | None

    def propose(self, seen: Observation) -> tuple[Prescription, ...]:
        """Return what could be tried on the network that was seen, the most promising first; empty where nothing can.

        Nothing is promised: only a measured trial can say that a prescription helps. The observation is not changed.
        """
        ...
