"""The rows of an ablation table as text: every arm of a cure's trials, the network as it is first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unvanish.core.cured import Cured
from unvanish.core.edit import Prescription, rate_words
from unvanish.core.evidence import Arm, Evidence
from unvanish.report.numbers import MISSING, counted, plain

NOT_FINITE = "not finite"
"""A loss that is no number, and a score of one."""


@dataclass(frozen=True)
class ArmRow:
    """Hold the cells of one arm."""

    arm: Arm
    name: str
    """Its label, with the learning rate where that is part of the change."""
    chosen: bool
    """Whether it is the prescription."""
    size: str
    stuck: str
    per_layer: str
    forecast: str
    score: str
    """Median [range over seeds]."""
    change: str
    """Of the median, against the network as it is; empty for that."""
    p: str
    rate: str
    step: str


def arm_rows(evidence: Evidence, cured: Cured) -> list[ArmRow]:
    """Return one row for each arm."""
    return [_row(evidence, arm, cured) for arm in (evidence.baseline, *evidence.arms)]


def _row(evidence: Evidence, arm: Arm, cured: Cured) -> ArmRow:
    one, p = arm.prescription, evidence.p(arm)
    return ArmRow(
        arm=arm,
        name=_name(arm),
        chosen=one is not None and one == cured.prescription,
        size="" if one is None else one.invasiveness,
        stuck=f"{arm.stuck}/{len(arm.runs)}",
        per_layer=factor(arm.transmission),
        forecast=factor(cured.expected(arm)),
        score=score_of(evidence.metric, arm.scores, arm.score),
        change="" if one is None else _change(evidence, arm),
        p="" if one is None or p is None else f"{p:.3f}" if p >= 0.001 else "<0.001",
        rate=plain(arm.runs[0].learning_rate),
        step="" if one is None else f"{arm.step_cost:.1f}x",
    )


def dropped_rows(evidence: Evidence) -> list[tuple[str, str]]:
    """Return (reason, names of all changes that were dropped for it), in the order in which they were dropped."""
    named: dict[str, list[Prescription]] = {}
    for one in evidence.dropped:
        factor = "" if one.transmission is None else f" ({one.transmission:.2f}x per layer)"
        named.setdefault(f"{one.reason}{factor}", []).append(one.prescription)
    return [(reason, _names(changes)) for reason, changes in named.items()]


def _names(changes: Sequence[Prescription]) -> str:
    """Return `swap-activation (elu, selu), add-residual`."""
    variants: dict[str, list[str]] = {}
    for one in changes:
        variants.setdefault(one.name, []).append(one.variant)
    return ", ".join(f"{name} ({', '.join(told)})" if any(told) else name for name, told in variants.items())


def _name(arm: Arm) -> str:
    one = arm.prescription
    alone = one is None or one.rate == 1.0 or len(one.edits) == 1
    return arm.label if alone or one is None else f"{arm.label}, {rate_words(one.rate)}"


def factor(value: float | None) -> str:
    """Return `0.23x`; `-` where it is not known."""
    return MISSING if value is None else f"{value:.2f}x"


def score_of(metric: str, scores: Sequence[float], median: float) -> str:
    """Return `.825 [.795-.880]`: the median and the range of accuracies, or of losses (their score is minus them)."""
    sign = 1 if metric == "accuracy" else -1
    if not math.isfinite(median):
        return NOT_FINITE
    low, high = _range([sign * score for score in scores])
    range_ = "" if len(scores) < 2 else f" [{short(low)}-{short(high)}]"
    return f"{short(sign * median)}{range_}"


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest; what is no number is above all that are."""
    known = [math.inf if math.isnan(value) else value for value in values]
    return min(known), max(known)


def short(value: float) -> str:
    """Return three decimals, without the zero in front: columns are narrow."""
    if not math.isfinite(value):
        return NOT_FINITE
    return f"{value:.3f}".removeprefix("0") if abs(value) < 100 else plain(value)


def conditions(evidence: Evidence) -> str:
    """Return on what all arms were compared, and how; of the network as it is alone, what its numbers are."""
    shortened = evidence.usual_steps is not None and evidence.steps < evidence.usual_steps
    usual = f"usually {evidence.usual_steps}, " if shortened else ""
    planned = f" ({usual}{evidence.planned_steps or 'unknown'} planned)" if usual or evidence.planned_steps else ""
    chance = "" if evidence.chance is None else f"; chance {plain(abs(evidence.chance))}"
    taken = f"{counted(len(evidence.seeds), 'seed')}, {counted(evidence.steps, 'step')} each{planned}"
    score = f"score: held-out {evidence.metric}, median [range]{chance}"
    if not evidence.arms:
        return f"{taken}; {score}"
    return (
        f"{taken}, the same batches; stuck: seeds whose loss did not fall; {score}; "
        "per layer: the gradient's factor towards the input at the first step; gradients: before and after; "
        f"step: its time over that of the untreated network; better: {evidence.test}; "
        "prescribed: the smallest healthy change that is better, unless another is certainly better still, by more "
        "than a tenth of the gain"
    )


def whose(evidence: Evidence | None) -> str:
    """Return which initialisation the diagnosis is of, and what the numbers of the trials are."""
    seeds = 0 if evidence is None else len(evidence.seeds)
    return "one initialisation" + (f"; numbers of the trials: medians over {seeds} seeds" if seeds > 1 else "")


def harm_of(cured: Cured) -> str:
    """Return when the prescription does harm, and at which learning rate it was seen not to."""
    arm, chosen = cured.treated, cured.prescription
    harm = "" if chosen is None else chosen.harm
    rate = "" if arm is None else f" (measured at learning rate {plain(arm.runs[0].learning_rate)})"
    return harm and harm + rate


def _change(evidence: Evidence, arm: Arm) -> str:
    sign = 1 if evidence.metric == "accuracy" else -1
    gain = sign * evidence.gain(arm)
    if not math.isfinite(gain):
        return MISSING
    return f"{gain:+.3f}".replace("0.", ".", 1) if abs(gain) < 100 else plain(gain)
