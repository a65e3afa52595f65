"""Two networks side by side as rows of text: what it is, before, after, what changed."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from unvanish.core.comparison import Comparison, Side
from unvanish.report.ablation import factor, score_of
from unvanish.report.glyphs import verdict_mark
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


def _verdict(side: Side) -> str:
    return f"{verdict_mark(side.verdict).glyph} {side.verdict}"


def _first_over_last(side: Side) -> str:
    return scientific(side.first_over_last)


def _times(comparison: Comparison) -> str:
    before, after = comparison.before.first_over_last, comparison.after.first_over_last
    if not before or not after or not math.isfinite(after / before):
        return ""
    return f"x {plain(after / before, 2)}"


def _loss_label(comparison: Comparison) -> str:
    steps = {side.steps for side in (comparison.before, comparison.after) if side.losses}
    return f"loss after {counted(steps.pop(), 'step')}" if len(steps) == 1 else "loss after training"


def _loss(side: Side) -> str:
    if side.loss is None:
        return MISSING
    if len(side.losses) == 1:
        return f"{plain(side.losses[0][0])} > {plain(side.loss)}"
    return score_of("accuracy", [after for _, after in side.losses], side.loss)


def _lower(comparison: Comparison) -> str:
    number = min(len(comparison.before.losses), len(comparison.after.losses))
    return f"lower: {comparison.lower_losses}/{number} seeds" if number > 1 else ""


def _score(side: Side) -> str:
    if side.metric == "loss" or not side.scores:
        return MISSING
    return score_of(side.metric, side.scores, statistics.median(side.scores))


def _higher(comparison: Comparison) -> str:
    number = min(len(comparison.before.scores), len(comparison.after.scores))
    return f"better: {comparison.higher_scores}/{number} seeds" if number > 1 else ""


def _stuck(side: Side) -> str:
    return MISSING if side.stuck is None else f"{side.stuck} of {len(side.losses)} seeds"
