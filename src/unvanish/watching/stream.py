"""Rules on a running training: what a sample shows is judged as it comes, and told when it is found, once."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Collection

from msgspec.structs import replace

from unvanish.core.diagnosis import Finding
from unvanish.core.observation import Observation
from unvanish.core.profile import Profile
from unvanish.core.recording import Event
from unvanish.core.recording_file import Header, Row, as_recording
from unvanish.core.sampled_profile import sampled_profile
from unvanish.watching.judges import JUDGES

_KEPT = 20
"""Samples that a rule may look back on."""
_TAIL = 5
"""Samples whose median loss stands for where the loss is now: a single batch says little."""


PATIENCE = 2.0
"""Seconds of a judgment from which on none is made at the end, where it is waited for: 100 layers take less than 1."""
LASTS = frozenset({"blocked", "dead", "saturated"})
"""Verdicts on what stays as it is. How steep the gradients are over the depth changes while a network learns: at the
end of a training that went well they may be steeper than they ever were, and do no harm."""


def loss_unknown(header: Header, row: Row) -> bool:
    """Say whether no loss was seen at the step: it is nan, and yet all gradients are numbers."""
    return math.isnan(row.loss) and not nonfinite_layers(header, row)


def nonfinite_layers(header: Header, row: Row) -> list[str]:
    """Return the layers in whose gradients a value is no finite number."""
    counts = row.numbers[header.stats.index("gradient_nonfinite")]
    return [name for name, count in zip(header.layers, counts, strict=True) if count > 0]


def is_finite(header: Header, row: Row) -> bool:
    """Say whether the gradients are, and the loss where it is known."""
    return not nonfinite_layers(header, row) and (math.isfinite(row.loss) or loss_unknown(header, row))


class Stream:
    """Hear the samples of a training, judge some of them, and say what was found for the first time."""

    def __init__(self, start: Observation, dtype: str) -> None:
        """start: what is known before the first step, without a profile. dtype: that the layers compute in."""
        self._start, self._dtype = start, dtype
        self._rows: deque[Row] = deque(maxlen=_KEPT)
        self._samples = self._looks = 0
        self._first_losses: list[float] = []
        """What the training is held against: a network that has learned is not ill, however steep its gradients are."""
        self._first_look: Profile | None = None
        self._look: Row | None = None
        """The last sample that was looked into."""
        self._judged: Row | None = None
        """The last sample that was judged."""
        self._took = 0.0
        """Seconds of the last judgment."""
        self._known: set[str] = set()

    def of_batches(self, size: int) -> None:
        """Be told how many samples a step takes."""
        self._start = replace(self._start, data=replace(self._start.data, batch_size=size))

    def scaled(self) -> None:
        """Be told that a dynamic loss scale is at work."""
        if not self._start.optimizer.dynamic_loss_scale:
            self._start = replace(self._start, optimizer=replace(self._start.optimizer, dynamic_loss_scale=True))

    def hear(self, header: Header, row: Row) -> list[Event]:
        """Take a sample; judge the samples 1, 2, 4, 8, ..., and of those that were looked into the same.

        Rules cost, and find what is there at the first. One that is not finite is no part of what they see, then or
        later: see first_nonfinite, which tells it.
        """
        self._samples += 1
        if not is_finite(header, row):
            return []
        self._rows.append(row)
        if len(self._first_losses) < _TAIL and math.isfinite(row.loss):
            self._first_losses.append(row.loss)
        into = bool(as_recording(header, [row]).looked_into()[0])
        self._looks += into
        self._look = row if into else self._look
        due = _is_power(self._samples) or (into and _is_power(self._looks))
        return self._judge(header, row) if due else []

    def end(self, header: Header) -> list[Event]:
        """Judge once more, now that no sample comes any more: the last one, and the last that was looked into.

        Told is what LASTS and came up since they were judged, and what the units do, now that the loss has had its
        time. An event has the step of the sample that shows it.
        """
        last = self._rows[-1] if self._rows else None
        rows = [None if last is self._judged else last, None if last is self._look else self._look]
        if last is not None and self._took > PATIENCE and any(row is not None for row in rows):
            text = f"the last samples are not judged: with so many layers that takes {self._took:.1f} s or more"
            return [Event(step=last.step, seconds=last.seconds, kind="unjudged", text=text)]
        return [event for row in rows if row is not None for event in self._judge(header, row, LASTS)]

    def _judge(self, header: Header, row: Row, words: Collection[str] | None = None) -> list[Event]:
        """Let the rules judge a sample, with the latest ones; return what they had not found before.

        words: verdicts to leave it at; None for all.
        """
        if not JUDGES or loss_unknown(header, row):
            return []
        self._judged, began = row, time.perf_counter()
        own, recent = as_recording(header, [row]), as_recording(header, self._rows)
        size = self._start.data.batch_size
        profile = sampled_profile(self._start.network, own, 0, batch_size=size, dtype=self._dtype)
        first = statistics.median(self._first_losses or [profile.loss])
        profiles: tuple[Profile, ...] = (replace(profile, loss=first),)
        if row is self._look:
            if self._first_look is not None:
                usual = [row.loss for row in [*self._rows][-_TAIL:] if math.isfinite(row.loss)]
                profiles = (self._first_look, replace(profile, loss=statistics.median(usual or [profile.loss])))
            self._first_look = self._first_look or profiles[0]
        found = JUDGES[-1](replace(self._start, recording=recent, profiles=profiles))
        self._took = time.perf_counter() - began
        new = [f for f in found if f.code not in self._known and (words is None or f.verdict in words)]
        self._known.update(finding.code for finding in new)
        return [_event(finding, row) for finding in new]


def _is_power(count: int) -> bool:
    """Say whether it is 1, 2, 4, 8, ..."""
    return count & (count - 1) == 0


def _event(finding: Finding, row: Row) -> Event:
    text = f"step {row.step}: {(finding.verdict or finding.name).upper()}  [{finding.code}] {finding.message}"
    layer = finding.layers[0] if finding.layers else ""
    of_rule = {"code": finding.code, "verdict": finding.verdict or ""}
    return Event(step=row.step, seconds=row.seconds, kind="finding", text=text, layer=layer, **of_rule)
