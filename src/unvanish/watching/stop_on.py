"""End a watched training at the first error that is found in it, where that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from unvanish.core.recording import Event
from unvanish.errors import UsageError
from unvanish.watching.pace import Pace
from unvanish.watching.session import Enough

Severity = Literal["error"]


class Stopped(Enough):
    """End a loop that is watched, before the step that comes. The context of the watch swallows it."""


def valid(stop_on: object) -> None:
    """Raise UsageError for what no training can be stopped on."""
    if stop_on not in (None, "error"):
        raise UsageError(
            "a training can be stopped on an error alone",
            found=f"stop_on={stop_on!r}",
            hint="stop_on='error', or leave it out",
        )


class StopOn:
    """Hear what is said of a training, in the recorder's thread, and have it stop at the step that comes next."""

    def __init__(self, severity: Severity | None, pace: Pace) -> None:
        """severity: what stops it; None for nothing."""
        self.due = False
        """Whether the training is to end; read in its own thread."""
        self._severity, self._pace = severity, pace

    def hears(self, events: Iterable[Event]) -> list[Event]:
        """Take events; return the one to add where they stop the training."""
        if self._severity is None or self.due:
            return []
        error = next((event for event in events if event.code), None)
        if error is None:
            return []
        self.due = True
        self._pace.alarm()  # the next step asks
        text = f"the training is stopped: of step {error.step} an error was told, and stop_on='error' was asked for"
        return [Event(step=error.step, seconds=error.seconds, kind="stopped", text=text)]
