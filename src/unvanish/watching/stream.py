"""Rules on a running training: what a sample shows is judged as it comes, and told when it is found, once."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from msgspec.structs import replace

from unvanish.core.diagnosis import Finding
from unvanish.core.observation import Observation
from unvanish.core.recording import Event, Recording
from unvanish.core.recording_file import Header, Row
from unvanish.core.sampled_profile import sampled_profile
from unvanish.watching.judges import JUDGES

SHOWN_BY_A_SAMPLE = frozenset({"blocked", "exploding", "nonfinite", "vanishing"})
"""Verdicts that a single sample's gradients decide. Those on the step and the units need a whole look, as check's."""

_KEPT = 20
"""Samples that a rule may look back on."""


def loss_unknown(header: Header, row: Row) -> bool:
    """Say whether no loss was seen at the step: it is nan, and yet all gradients are numbers."""
    counts = row.numbers[header.stats.index("gradient_nonfinite")]
    return math.isnan(row.loss) and not bool((counts > 0).any())


class Stream:
    """Hear the samples of a training, judge some of them, and say what was found for the first time."""

    def __init__(self, start: Observation, dtype: str, found: Callable[[Finding], object]) -> None:
        """start: what is known before the first step, without a profile. dtype: that the layers compute in.

        found: is told of each finding that is an error, when it is found.
        """
        self._start, self._dtype, self._found = start, dtype, found
        self._rows: deque[Row] = deque(maxlen=_KEPT)
        self._samples = 0
        self._known: set[str] = set()

    def hear(self, header: Header, row: Row) -> list[Event]:
        """Take a sample; judge the samples 1, 2, 4, 8, ...: rules cost, and find what is there at the first."""
        self._rows.append(row)
        self._samples += 1
        if not JUDGES or self._samples & (self._samples - 1) or loss_unknown(header, row):
            return []
        recording = _recording(header, tuple(self._rows))
        size = self._start.data.batch_size
        profile = sampled_profile(self._start.network, recording, -1, batch_size=size, dtype=self._dtype)
        diagnosis = JUDGES[-1](replace(self._start, recording=recording, profiles=(profile,)))
        events = []
        for finding in diagnosis.findings:
            if finding.severity != "error" or finding.verdict not in SHOWN_BY_A_SAMPLE or finding.code in self._known:
                continue
            self._known.add(finding.code)
            text = f"step {row.step}: {finding.verdict.upper()}  [{finding.code}] {finding.message}"
            layer = finding.layers[0] if finding.layers else ""
            events.append(Event(step=row.step, seconds=row.seconds, kind="finding", text=text, layer=layer))
            self._found(finding)
        return events


def _recording(header: Header, rows: tuple[Row, ...]) -> Recording:
    return Recording(
        layers=header.layers,
        sizes=header.sizes,
        steps=tuple(row.step for row in rows),
        losses=tuple(row.loss for row in rows),
        rows={stat: tuple(tuple(row.numbers[i].tolist()) for row in rows) for i, stat in enumerate(header.stats)},
        total_steps=rows[-1].step + 1,
        seconds=tuple(row.seconds for row in rows),
    )
