"""What a watched training shows while it runs: a table drawn over on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from unvanish.core.recording_file import Header, Row, as_recording
from unvanish.core.watch_cost import WatchCost
from unvanish.report.inert import inert
from unvanish.report.lines import can_write, plain_line
from unvanish.report.numbers import plain, scientific
from unvanish.report.recording_text import COURSE, WIDEST, layer_lines
from unvanish.report.recording_words import share
from unvanish.report.sparkline import STEPS, sparkline

EVERY = 5.0
"""Seconds between two lines where there is no terminal."""
REFRESH = 0.5


class WatchView:
    """Hear the samples of one run after the other, and show the newest. A context: the terminal is left as it was."""

    def __init__(self, title: str, stream: IO[str], *, quiet: bool = False, drawn: bool | None = None) -> None:
        """stream: where to show it, standard error. drawn: whether as a table; None for where there is a terminal."""
        self._title, self._quiet = title, quiet
        self._console = Console(file=stream, highlight=False)
        terminal = self._console.is_terminal and not self._console.is_dumb_terminal
        self._drawn = terminal if drawn is None else drawn
        self._live: Live | None = None
        self._rows: deque[Row] = deque(maxlen=COURSE)
        self._header: Header | None = None
        self._looked: Row | None = None
        """The last row that has activations: they come less often than the gradients."""
        self._told = -math.inf
        self._lock = threading.Lock()

    def __enter__(self) -> WatchView:
        """Show nothing before the first sample."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the table."""
        with self._lock:
            self._quiet = True
            self._remove()

    def tell(self, text: str) -> None:
        """Show a line that the user must see, above the table."""
        with self._lock:
            self._console.print(f"unvanish: {text}", markup=False, soft_wrap=True)

    def end(self, folder: Path | None) -> None:
        """Show the last state, and where the recording is, and nothing after that."""
        with self._lock:
            self._quiet = True
            self._remove()
            if self._header is not None and self._drawn:
                self._console.print(Group(*self._layers()))
            if folder is not None:
                self._console.print(f"recording: {folder}", markup=False, soft_wrap=True)

    def _remove(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def hear(self, header: Header, row: Row, cost: WatchCost) -> None:
        """Take a sample; called in another thread."""
        with self._lock:
            if self._header is not header:
                self._header = header
                self._rows.clear()
                self._looked = None
            self._rows.append(row)
            if as_recording(header, [row]).looked_into().any():
                self._looked = row
            now = time.monotonic()
            if self._quiet or now - self._told < (REFRESH if self._drawn else EVERY):
                return
            self._told = now
            if self._drawn:
                self._draw(cost)
            else:
                self._console.print(line(self._title, header, row, cost), markup=False, soft_wrap=True)

    def _draw(self, cost: WatchCost) -> None:
        assert self._header is not None  # there is a row
        if self._live is None:
            self._live = Live(
                console=self._console,
                transient=True,
                auto_refresh=False,
                redirect_stdout=_is_terminal(sys.stdout),  # what a loop prints stands above the table
                redirect_stderr=_is_terminal(sys.stderr),
            )
            self._live.start()
        self._live.update(Group(*self._written([self._status(cost)]), *self._layers()), refresh=True)

    def _layers(self) -> list[Text]:
        assert self._header is not None  # there is a row
        recording = as_recording(self._header, self._rows)
        into = recording if self._looked is None else as_recording(self._header, [self._looked])
        return self._written(layer_lines(recording, min(self._console.width, WIDEST), into))

    def _written(self, lines: Iterable[Text]) -> list[Text]:
        """Return the lines in what the terminal can write."""
        ascii_only = not can_write(f"·→{STEPS}", self._console.encoding)
        return [plain_line(text) if ascii_only else text for text in lines]

    def _status(self, cost: WatchCost) -> Text:
        losses, row = [row.loss for row in self._rows], self._rows[-1]
        loss = f"loss {plain(row.loss)} {sparkline(losses, 20, logarithmic=False)}"
        text = f"{self._title} · step {row.step} · {loss} · watching costs {share(cost.share)}"
        return Text(inert(text), style="bold", no_wrap=True, overflow="crop")


def _is_terminal(stream: IO[str] | None) -> bool:
    return stream is not None and stream.isatty()


def line(title: str, header: Header, row: Row, cost: WatchCost) -> str:
    """Return a sample in one line: step, loss, the gradient of the first and the last layer, what watching costs."""
    rms = as_recording(header, [row]).gradient_rms()[0]
    ends = dict.fromkeys((0, len(rms) - 1))
    told = " .. ".join(f"{scientific(float(rms[at]))} in {header.layers[at]}" for at in ends)
    return f"{title}: step {row.step}  loss {plain(row.loss)}  gradient RMS {told}  watching costs {share(cost.share)}"
