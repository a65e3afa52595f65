"""Two networks side by side as rows of text: what it is, before, after, what changed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from unvanish.core.comparison import Comparison, Side
from unvanish.report.ablation import NOT_FINITE, factor, score_of, short
from unvanish.report.glyphs import verdict_mark
from unvanish.report.headline import Number
from unvanish.report.numbers import MISSING, counted, plain, scientific


@dataclass(frozen=True)
class Line:
    """Hold one row."""

    label: str
    before: str
    after: str
    change: str = ""


def lines_of(comparison: Comparison) -> list[Line]:
    """Return the rows that have something to say about either network."""
    before, after = comparison.before, comparison.after
    found = [
        Line("gradients", _verdict(before), _verdict(after)),
        Line("transmission per layer", factor(before.transmission), factor(after.transmission)),
        Line("forecast", factor(before.expected), factor(after.expected)),
        Line("first / last gradient", _first_over_last(before), _first_over_last(after), _times(comparison)),
        Line(_loss_label(comparison), _loss(before), _loss(after), _lower(comparison)),
        Line(f"held-out {after.metric}", _score(before), _score(after), _higher(comparison)),
        Line("stuck", _stuck(before), _stuck(after)),
    ]
    return [line for line in found if {line.before, line.after} != {MISSING}]


def headline_of(comparison: Comparison) -> tuple[Number, ...]:
    """Return the three numbers of a verdict card, each before and after."""
    before, after = comparison.before, comparison.after
    names = f"{before.change or before.title} → {after.change or after.title}"
    forecast = "" if after.expected is None else f"; forecast {factor(before.expected)} → {factor(after.expected)}"
    score = Number(
        f"held-out {after.metric}", _arrow(_median(before), _median(after)), _higher(comparison) or "median over seeds"
    )
    chance = f"chance {plain(before.chance)}" if before.chance is not None else ""
    told = "; ".join(filter(None, (_lower(comparison), chance)))
    loss = Number(_loss_label(comparison), _arrow(_number(before.loss), _number(after.loss)), told)
    return (
        Number(
            "gradient per layer, towards the input",
            _arrow(factor(before.transmission), factor(after.transmission)),
            names + forecast,
        ),
        Number(
            "first / last gradient",
            _arrow(_first_over_last(before), _first_over_last(after)),
            "at the first step: the first kernel's norm over the output kernel's",
        ),
        loss if MISSING in (_score(before), _score(after)) else score,
    )


@dataclass(frozen=True)
class DepthRow:
    """Hold the gradient RMS of one kernel: before and after the change, at the first step and after the last one."""

    name: str
    numbers: tuple[float | None, ...]


def depth_rows(comparison: Comparison) -> list[DepthRow]:
    """Return a row for each kernel of either network, in the order of the first, then of the second."""
    sides = [side.gradients for side in (comparison.before, comparison.after)]
    first = [{} if side is None else dict(zip(side.layers, side.medians, strict=False)) for side in sides]
    last = [{} if side is None else dict(zip(side.layers, side.last_medians, strict=False)) for side in sides]
    columns: list[dict[str, float | None]] = [*first, *last]
    names = dict.fromkeys(name for side in sides if side is not None for name in side.layers)
    return [DepthRow(name, tuple(column.get(name) for column in columns)) for name in names]


def footnote(comparison: Comparison) -> str:
    """Return what the rows are of."""
    sides = (comparison.before, comparison.after)
    losses = sorted({side.loss_of for side in sides if side.losses})
    parts = ["transmission, forecast, first / last: at the first step, towards the input"]
    if losses:
        chance = next((side.chance for side in sides if side.chance is not None), None)
        known = "" if chance is None else f" (chance {plain(chance)})"
        parts.append(f"loss: of {' and '.join(losses)}{known}" + ("" if len(losses) == 1 else ", not the same thing"))
    if any(side.stuck is not None for side in sides):
        parts.append("stuck: seeds whose loss did not fall")
    return "; ".join(parts)


def _arrow(before: str, after: str) -> str:
    return f"{before} → {after}"


def _median(side: Side) -> str:
    return MISSING if side.score is None else short((1 if side.metric == "accuracy" else -1) * side.score)


def _verdict(side: Side) -> str:
    return f"{verdict_mark(side.verdict).glyph} {side.verdict}"


def _first_over_last(side: Side) -> str:
    return scientific(side.first_over_last)


def _times(comparison: Comparison) -> str:
    change = comparison.first_over_last_change
    return "" if change is None else f"x {plain(change, 2)}"


def _loss_label(comparison: Comparison) -> str:
    steps = {side.steps for side in (comparison.before, comparison.after) if side.losses}
    return f"loss after {counted(steps.pop(), 'step')}" if len(steps) == 1 else "loss after training"


def _loss(side: Side) -> str:
    if side.loss is None:
        return MISSING
    if len(side.losses) == 1:
        return f"{_number(side.losses[0][0])} > {_number(side.loss)}"
    return score_of("accuracy", [after for _, after in side.losses], side.loss)


def _number(loss: float | None) -> str:
    return plain(loss) if loss is None or math.isfinite(loss) else NOT_FINITE


def _lower(comparison: Comparison) -> str:
    number = min(len(comparison.before.losses), len(comparison.after.losses))
    return f"lower: {comparison.lower_losses}/{number} seeds" if number > 1 else ""


def _score(side: Side) -> str:
    if side.metric == "loss" or side.score is None:
        return MISSING
    return score_of(side.metric, side.scores, side.score)


def _higher(comparison: Comparison) -> str:
    number = min(len(comparison.before.scores), len(comparison.after.scores))
    return f"better: {comparison.higher_scores}/{number} seeds" if number > 1 else ""


def _stuck(side: Side) -> str:
    return MISSING if side.stuck is None else f"{side.stuck} of {len(side.losses)} seeds"
