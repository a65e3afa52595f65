"""One run of the zoo, as data: what is built, on what, how it is trained, and, where it is sick, of what."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.tasks import Task, task

SEEDS = (1, 2, 3)

EXPLODING, VANISHING, SATURATED, DEAD = "exploding", "vanishing", "saturated", "dead"
BLOCKED, NONFINITE, STEP = "blocked", "nonfinite", "untrainable-step"
WARNED = "healthy"
"""The word of a disease whose rules only warn: warnings do not change the verdict."""

Build = Callable[[Task], Any]


def opt(name: str, rate: float, **config: Any) -> tuple[str, float, dict[str, Any]]:
    """Return an optimizer as data, by the name that both frameworks share."""
    return name, rate, config


@dataclass(frozen=True, kw_only=True)
class Case:
    """Describe one training. Healthy where `root` is empty."""

    name: str
    """`keras-` or `torch-`, then what it is."""
    family: str
    task: str
    build: Build
    """Task -> an untrained model; the seed was set before."""
    optimizer: tuple[str, float, dict[str, Any]]
    batch: int = 32
    epochs: int = 12
    loss: Any = None
    """What the task's kind asks for, unless given."""
    train: Mapping[str, Any] = field(default_factory=dict)
    root: str = ""
    """The verdict word of the planted fault's root; `healthy` where its rules only warn."""
    accept: tuple[str, ...] = ()
    """Words that are not wrong either."""
    codes: tuple[str, ...] = ()
    """The planted fault's rules. Where `root` is `healthy`, one of them must be found."""
    cured: Mapping[str, Any] = field(default_factory=dict)
    """What the twin without the fault changes."""

    @property
    def framework(self) -> str:
        """Return `keras` or `torch`."""
        return self.name.split("-")[0]

    @property
    def data(self) -> Task:
        """Return the task's data."""
        return task(self.task)

    @property
    def half(self) -> str:
        """Return the half of the zoo that the run belongs to: thresholds may look at the reported one only."""
        return half(self.name)

    def twin(self) -> Case:
        """Return the same run without its fault."""
        return replace(self, root="", accept=(), codes=(), **{"cured": {}, **self.cured})


def half(name: str) -> str:
    """Return `reported` or `unseen`, by a hash of the name."""
    return ("reported", "unseen")[hashlib.sha256(name.encode()).digest()[0] % 2]
