"""Tell the first value of a training that is no finite number, once: with its place, else as what was seen of it.

All but `awaits` is called in the recorder's thread, in the order in which the training put it there. However late that
thread is, what it decides is decided by that order alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec.structs import replace

from unvanish.core.nonfinite import CODE, VERDICT, Spoilt, since
from unvanish.core.recording import Event
from unvanish.core.recording_file import Header, Row
from unvanish.watching.stream import is_finite, loss_unknown, nonfinite_layers

SEARCH, SEEN = 256, 3
"""Steps that a dynamic loss scale may skip on end: it halves each time, and float32 has 254 powers of two. And how many
samples have to have shown more than that: two that are far apart may both be of a scale that grows anew."""


class FirstNonfinite:
    """Hold what is known of it."""

    def __init__(self, tell: Callable[[str], object]) -> None:
        """tell: shows a line that the user must see."""
        self.scaled = False
        """Whether a dynamic loss scale is at work, whose search lets gradients overflow and skips their steps."""
        self._overflows: list[int] = []
        """The steps of the last samples, all of which overflowed under that scale."""
        self._tell = tell
        self._awaited: set[int] = set()
        self._finite = 0
        """The last step of which nothing but finite values was seen; before one, the first step."""
        self._glanced: int | None = None
        """The first step whose loss was seen to be no finite number."""
        self._pending: Event | None = None
        """What was seen, while a sample of it is waited for, or its place."""
        self._sampled = False
        """Whether it was seen in a sample, not in a loss alone."""
        self._told = False

    def awaits(self, step: int) -> None:
        """Be told, before its sample is put, that the place is searched for once the numbers of the step were read."""
        self._awaited.add(step)

    @property
    def known(self) -> bool:
        """Say whether it was seen, told or not."""
        return self._told or self._pending is not None

    def glance(self, step: int, seconds: float, loss: float) -> None:
        """Take the loss of a step that is not sampled, or the mean over the steps since the last glance."""
        if math.isfinite(loss):
            self._passed(step)
        elif not self.known:
            self._glanced = step
            text = f"step {step}: the loss is no finite number ({loss:.3g}), {since(self._finite, step)}"
            self._pending = _event(step, seconds, text)

    def row(self, header: Header, row: Row) -> list[Event]:
        """Take a sample; return what is to be recorded of it."""
        awaited = row.step in self._awaited
        self._awaited.discard(row.step)
        if is_finite(header, row):
            self._overflows.clear()
            self._passed(row.step)
            return []
        if self._is_search(header, row):
            return []
        if self._told or self._sampled:  # what is pending waits for the place of its own step
            return []
        self._sampled, self._pending = True, self._symptom(header, row)
        return [] if awaited else self.unlocated()

    def _is_search(self, header: Header, row: Row) -> bool:
        """Say whether gradients alone are no finite numbers, as a loss scale looks for itself; not for ever."""
        if not self.scaled or not (math.isfinite(row.loss) or loss_unknown(header, row)):
            return False
        self._overflows = [*self._overflows[:SEEN], row.step]
        return row.step - self._overflows[0] <= SEARCH or len(self._overflows) < SEEN

    def located(self, spoilt: Spoilt, seconds: float) -> tuple[Spoilt | None, list[Event]]:
        """Take its place; return what is to be kept, None for a later one than was told, and what is to be recorded."""
        if self._told:
            return None, []
        until = spoilt.step - 1 if self._glanced is None else self._glanced
        spoilt = replace(spoilt, since=(self._finite, max(until, self._finite)))
        layer = spoilt.located.layer
        self._pending = _event(spoilt.step, seconds, f"{spoilt}", layer)
        return spoilt, self.unlocated()

    def unlocated(self) -> list[Event]:
        """Tell what was seen, if it was not told: nobody will find its place, or it is all over."""
        found, self._pending = self._pending, None
        if found is None:
            return []
        self._told = True
        self._tell(found.text)
        return [found]

    def _symptom(self, header: Header, row: Row) -> Event:
        layers = nonfinite_layers(header, row)
        where = f"in the gradients of {len(layers)} of {len(header.layers)} layers" if layers else "in the loss alone"
        text = f"step {row.step}: the first values that are no finite numbers, {where} (loss {row.loss:.3g})"
        if row.step > self._finite + 1:
            text += f", {since(self._finite, row.step if self._glanced is None else self._glanced)}"
        last = (layers or [""])[-1]
        return _event(row.step, row.seconds, text, last)

    def _passed(self, step: int) -> None:
        if not self.known:
            self._finite = max(self._finite, step)


def _event(step: int, seconds: float, text: str, layer: str = "") -> Event:
    return Event(step=step, seconds=seconds, kind="nonfinite", text=text, layer=layer, code=CODE, verdict=VERDICT)
