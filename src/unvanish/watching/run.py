"""One watched training from its first sample to its end: where samples go, and who hears of them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from unvanish.core.nonfinite import Spoilt
from unvanish.core.observation import Observation
from unvanish.core.recording import About, Event, Recording
from unvanish.core.recording_file import Header, RecordingFile, Row, read
from unvanish.core.run_folder import make_run_folder
from unvanish.core.spoilt_file import write
from unvanish.core.version import VERSION
from unvanish.core.watch_cost import WatchCost
from unvanish.errors import UsageError
from unvanish.watching.first_nonfinite import FirstNonfinite
from unvanish.watching.pace import Pace
from unvanish.watching.recorder import Numbers, Recorder
from unvanish.watching.stop_on import Severity, StopOn
from unvanish.watching.stream import Stream, loss_unknown
from unvanish.watching.views import View

JUMP = 3.0
"""A loss so many times as large as the largest of the last ones is a jump: those of small batches differ a lot."""
FROM_NOTHING = 0.01
"""After losses of exactly 0 one above this part of the largest of all is a jump."""
_LAST, _FEWEST = 20, 5

Hear = Callable[[Header, Row], Sequence[Event]]
"""Hear a sample, in the recorder's thread, and return what it says."""


class Run:
    """Take what an adapter sees of a training, and keep it. Nothing is written before the first sample."""

    def __init__(
        self,
        title: str,
        framework: str,
        pace: Pace,
        *,
        home: Path | None,
        tell: Callable[[str], None],
        stop_on: Severity | None = None,
        view: View | None = None,
    ) -> None:
        """home: where the run's folder is made; None for `.unvanish`. tell: shows a line that the user must see.

        stop_on: what the training is to be stopped on. view: shows the samples, and what is told in place of `tell`.
        """
        self.pace, self._stop = pace, StopOn(stop_on, pace)
        self._view, tell = view, tell if view is None else view.tell
        self.folder: Path | None = None
        """Where the recording is, once it is begun."""
        self.unwritten = ""
        """Why there is none, where none could be begun."""
        self._title, self._framework, self._home, self._tell = title, framework, home, tell
        self._header: Header | None = None
        self._recorder: Recorder | None = None
        self._last, self._steps = -1, 0
        self._losses: list[float] = []
        self._highest = 0.0
        self._mean = (0.0, 0)
        """Of the losses at the last glance: their sum since Keras began to take means, and how many they are."""
        self._nonfinite = FirstNonfinite(tell)
        self._made: Path | None = None
        self._stream: Stream | None = None
        self._listeners: list[Hear] = [self._jumps, self._nonfinite.row]
        if view is not None:
            self.show(view)

    def begins(self, layers: Sequence[str], sizes: Sequence[int], optimizer: str) -> None:
        """Begin the recording of these layers, with their numbers of entries."""
        started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        about = About(
            title=self._title, framework=self._framework, optimizer=optimizer, started=started, version=VERSION
        )
        self._header = header = Header(about=about, layers=tuple(layers), sizes=tuple(sizes))
        self._recorder = Recorder(lambda: self._file(header), self._tell, self._hear)

    def judged(self, start: Observation, dtype: str) -> None:
        """Let the rules judge what comes, beginning with what is known before the first step; errors are shown."""
        self._stream = Stream(start, dtype)
        self.listen(self._stream.hear)

    def of_batches(self, size: int) -> None:
        """Be told how many samples a step takes, where that was not known before the first one."""
        if self._stream is not None:
            self._stream.of_batches(size)

    def scaled(self) -> None:
        """Be told, before the sample of a step, that a dynamic loss scale is at work: its search is no error."""
        self._nonfinite.scaled = True
        if self._stream is not None:
            self._stream.scaled()

    def listen(self, hear: Hear) -> None:
        """Let somebody hear every sample, in the recorder's thread."""
        self._listeners.append(hear)

    def show(self, view: View) -> None:
        """Let every sample be shown, with what watching cost so far."""

        def hear(header: Header, row: Row) -> list[Event]:
            view.hear(header, row, self.cost)
            return []

        self.listen(hear)

    def sample(self, step: int, numbers: Numbers) -> None:
        """Take a sample, whose numbers are read in another thread."""
        self._last = step
        if self._recorder is not None:
            self._recorder.put(step, numbers)

    def spoilt(self, spoilt: Spoilt, values: Mapping[str, NDArray[np.generic]]) -> None:
        """Take where the first value comes from that is no finite number; it is told, and kept in the run's folder."""
        if self._recorder is not None:
            self._recorder.do(lambda: self._keep(spoilt, values))

    def awaits(self, step: int) -> None:
        """Be told, before its sample, that the place in a step is searched for once its numbers were read."""
        self._nonfinite.awaits(step)

    def _keep(self, spoilt: Spoilt, values: Mapping[str, NDArray[np.generic]]) -> list[Event]:
        kept, events = self._nonfinite.located(spoilt, self._seconds)
        if kept is None:
            return events
        try:
            write(self._own_folder(), kept, values)
        except OSError as error:  # the recorder tells of a disk that is full, if its own lines fail too
            text = f"batch and weights of step {kept.step} could not be kept: {error}"
            events.append(Event(step=kept.step, seconds=self._seconds, kind="unkept", text=text))
        return [*events, *self._stops(events)]

    def _unlocated(self) -> list[Event]:
        events = self._nonfinite.unlocated()
        return [*events, *self._stops(events)]

    def _judged_at_the_end(self) -> list[Event]:
        """Have the rules judge what the last samples show; nothing is stopped by that any more."""
        if self._stream is None or self._header is None:
            return []
        events = self._stream.end(self._header)
        self._tell_first(events)
        return events

    def _tell_first(self, events: Sequence[Event]) -> None:
        """Tell the first finding: of several the root cause."""
        found = next((event for event in events if event.kind == "finding"), None)
        if found is not None:
            self._tell(found.text)

    def _stops(self, events: Sequence[Event]) -> list[Event]:
        """Return the event that the training is stopped, where these stop it; it is told."""
        stopped = self._stop.hears(events)
        for event in stopped:
            self._tell(event.text)
        return stopped

    def says(self, step: int, kind: str, text: str) -> None:
        """Take a word about the watching itself; what failed is shown too."""
        if kind == "failed":
            self._tell(f"step {step}: watching ends here: {text}")
        if self._recorder is not None:
            self._recorder.event(step, kind, text)
            if kind == "unlocated":
                self._recorder.do(self._unlocated)

    def stops(self) -> bool:
        """Say whether the training is to end before the step that comes."""
        return self._stop.due

    def ends(self, steps: int | None = None) -> None:
        """Write what is left. May be called again. steps: that were taken; None where nobody counted to the end."""
        recorder, self._recorder = self._recorder, None
        self._steps = self._steps if steps is None else steps

        def charged() -> WatchCost:
            if recorder is not None:
                self.pace.charged(recorder.spent, settled=recorder.settled)
            return self.cost

        if recorder is not None:
            recorder.do(self._unlocated)
            recorder.do(self._judged_at_the_end)
        if recorder is not None and not recorder.close(self.steps if steps is None else steps, charged):
            self._tell("the last samples are still being read: the recording ends before them")
        view, self._view = self._view, None
        if view is not None:
            view.end(self.folder)

    @property
    def steps(self) -> int:
        """Return how many steps were taken; before the end, and where nobody counted, up to the last sample."""
        return max(self._steps, self._last + 1)

    @property
    def cost(self) -> WatchCost:
        """Return what watching cost so far."""
        return self.pace.cost

    @property
    def recording(self) -> Recording:
        """Return what was recorded; raise UsageError before the first sample was written, or where none can be."""
        if self.unwritten:
            raise UsageError(
                "nothing of the training could be recorded",
                found=self.unwritten,
                numbers={"steps": self.steps},
                hint="folder=..., one that can be made and written",
            )
        if self.folder is None:
            raise UsageError(
                "nothing was recorded yet",
                found="no step was sampled, or its sample is not written",
                hint="read it after the training, or half a second after its first step",
            )
        return read(self.folder)

    def _file(self, header: Header) -> RecordingFile:
        try:
            made = self._own_folder()
            file = RecordingFile(made / "recording.sqlite", header)
        except Exception as error:  # the recorder tells it
            self.unwritten = f"{error}"
            raise
        self.folder = made
        return file

    def _own_folder(self) -> Path:
        """Return the run's folder, which is made at the first call."""
        self._made = make_run_folder(self._title, self._home) if self._made is None else self._made
        return self._made

    def _hear(self, row: Row) -> list[Event]:
        header = self._header
        assert header is not None  # set before the recorder, which calls this
        if self._recorder is not None:
            self.pace.charged(self._recorder.spent, settled=self._recorder.settled)
        events = [event for hear in self._listeners for event in hear(header, row)]
        self._tell_first(events)
        return [*events, *self._stops(events)]

    def glance(self, step: int, mean: Callable[[], float], steps: int) -> None:
        """Take the mean loss of the last so many steps up to this one, read in another thread. steps: 0 for its own."""
        if self._recorder is not None:
            self._recorder.glance(mean, lambda found: self._glanced(step, found, steps))

    def _glanced(self, step: int, mean: float, steps: int) -> list[Event]:
        """Take the mean of the steps since the last glance out of two means that begin at one step."""
        before, sofar = self._mean
        self._mean = mean * steps, steps
        if 0 < sofar < steps:
            mean = (mean * steps - before) / (steps - sofar)
        seconds = self._seconds
        events = self._jump(step, seconds, mean)
        self._nonfinite.glance(step, seconds, mean)
        return events

    @property
    def _seconds(self) -> float:
        """Return the time since the recording began."""
        return 0.0 if self._recorder is None else self._recorder.seconds

    def _jumps(self, header: Header, row: Row) -> list[Event]:
        return [] if loss_unknown(header, row) else self._jump(row.step, row.seconds, row.loss)

    def _jump(self, step: int, seconds: float, loss: float) -> list[Event]:
        """Have the next step sampled where the loss is much larger than it was, or no number; say so of a jump."""
        if not math.isfinite(loss):
            if not self._nonfinite.known:  # after the first one no sample shows more
                self.pace.alarm()
            return []
        before, self._losses = self._losses, [*self._losses[-_LAST + 1 :], loss]
        most = max(map(abs, before)) if len(before) >= _FEWEST else math.nan
        self._highest = max(self._highest, abs(loss))
        if not abs(loss) > (JUMP * most or FROM_NOTHING * self._highest):
            return []
        self.pace.alarm()
        times = f"{abs(loss) / most:.3g} times the largest of those before" if most else "the last ones were 0"
        text = f"the loss jumped to {loss:.3g}, {times}"
        return [Event(step=step, seconds=seconds, kind="jump", text=text)]


def to_stream(stream: TextIO) -> Callable[[str], None]:
    """Return what shows a line on the stream, beside whatever else is written there."""

    def tell(text: str) -> None:
        stream.write(f"unvanish: {text}\n")
        stream.flush()

    return tell
