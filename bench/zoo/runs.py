"""The zoo's runs by name, and the one call that trains any of them."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from zoo.case import Case

FRAMEWORKS = ("keras", "torch")


def cases(framework: str = "") -> list[Case]:
    """Return the runs of both frameworks, or of one, healthy ones first. Imports the frameworks that are asked for."""
    chosen = (framework,) if framework else FRAMEWORKS
    return [c for part in ("healthy", "sick") for f in chosen for c in importlib.import_module(f"zoo.{f}_{part}").CASES]


def find(name: str) -> Case:
    """Return the run of that name; raise KeyError if there is none."""
    return {case.name: case for case in cases(name.split("-")[0])}[name]


def run(
    name: str, seed: int, *, cured: bool = False, watch: AbstractContextManager[Any] | None = None
) -> tuple[float, ...]:
    """Train one run, or the cured twin of a sick one, and return its held-out scores.

    The last score is the one after the budget; a run that was trained before has the score at its start as well.
    watch: entered around the last training alone, for whoever looks at it.
    """
    case = find(name)
    train = importlib.import_module(f"zoo.{case.framework}_runs").run
    scores = train(case.twin() if cured else case, seed, nullcontext() if watch is None else watch)
    return tuple(round(score, 4) for score in scores)
