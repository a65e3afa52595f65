"""What a rule is: a module with a code, a name, a page for a docstring, and `judge`."""

from __future__ import annotations

from typing import Protocol

from unvanish.core.diagnosis import Verdict
from unvanish.core.observation import Observation


class Rule(Protocol):
    """Describe a rule's module. Its docstring is its documentation page, under the six headings of `page.HEADINGS`."""

    CODE: str
    """Never reused, never renumbered."""
    NAME: str
    """States the pattern, never the fix."""
    __doc__: str | None

    def judge(self, seen: Observation) -> Verdict:
        """Return Finding, Clear or Undecided. Nothing is changed; nothing is raised for a valid observation."""
        ...
