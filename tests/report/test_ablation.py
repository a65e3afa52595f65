from __future__ import annotations

from cured import cured
from msgspec.structs import replace
from trials import change, evidence

from unvanish.core.evidence import Dropped
from unvanish.report.ablation import arm_rows, conditions, dropped_rows

TANH, ELU, NORM = change("swap", variant="tanh"), change("swap", variant="elu"), change("norm", "architecture", "norm")


def test_what_was_dropped_for_one_reason_stands_in_one_line() -> None:
    dropped = (
        Dropped(prescription=TANH, reason="it did no better"),
        Dropped(prescription=NORM, reason="exploding at the first step", transmission=1.5),
        Dropped(prescription=ELU, reason="it did no better"),
        Dropped(prescription=change("other"), reason="it did no better"),
    )
    found = dropped_rows(evidence((0.5,), {}, dropped=dropped))
    assert found == [
        ("it did no better", "swap (tanh, elu), other"),
        ("exploding at the first step (1.50x per layer)", "norm"),
    ]


def test_a_learning_rate_that_is_part_of_the_change_stands_beside_its_name() -> None:
    record = cured()
    assert record.evidence is not None
    arms = tuple(replace(arm, prescription=TANH.at_rate(1 / 3)) for arm in record.evidence.arms[:1])
    names = [row.name for row in arm_rows(replace(record.evidence, arms=arms), record)]
    assert names == ["as it is", "swap (tanh), learning rate / 3"]


def test_trainings_that_a_budget_shortened_are_told_beside_what_is_usual() -> None:
    found = evidence((0.5,), {TANH: (0.8,)}, usual_steps=250)
    assert "100 steps each (usually 250, 800 planned)" in conditions(found)
    assert "100 steps each (usually 250, unknown planned)" in conditions(replace(found, planned_steps=None))
    assert "100 steps each (800 planned)" in conditions(replace(found, usual_steps=100))
