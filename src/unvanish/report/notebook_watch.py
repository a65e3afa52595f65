"""What a watched training shows in a notebook: one line that moves while it runs, and its picture at the end."""

from __future__ import annotations

import base64
import sys
import threading
import time
from pathlib import Path
from typing import Any

from unvanish.core.recording_file import Header, Row, read
from unvanish.core.watch_cost import WatchCost
from unvanish.errors import UnvanishError
from unvanish.report.inert import inert
from unvanish.report.watch_view import line

EVERY = 1.0
"""Seconds between two updates: each is a message to the browser."""


class NotebookView:
    """Hear the samples of one run after the other; see `watching.views.View`."""

    def __init__(self, title: str) -> None:
        """Show nothing yet."""
        self._title = title
        self._handle: Any = None
        self._told = 0.0
        self._lock = threading.Lock()

    def hear(self, header: Header, row: Row, cost: WatchCost) -> None:
        """Take a sample; called in another thread."""
        with self._lock:
            now = time.monotonic()
            if now - self._told >= EVERY:
                self._told = now
                self._say(line(self._title, header, row, cost))

    def tell(self, text: str) -> None:
        """Show a line that the user must see, to stay."""
        print(f"unvanish: {inert(text)}", file=sys.stderr)

    def end(self, folder: Path | None) -> None:
        """Show where the recording is, and its picture: loss and the gradient of every layer by step."""
        with self._lock:
            self._told = float("inf")
            self._say("" if folder is None else f"recording: {folder}")
        picture = None if folder is None else _picture(folder)
        if picture is not None:
            bundle = {"image/png": base64.b64encode(picture).decode(), "text/plain": "loss and gradient by step"}
            _display(bundle)

    def _say(self, text: str) -> None:
        bundle = {"text/plain": inert(text)}
        if self._handle is not None:
            self._handle.update(bundle, raw=True)
        elif text:
            self._handle = _display(bundle)


def _display(bundle: dict[str, str]) -> Any:
    return sys.modules["IPython"].display.display(bundle, raw=True, display_id=True)


def _picture(folder: Path) -> bytes | None:
    """Return the recording's picture as PNG; None where it has no sample, or cannot be read (the user was told)."""
    from unvanish.report.image import draw_image

    try:
        drawn = draw_image(read(folder), ".png")
    except UnvanishError:
        return None
    return None if drawn is None else drawn[0]
