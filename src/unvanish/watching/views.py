"""What shows a watched training while it runs. Filled in by api: a room down here sees no reporter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from unvanish.core.recording_file import Header, Row
    from unvanish.core.watch_cost import WatchCost


class View(Protocol):
    """Show the samples of one training; called in the recorder's thread, but for `end`."""

    def hear(self, header: Header, row: Row, cost: WatchCost) -> None:
        """Take a sample."""

    def tell(self, text: str) -> None:
        """Show a line that the user must see."""

    def end(self, folder: Path | None) -> None:
        """Show the last state, and where the recording is; leave the terminal as it was."""


def view_of(title: str, *, live: bool, beside: bool = False) -> View | None:
    """Return what shows a training live; None where nothing is to. beside: something else draws on the terminal."""
    return VIEWS[-1](title, beside) if live else None


VIEWS: list[Callable[[str, bool], View]] = []
"""The last one is called with a title, and whether something else draws on the terminal too; it returns the view."""
