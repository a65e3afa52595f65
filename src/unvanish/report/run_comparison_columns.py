"""What is compared of every layer beside its gradient: the step of its weights, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from unvanish.core.run_comparison import LayerPair, RunComparison
from unvanish.report.numbers import MISSING, percent, plain, scientific


class Column(NamedTuple):
    """Hold how one quantity of core.run_comparison.COMPARED is shown."""

    stat: str
    title: str
    written: Callable[[float | None], str]


def _factor(value: float | None) -> str:
    return MISSING if value is None else f"{plain(value, 2)}x"


COLUMNS = (
    Column("transmission", "passes", _factor),
    Column("dead_share", "dead", percent),
    Column("saturated_share", "saturated", percent),
    Column("output_second_moment", "mean square", scientific),
    Column("update_ratio", "update/W", scientific),
    Column("preactivation_second_moment", "before activation", scientific),
)
"""The most telling first: where there is no room, the last ones go."""


def columns_of(comparison: RunComparison) -> tuple[Column, ...]:
    """Return the columns of what both recordings know of some layer."""
    compared = comparison.compared
    return tuple(column for column in COLUMNS if column.stat in compared)


def cells_of(column: Column, pair: LayerPair) -> tuple[str, str]:
    """Return what a layer has in the column, before and after."""
    before, after = pair.stats[column.stat]
    return column.written(before), column.written(after)


def footnote_of(columns: tuple[Column, ...]) -> str:
    """Say what the numbers are."""
    updates = "update/W: |update| / |weights|, the median over the samples"
    looks = (
        "passes, dead, saturated, mean square of what the activation gives and of what comes before it: at the last "
        "look into each"
    )
    activations = any(column.stat != "update_ratio" for column in columns)
    return "; ".join(([looks] if activations else []) + [updates] * any(c.stat == "update_ratio" for c in columns))
