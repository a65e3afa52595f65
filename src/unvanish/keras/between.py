"""What a model does between two of its layers, recognised by its values: a sum, a concatenation, an activation."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unvanish.core.activations import FUNCTIONS, value

Array = NDArray[Any]

NEAR = 1e-5
"""Relative to the largest entry: float32 arithmetic, done twice."""
LATEST, BRANCHES = 24, 8
"""Earlier outputs that are tried as one of two parts, and as what the end of a branch is a function of; all are tried
as the only one."""


class Between:
    """Stand for an operation that no layer does; it can be named and drawn, but not tapped."""

    def __init__(self, kind: str, activation: str = "linear", part_of: str = "") -> None:
        """kind: of core.network.KINDS. activation: canonical name. part_of: class of the layer that does it."""
        self.kind, self.activation_name = kind, activation
        self.type = part_of or (activation if kind == "activation" else kind)
        self.name = activation if kind == "activation" else kind

    def call(self, value: Any) -> Any:
        """Return the value: nothing runs through here."""
        return value


class Step(NamedTuple):
    """Say that the operation, done on the outputs of these sources, comes next; `BEFORE` is the step before."""

    operation: Between
    sources: tuple[str, ...]


BEFORE = ""


def explain(wanted: Array, earlier: list[tuple[str, Array]]) -> list[Step] | str | None:
    """Return how `wanted` was made of earlier outputs: a name (it is that one), steps in order, or None: not found.

    earlier: (name, values) in forward order, on the same samples.
    """
    latest = list(reversed(earlier))
    for name, found in latest:
        if _near(wanted, found):
            return name
    for name, found in latest:
        step = _alone(wanted, found)
        if step is not None:
            return [Step(step, (name,))]
    return _two(wanted, latest[:LATEST]) or _branch(wanted, latest[:LATEST]) or _joined(wanted, earlier)


def _alone(wanted: Array, found: Array) -> Between | None:
    if wanted.shape == found.shape:
        name = _activation(wanted, found)
        return None if name is None else Between("activation", name)
    if wanted.size == found.size and len(wanted) == len(found) and _near(wanted.ravel(), found.ravel()):
        return Between("flatten")
    return None


def _two(wanted: Array, latest: list[tuple[str, Array]]) -> list[Step] | None:
    for (second, b), (first, a) in itertools.combinations(latest, 2):
        if a.shape == b.shape == wanted.shape:
            kinds = (("add", a + b), ("multiply", a * b))
            for kind, result in kinds:
                steps = [Step(Between(kind), (first, second))]
                if _near(wanted, result):
                    return steps
                name = _activation(wanted, result)
                if name is not None:
                    return [*steps, Step(Between("activation", name), (BEFORE,))]
        elif a.ndim == b.ndim == wanted.ndim and a.shape[:-1] == b.shape[:-1] == wanted.shape[:-1]:
            for x, y, names in ((a, b, (first, second)), (b, a, (second, first))):
                if x.shape[-1] + y.shape[-1] == wanted.shape[-1] and _near(wanted, np.concatenate([x, y], axis=-1)):
                    return [Step(Between("concatenate"), names)]
    return None


def _branch(wanted: Array, latest: list[tuple[str, Array]]) -> list[Step] | None:
    """Look for f(a) + b, the end of a residual branch."""
    for name, kept in latest:
        if kept.shape != wanted.shape:
            continue
        for source, found in latest[:BRANCHES]:
            function = _activation(wanted, found, kept) if found.shape == wanted.shape else None
            if function is not None:
                return [Step(Between("activation", function), (source,)), Step(Between("add"), (BEFORE, name))]
    return None


def _joined(wanted: Array, earlier: list[tuple[str, Array]]) -> list[Step] | None:
    """Look for something that was made in between, with an earlier output laid before or behind it."""
    for name, part in reversed(earlier[-LATEST:]):
        size = part.shape[-1]
        if part.ndim != wanted.ndim or part.shape[:-1] != wanted.shape[:-1] or size >= wanted.shape[-1]:
            continue
        for rest, own, names in (
            (wanted[..., :-size], wanted[..., -size:], (BEFORE, name)),
            (wanted[..., size:], wanted[..., :size], (name, BEFORE)),
        ):
            steps = explain(rest, earlier) if _near(own, part) else None
            if isinstance(steps, list):
                return [*steps, Step(Between("concatenate"), names)]
    return None


def _activation(wanted: Array, found: Array, added: Array | float = 0.0) -> str | None:
    """Return the name of the known elementwise f for which f(found) + added is what is wanted."""
    if not np.all(np.isfinite(found)) or np.ptp(found) == 0:
        return None
    with np.errstate(over="ignore"):
        return next(
            (
                name
                for name in sorted(FUNCTIONS)
                if name != "linear" and _near(wanted, value(name, found.astype(np.float64)) + added)
            ),
            None,
        )


def _near(a: Array, b: Array) -> bool:
    if a.shape != b.shape or a.size == 0:
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(a - b) <= NEAR * np.max(np.abs(a))))
