"""The per-layer table under a finding: a number, its bar, and what else matters for that family of rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from unvanish.core.diagnosis import Finding
from unvanish.report.bar import SHARES, bar, decades
from unvanish.report.fold import Position, fold
from unvanish.report.inert import cells, shorten
from unvanish.report.numbers import percent, scientific
from unvanish.report.rows import LayerRow, kernel_rows

Number = Callable[[LayerRow], float | None]
Format = Callable[[float | None], str]

LONGEST_NAME = 16
NARROWEST_BAR = 8
FRAME = "  |  "


@dataclass(frozen=True)
class Column:
    """Name a number of a row, and how it is written."""

    heading: str
    number: Number
    form: Format = scientific


@dataclass(frozen=True)
class Family:
    """Say which number the bars show, beside which columns; `shares` are drawn on a linear scale.

    `last`: they are of the last probe, at the end of what was seen of the training; else of the first one. Of several
    numbers the bars show the one that changes most over the layers; the others become columns.
    """

    candidates: tuple[Column, ...]
    beside: tuple[Column, ...]
    shares: bool = False
    kernels: bool = True
    last: bool = False


GRADIENT = Column("gradient RMS", lambda row: row.first.gradient_rms)
UPDATE = Column("update/weight", lambda row: row.update_ratio)
EPSILON = Column("eps share", lambda row: row.epsilon_share, percent)
MOVED = Column("moved", lambda row: row.movement, scientific)
SIGNAL = Column("signal q", lambda row: row.first.preactivation_second_moment)
SPREAD = Column("1 - c", lambda row: None if row.first.correlation is None else 1 - row.first.correlation)
LAST_GRADIENT = Column("gradient RMS", lambda row: row.last.gradient_rms)
DEAD = Column("dead", lambda row: row.last.dead_share, percent)
DEAD_FIRST = Column("at step 0", lambda row: None if row.last is row.first else row.first.dead_share, percent)
SATURATED = Column("saturated", lambda row: row.last.saturated_share, percent)
SATURATED_FIRST = Column("at step 0", lambda row: None if row.last is row.first else row.first.saturated_share, percent)

DEFAULT = Family((GRADIENT,), (UPDATE, MOVED, EPSILON))
FAMILIES = {
    "GF104": Family((SIGNAL, SPREAD), (GRADIENT,)),
    "GF105": Family((SIGNAL, SPREAD), (GRADIENT,)),
    "GF201": Family((SATURATED,), (SATURATED_FIRST, DEAD, LAST_GRADIENT), shares=True, kernels=False, last=True),
    "GF202": Family((DEAD,), (DEAD_FIRST, SATURATED, LAST_GRADIENT), shares=True, kernels=False, last=True),
}
"""Rule code -> what its table shows; every other rule about layers shows DEFAULT."""


def family_of(code: str) -> Family | None:
    """Return what the rule's table shows; None for rules about time (7xx), data and head (9xx): none over depth."""
    return None if code.startswith(("GF7", "GF9")) else FAMILIES.get(code, DEFAULT)


def table_lines(finding: Finding, rows: Sequence[LayerRow], width: int) -> list[Text]:
    """Return the table's lines, none wider than `width`; none at all where the drawn number was never taken."""
    family = family_of(finding.code)
    if family is None:
        return []
    chosen = kernel_rows(rows) if family.kernels else tuple(rows)
    drawn = max(family.candidates, key=lambda column: _span(column, chosen))  # the first of equals
    chosen = tuple(row for row in chosen if drawn.number(row) is not None)
    if not chosen:
        return []
    others = tuple(column for column in family.candidates if column is not drawn)
    return _Table(drawn, (*others, *family.beside), family.shares, chosen, set(finding.layers), width).lines()


def _span(column: Column, rows: Sequence[LayerRow]) -> float:
    scale = decades(column.number(row) for row in rows)
    return -1.0 if scale is None else scale.high - scale.low


def _width(column: Column) -> int:
    """Return the characters that a column takes: its heading, or `1.2e-03`."""
    return max(len(column.heading), len(scientific(1e-3)))


class _Table:
    """Lay out one table: widths first, then the lines."""

    def __init__(
        self,
        drawn: Column,
        beside: tuple[Column, ...],
        shares: bool,
        rows: tuple[LayerRow, ...],
        marked: set[str],
        width: int,
    ) -> None:
        self.drawn, self.rows, self.marked = drawn, rows, marked
        self.scale = SHARES if shares else decades(drawn.number(row) for row in rows)
        self.positions = fold(len(rows), self._worst())
        shown = [rows[i] for i in self.positions if i != "..."]
        self.names = {row.index: shorten(row.layer.name, LONGEST_NAME) for row in shown}
        self.number_width = max(len(drawn.heading), *(cells(drawn.form(drawn.number(row))) for row in shown))
        self.name_width = max([len("layer"), *map(cells, self.names.values())])
        self.beside = [c for c in beside if any(c.number(row) is not None for row in rows)]
        self.bar_width = self._room(width)
        while self.bar_width < NARROWEST_BAR and self.beside:
            self.beside.pop()
            self.bar_width = self._room(width)

    def lines(self) -> list[Text]:
        """Return heading and rows."""
        heading = self._line("layer", self.drawn.heading, self._ticks(), [c.heading for c in self.beside])
        heading.stylize("dim")
        return [heading, *map(self._row, [-1, *self.positions], self.positions, [*self.positions[1:], len(self.rows)])]

    def _room(self, width: int) -> int:
        columns = self.number_width + sum(2 + _width(c) for c in self.beside)
        return width - cells(FRAME) - self.name_width - 2 - columns - 2 - 2

    def _worst(self) -> list[int]:
        """Return the positions of the marked rows, as they matter to the reader: of shares the largest first."""
        marked = [i for i, row in enumerate(self.rows) if row.layer.name in self.marked]
        if self.scale is SHARES:
            return sorted(marked, key=lambda i: -(self.drawn.number(self.rows[i]) or 0.0))
        return marked if len(marked) < len(self.rows) else []

    def _ticks(self) -> str:
        return self.scale.ticks(self.bar_width) if self.scale and self.bar_width >= NARROWEST_BAR else ""

    def _row(self, before: Position, position: Position, after: Position) -> Text:
        if isinstance(position, str):
            left_out = int(after) - int(before) - 1
            return Text(f"{FRAME}... {left_out} layers", style="dim")
        row = self.rows[position]
        number = self.drawn.number(row)
        drawn = ""
        if self.scale and number and not math.isnan(number) and self.bar_width >= NARROWEST_BAR:
            drawn = bar(self.scale.position(number), self.bar_width)
        line = self._line(
            self.names[row.index],
            self.drawn.form(number),
            drawn,
            [column.form(column.number(row)) for column in self.beside],
        )
        if row.layer.name in self.marked:
            line.append(" ←")
            line.stylize("red", len(FRAME))
        line.stylize("dim", 0, len(FRAME))
        return line

    def _line(self, name: str, number: str, drawn: str, beside: Sequence[str]) -> Text:
        text = FRAME + name + " " * (self.name_width - cells(name))
        text += "  " + number.rjust(self.number_width)
        if self.bar_width >= NARROWEST_BAR:
            text += "  " + drawn.ljust(self.bar_width)
        for column, value in zip(self.beside, beside, strict=True):
            text += "  " + value.rjust(_width(column))
        return Text(text.rstrip())
