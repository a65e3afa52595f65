"""The findings that were told of two trainings while they ran, rule by rule."""

from __future__ import annotations

from typing import Literal

import msgspec

from unvanish.core.recording import Event, Recording

Change = Literal["went", "came", "stayed"]
CHANGES: tuple[Change, ...] = ("went", "came", "stayed")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Hold what one rule said first of each of two trainings; None: nothing."""

    code: str
    before: Event | None
    after: Event | None

    @property
    def change(self) -> Change:
        """Say whether the second training has it anew, has it no more, or has it too."""
        return "came" if self.before is None else "went" if self.after is None else "stayed"

    @property
    def last(self) -> Event:
        """Return what was said: of the second training where that has it."""
        event = self.before if self.after is None else self.after
        assert event is not None  # else nothing was told
        return event


def told_of(before: Recording, after: Recording) -> tuple[Told, ...] | None:
    """Return what each rule said, in the order in which it was told; None where either training has no sample."""
    if not before.steps or not after.steps:
        return None
    old, new = _first(before), _first(after)
    return tuple(Told(code=code, before=old.get(code), after=new.get(code)) for code in dict.fromkeys([*old, *new]))


def _first(recording: Recording) -> dict[str, Event]:
    """Return of each rule the first event, in their order."""
    found: dict[str, Event] = {}
    for event in recording.events:
        if event.code:
            found.setdefault(event.code, event)
    return found
