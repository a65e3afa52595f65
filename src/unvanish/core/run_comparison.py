"""Two recorded trainings side by side: each layer's gradient, and the loss at the same steps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from unvanish.core import document
from unvanish.core.recording import ACTIVATION_STATS, Recording
from unvanish.core.renderers import render
from unvanish.core.saving import save
from unvanish.core.told import CHANGES, Change, Told, told_of

if TYPE_CHECKING:
    from unvanish.core.course import Course, LayerCourse

LOSSES = 6
"""Steps at which the losses are put side by side, at most."""


COMPARED = ("update_ratio", *ACTIVATION_STATS)
"""What is compared of a layer beside its gradient."""

Both = tuple[float | None, float | None]
"""A number before and after; None: there is none."""


class LayerPair(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the gradient RMS of one layer, the median over the samples in which it is finite; None: there is none."""

    name: str
    before: float | None
    after: float | None
    stats: dict[str, Both] = {}
    """For each of COMPARED: the ratio is the median too, activations are those of the last sample looked into."""

    @property
    def decades(self) -> float | None:
        """Return log10(after / before); None where either is not known or not above zero."""
        before, after = self.before or 0.0, self.after or 0.0
        return math.log10(after / before) if before > 0 and after > 0 else None


class LossPair(msgspec.Struct, frozen=True, kw_only=True):
    """Hold the batch losses of two samples: each the last one at the step or before it; nan where nobody saw it."""

    step: int
    before: float
    after: float
    before_step: int
    after_step: int

    @property
    def difference(self) -> float | None:
        """Return by how much the second is higher; None where either is not finite."""
        found = self.after - self.before
        return found if math.isfinite(found) else None


class RunComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Hold two recordings side by side."""

    before: Recording
    after: Recording
    version: str = ""

    @property
    def by_position(self) -> bool:
        """Say whether layers are paired by their place: where both have as many of them. Else those of one name are."""
        return len(self.before.layers) == len(self.after.layers)

    @property
    def layers(self) -> tuple[LayerPair, ...]:
        """Return a pair for each layer: in the order of the first recording, then what only the second has."""
        first, second = self.before.courses(), self.after.courses()
        if self.by_position:
            return tuple(_pair(one, other) for one, other in zip(first, second, strict=True))
        old, new = ({one.name: one for one in courses} for courses in (first, second))
        return tuple(_pair(old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new]))

    @property
    def compared(self) -> tuple[str, ...]:
        """Return which of COMPARED both recordings know, of the same layer."""
        pairs = self.layers
        return tuple(stat for stat in COMPARED if any(None not in pair.stats[stat] for pair in pairs))

    @property
    def told(self) -> dict[Change, tuple[Told, ...]] | None:
        """Return the findings that went, came and stayed; None where one training has no sample to tell any of."""
        found = told_of(self.before, self.after)
        return None if found is None else {word: tuple(t for t in found if t.change == word) for word in CHANGES}

    @property
    def first_over_last(self) -> tuple[float | None, float | None]:
        """Return of each the median over the samples of the first kernel's gradient norm over the output kernel's."""
        return self.before.first_over_last_course().median, self.after.first_over_last_course().median

    @property
    def first_over_last_change(self) -> float | None:
        """Return what the first is multiplied by to give the second; None where either is not known or zero."""
        before, after = self.first_over_last
        return after / before if before and after else None

    @property
    def losses(self) -> tuple[LossPair, ...]:
        """Return the losses at steps that both sampled, at most LOSSES of them, evenly from the first to the last.

        Where they share fewer than two, at even steps over what both trained: then of each the last sample until there.
        """
        if not self.before.steps or not self.after.steps:
            return ()
        shared = sorted(set(self.before.steps) & set(self.after.steps))
        if len(shared) < 2:
            low = max(self.before.steps[0], self.after.steps[0])
            shared = list(range(low, min(self.before.steps[-1], self.after.steps[-1]) + 1))
        last, count = len(shared) - 1, min(len(shared), LOSSES)
        places = [round(i * last / (count - 1)) for i in range(count)] if count > 1 else list(range(count))
        return tuple(self._at(shared[place]) for place in places)

    def to_json(self) -> str:
        """Return the record as JSON, with its schema version, and which findings went, came and stayed: `told`."""
        return document.encode(self, told=self.told).decode()

    def save(self, path: str | Path) -> Path:
        """Write the report to a file; its ending chooses the form: .html, .json or .txt. Return the path.

        Raise UsageError for another ending.
        """
        return save(path, page=lambda: render("runs page", self), json=self.to_json, text=lambda: str(self))

    def __str__(self) -> str:
        """Return the terminal report as plain text, 80 columns."""
        return str(render("runs text", self))

    def _at(self, step: int) -> LossPair:
        found: dict[str, Any] = {}
        for place, recording in (("before", self.before), ("after", self.after)):
            sample = recording.sample_at(step)
            assert sample is not None  # the step is not before the first sample of either
            found |= {place: recording.losses[sample], f"{place}_step": recording.steps[sample]}
        return LossPair(step=step, **found)


def _pair(one: LayerCourse | None, other: LayerCourse | None) -> LayerPair:
    """Return a layer that one of the two may not have."""
    names = dict.fromkeys(course.name for course in (one, other) if course is not None)
    return LayerPair(
        name=" / ".join(names),
        before=_of("gradient_rms", one),
        after=_of("gradient_rms", other),
        stats={stat: (_of(stat, one), _of(stat, other)) for stat in COMPARED},
    )


def _of(stat: str, layer: LayerCourse | None) -> float | None:
    if layer is None:
        return None
    course: Course = getattr(layer, stat)
    return course.last if stat in ACTIVATION_STATS else course.median
