"""Workers on this machine: `--jobs N`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from unvanish.jobs.process import Process


class Here:
    """Start workers as processes beside this one; arrays for all of them lie in one folder."""

    option = "--jobs"
    notes: tuple[str, ...] = ()

    def __init__(self, count: int, environment: Mapping[str, str]) -> None:
        """Start nothing. environment: of the workers, as it was before the script ran here."""
        self.count, self.title = count, f"{count} worker processes"
        self._environment = dict(environment)

    def line(self) -> Process:
        """Start a process."""
        return Process(self._environment, Path(self._folder.name))

    def __enter__(self) -> Self:
        """Make a place for arrays."""
        self._folder = tempfile.TemporaryDirectory(prefix="unvanish-", ignore_cleanup_errors=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the arrays."""
        self._folder.cleanup()
