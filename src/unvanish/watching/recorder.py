"""Write samples beside the training: a thread reads their numbers, commits once a second, is never waited for.

What goes wrong here ends the writing, not the training: it is told once, and what comes after is not kept.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from unvanish.core.recording import Event
from unvanish.core.recording_file import Row
from unvanish.core.watch_cost import WatchCost

Numbers = Callable[[], tuple[float, NDArray[np.float64]]]
"""Return (loss, numbers of shape (statistics, layers)); waits for the device where it has to."""

COMMIT_SECONDS = 0.5
"""How long a sample waits for others to be committed with."""
WAITING = 1000
"""Samples that may wait for the thread: a device that lags behind must not fill the memory."""


class Sample(NamedTuple):
    """Hold one sampled step, whose numbers may still be on their way."""

    step: int
    numbers: Numbers


class Glance(NamedTuple):
    """Hold one number that somebody wants to know of a step that is not sampled."""

    read: Callable[[], float]
    heard: Callable[[float], list[Event]]
    """Is given the number; what it returns is recorded."""


class File(Protocol):
    """Take rows and events, each call whole or not at all; see core.recording_file.RecordingFile."""

    def append(self, rows: list[Row], events: list[Event]) -> None:
        """Add them."""

    def finish(self, total_steps: int, cost: WatchCost | None) -> None:
        """Note how far the training came."""

    def close(self) -> None:
        """Let go of the file."""


class Recorder:
    """Own the thread of one recording."""

    def __init__(
        self,
        file: Callable[[], File],
        tell: Callable[[str], None],
        hear: Callable[[Row], list[Event]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start.

        file: makes the file, in the thread. tell: shows one line. hear: is given every sample, in the thread; what it
        returns is recorded.
        """
        self.spent = 0.0
        """Processor time of the thread, in seconds."""
        self.settled = False
        """Whether the first sample was taken, with which what judges it is imported."""
        self.dropped = 0
        """Samples for which there was no room."""
        self._make, self._tell, self._hear, self._clock = file, tell, hear, clock
        self._file: File | None = None
        self._broken = False
        self._began = clock()
        self._queue: queue.SimpleQueue[Sample | Event | Glance | Callable[[], list[Event]] | None] = queue.SimpleQueue()
        self._rows: list[Row] = []
        self._events: list[Event] = []
        self._finish: tuple[int, WatchCost | None] | None = None
        self._thread = threading.Thread(target=self._run, name="unvanish recorder", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        """Return the time since the recording began."""
        return self._clock() - self._began

    def put(self, step: int, numbers: Numbers) -> None:
        """Take a sample. Waits for nothing."""
        if self._queue.qsize() >= WAITING:
            self.dropped += 1
            return
        self._queue.put(Sample(step, numbers))

    def glance(self, read: Callable[[], float], heard: Callable[[float], list[Event]]) -> None:
        """Have a number read in the thread, and handed on. Waits for nothing."""
        if self._queue.qsize() < WAITING:
            self._queue.put(Glance(read, heard))

    def do(self, job: Callable[[], list[Event]]) -> None:
        """Have something done in the thread, as writing a large file; what it returns is recorded."""
        self._queue.put(job)

    def event(self, step: int, kind: str, text: str, layer: str = "") -> None:
        """Take an event."""
        self._queue.put(Event(step=step, seconds=self.seconds, kind=kind, text=text, layer=layer))

    def close(self, total_steps: int, cost: Callable[[], WatchCost | None], timeout: float = 10.0) -> bool:
        """Write what is left, and end the thread; say whether it ended in time."""
        if self.dropped:
            self.event(total_steps, "dropped", f"{self.dropped} samples came faster than they could be read")
        self._queue.put(None)
        self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        self._guarded(lambda file: file.finish(total_steps, cost()))
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.close()
        return True

    def _run(self) -> None:
        due: float | None = None
        while True:
            try:
                item = self._queue.get(timeout=None if due is None else max(due - self._clock(), 0.0))
            except queue.Empty:
                due = None
                self._commit()
                continue
            if item is None:
                self._commit()
                return
            self._take(item)
            if due is None:
                due = self._clock() + COMMIT_SECONDS
            elif self._clock() >= due:
                due = None
                self._commit()
            self.spent = time.thread_time()

    def _take(self, item: Sample | Event | Glance | Callable[[], list[Event]]) -> None:
        if isinstance(item, Event):
            self._events.append(item)
            return
        try:
            if isinstance(item, Glance):
                self._events += item.heard(item.read())
                return
            if not isinstance(item, Sample):
                self._events += item()
                return
            loss, numbers = item.numbers()
            with np.errstate(over="ignore"):
                row = Row(item.step, self.seconds, loss, numbers.astype(np.float32))
            heard = self._hear(row)
        except Exception as error:  # a sample that cannot be read, or somebody who cannot hear, is told of and left out
            self._fail(f"a sample could not be read: {type(error).__name__}: {error}")
            return
        self._rows.append(row)
        self._events += heard
        self.settled = True

    def _commit(self) -> None:
        if not self._rows and not self._events:
            return
        rows, events, self._rows, self._events = self._rows, self._events, [], []
        self._guarded(lambda file: file.append(rows, events))
        self.spent = time.thread_time()

    def _guarded(self, write: Callable[[File], None]) -> None:
        if self._broken:
            return
        try:
            if self._file is None:
                self._file = self._make()
            write(self._file)
        except Exception as error:  # full disk, no rights, a folder that is gone
            self._broken = True
            self._fail(f"{'nothing can be recorded' if self._file is None else 'the recording ends here'}: {error}")

    def _fail(self, text: str) -> None:
        with contextlib.suppress(Exception):
            self._tell(text)
            self._tell = _quiet


def _quiet(_: str) -> None:
    """Say nothing: it was told once."""
