"""The gradient of every kernel before and after as dumbbells of text, on a scale of decades."""

from __future__ import annotations

import math

from rich.text import Text

from unvanish.core.comparison import Comparison
from unvanish.report.bar import Scale, decades
from unvanish.report.fold import fold
from unvanish.report.inert import cells, shorten

LONGEST_NAME, NARROWEST = 16, 20
LEGEND = "B● before  ○A after"
HEADING = "log10|gradient|"
ENDS = 2
"""Columns that the letters beside the dots take at either end."""


def dumbbells(comparison: Comparison, width: int) -> list[Text]:
    """Return a line for each kernel that both networks have, long networks folded; nothing where there is none.

    RMS of the kernel's gradient at the first step, median over seeds, none of it wider than `width`.
    """
    before, after = comparison.before.gradients, comparison.after.gradients
    if before is None or after is None:
        return []
    later = dict(zip(after.layers, after.medians, strict=False))
    pairs = [(name, number, later.get(name)) for name, number in zip(before.layers, before.medians, strict=False)]
    rows = [(name, old, new) for name, old, new in pairs if old is not None and new is not None]
    scale = decades(number for _, old, new in rows for number in (old, new))
    shown = fold(len(rows))
    names = {i: shorten(rows[i][0], LONGEST_NAME) for i in shown if i != "..."}
    left = max([cells(HEADING), *map(cells, names.values())]) + 2
    room = width - left - 2 * ENDS - 2
    if scale is None or room < NARROWEST:
        return []
    lines = [Text(f"  {_fill(HEADING, left)}{' ' * ENDS}{_ticks(scale, room)}".rstrip(), "dim")]
    for place, i in enumerate(shown):
        if i == "...":
            lines.append(Text(f"  ... {int(shown[place + 1]) - int(shown[place - 1]) - 1} layers", "dim"))
            continue
        _, old, new = rows[i]
        lines.append(Text(f"  {_fill(names[i], left)}").append_text(_dumbbell(scale, room, old, new)))
    lines.append(Text(f"  {_fill('', left)}{' ' * ENDS}{LEGEND}", "dim"))
    return lines


def _dumbbell(scale: Scale, width: int, old: float, new: float) -> Text:
    """Return one line: `B●····○A`, or `A○····●B` where it fell; an exact zero is at the low end."""
    b, a = (round(scale.position(_finite(number)) * (width - 1)) for number in (old, new))
    if a == b:
        return Text(" " * (b + 1)).append("B◉A", "bold")
    left, right = ("B●", "○A") if b < a else ("A○", "●B")
    styles = ("bold red", "bold green") if b < a else ("bold green", "bold red")
    line = Text(" " * (min(a, b) + 1)).append(left, styles[0])
    return line.append("·" * (abs(a - b) - 1), "dim").append(right, styles[1])


def _finite(number: float) -> float:
    return math.inf if math.isnan(number) else number


def _ticks(scale: Scale, width: int) -> str:
    """Return the decades that the scale shows, each centred on its column."""
    low, high = int(scale.low), int(scale.high)
    every = next(step for step in (1, 2, 5, 10, 50, 200, 700) if step * width / (high - low) >= 5 or step == 700)
    line = [" "] * (width + ENDS)
    for decade in range(low, high + 1, every):
        place = round(scale.position(10.0**decade) * (width - 1))
        text = str(decade)
        start = max(place - len(text) + 1, 0)
        line[start : start + len(text)] = text
    return "".join(line)


def _fill(text: str, width: int) -> str:
    return text + " " * max(width - cells(text), 0)
