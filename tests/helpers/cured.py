"""Cures for tests of reporters: synthetic networks before and after, three seeds each."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace
from trials import CLIP, change, evidence

from unvanish.core.cured import Cured
from unvanish.core.diagnosis import Diagnosis
from unvanish.core.evidence import Arm, Dropped
from unvanish.core.gradient_by_depth import GradientByDepth, gradient_by_depth, over_seeds
from unvanish.testing import diagnoses
from unvanish.testing.observations import Recipe, observation

WORD = change("swap-activation", variant="tanh", change="activation='tanh'", transmission=0.94)
BRANCH = change("add-residual", "architecture", "residual", harm="where the widths differ")
SPREAD = (1.0, 1.5, 0.5)
"""The gradients of each seed, over those of the first."""


def gradients(recipe: Recipe, spread: Sequence[float] = SPREAD) -> GradientByDepth:
    """Return the gradients of that network, over one seed for each entry of `spread`."""
    seen = observation(recipe)
    one = gradient_by_depth(seen.network, seen.profiles, seen.forecast)
    scaled = [replace(one, first=_times(one.first, factor), last=_times(one.last, 1 / factor)) for factor in spread]
    made = over_seeds(scaled)
    assert made is not None
    return made


def cured(
    depth: int = 12, *, diagnosis: Diagnosis | None = None, source: str = "model = 1\n", **fields: object
) -> Cured:
    """Return a cure by tanh: sick before, healthy after, a branch and clipping beside it, one change dropped."""
    sick = Recipe(depth=depth)
    healthy = Recipe(depth=depth, activation="tanh", factor=0.97, output_norm=0.4)
    found = evidence(
        (0.5, 0.49, 0.51),
        {WORD: (0.84, 0.85, 0.86), BRANCH: (0.8, 0.81, 0.82), CLIP: (0.5, 0.49, 0.51)},
        dropped=(
            Dropped(prescription=change("add-batch-norm"), reason="exploding at the first step", transmission=1.21),
        ),
    )
    known = {
        "verdict": "cured",
        "sentence": "activation='tanh' (one word): accuracy 0.850 instead of 0.500",
        "prescription": WORD,
        "evidence": replace(
            found,
            baseline=replace(found.baseline, gradients=gradients(sick)),
            arms=tuple(_with_gradients(arm, sick, healthy) for arm in found.arms),
        ),
        "diagnosis": diagnosis or diagnoses.sick(),
        "notes": ("clipping had no effect",),
        "source": source,
        "title": "train.py",
        "version": "0.1.0",
        "created": "2026-01-31T12:00:00+01:00",
        "seconds": 12.3,
    }
    return Cured(**(known | fields))  # type: ignore[arg-type]


def _with_gradients(arm: Arm, sick: Recipe, healthy: Recipe) -> Arm:
    if arm.clips:
        return replace(arm, gradients=gradients(sick), verdict="vanishing", transmission=0.24)
    return replace(arm, gradients=gradients(healthy))


def _times(rows: Sequence[Sequence[float | None]], factor: float) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(None if number is None else factor * number for number in row) for row in rows)
