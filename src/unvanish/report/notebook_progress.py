"""Progress in a notebook: one line of text under the cell, which is gone when the work is done."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

EVERY = 0.2
"""Seconds between two updates: each is a message to the browser."""
WIDTH = 24


def in_notebook() -> bool:
    """Say whether this process is the kernel of a notebook. Imports nothing."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookProgress:
    """Show how far a run is. Use as a context manager; call it with (what is being done, done, total; 0: unknown)."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._handle: Any = None
        self._told = 0.0

    def __enter__(self) -> NotebookProgress:
        """Wait for the first call."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Empty the line."""
        if self._handle is not None:
            self._show("")

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that so much of a total is done."""
        now = time.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            self._show(line(what, done, total))

    def _show(self, text: str) -> None:
        bundle = {"text/plain": text}
        if self._handle is None:
            display = sys.modules["IPython"].display.display
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def line(what: str, done: int, total: int) -> str:
    """Return `training ████████░░░░ 20/60`; without the bar where the total is not known."""
    if not total:
        return f"{what} {done}" if done else what
    full = round(WIDTH * min(done / total, 1.0))
    return f"{what} {'█' * full}{'░' * (WIDTH - full)} {done}/{total}"
