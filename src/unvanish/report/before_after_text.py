"""Two networks side by side in the terminal: rows of numbers, then the gradient of every kernel."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from unvanish.core.comparison import Comparison, Side
from unvanish.report.before_after import footnote, lines_of
from unvanish.report.dumbbell import dumbbells
from unvanish.report.inert import cells, shorten
from unvanish.report.lines import wrap

LONGEST_NAME = 28


def before_after_lines(comparison: Comparison, width: int) -> list[Text]:
    """Return the table and its picture, none of it wider than `width`."""
    rows = [(line.label, line.before, line.after, line.change) for line in lines_of(comparison)]
    heads = ("", _name("before", comparison.before), _name("after", comparison.after), "")
    rows = [heads if _wide([heads, *rows]) <= width else ("", "before", "after", ""), *rows]
    widths = _widths(rows)
    shown = 4 if _wide(rows) <= width else 3
    found = []
    for number, row in enumerate(rows):
        texts = [row[0], *row[1:shown]]
        line = "  " + "  ".join(text + " " * (widths[i] - cells(text)) for i, text in enumerate(texts))
        found.append(Text(line.rstrip(), "" if number else "bold"))
    found = [part for line in found for part in ([line] if cells(line.plain) <= width else wrap(line, width, "", ""))]
    picture = dumbbells(comparison, width)
    return [
        *found,
        *([Text(), *picture] if picture else []),
        *wrap(Text(footnote(comparison), "dim"), width, "  ", "  "),
    ]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(cells(row[i]) for row in rows) for i in range(4)]


def _wide(rows: Sequence[Sequence[str]]) -> int:
    """Return the columns that the whole table takes."""
    return sum(_widths(rows)) + 8


def _name(place: str, side: Side) -> str:
    return f"{place}: {shorten(side.change or side.title, LONGEST_NAME)}" if side.change or side.title else place
