"""The errors that unvanish raises.

UnvanishError                 the root of all; exit code 2
├── UsageError                a wrong argument, a missing file, a missing backend
├── UnsupportedError          something real that this version cannot look at
├── DataError                 data that no training could use: empty, of different lengths, ...
└── ScriptError              the user's script failed, or never trained; exit code 3
"""

from __future__ import annotations

from collections.abc import Mapping


class UnvanishError(Exception):
    """Say what went wrong, what was found, the numbers, and what to try next; each part on its own line."""

    exit_code = 2

    def __init__(
        self, what: str, *, found: str = "", numbers: Mapping[str, object] | None = None, hint: str = ""
    ) -> None:
        """Keep the four parts; only `what` is required."""
        self.what, self.found, self.numbers, self.hint = what, found, dict(numbers or {}), hint
        super().__init__(what)

    def __str__(self) -> str:
        """Return the parts as indented lines."""
        lines = [self.what]
        if self.found:
            lines.append(f"  found:  {self.found}")
        lines += [f"  {name}: {value}" for name, value in self.numbers.items()]
        if self.hint:
            lines.append(f"  try:    {self.hint}")
        return "\n".join(lines)


class UsageError(UnvanishError):
    """A wrong argument, a missing file, a missing backend."""


class UnsupportedError(UnvanishError):
    """Something real that this version cannot look at."""


class DataError(UnvanishError):
    """Data that no training could use: empty, of different lengths, labels out of range."""


class ScriptError(UnvanishError):
    """The user's script failed, or ended without training anything."""

    exit_code = 3
