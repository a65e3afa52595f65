"""The gradient of every kernel before and after as dumbbells of text, on a scale of decades."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

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


class Pair(NamedTuple):
    """Hold one layer's gradient in both networks; None: it was not taken."""

    name: str
    before: float | None
    after: float | None
    beside: str = ""
    """Text between the name and the dots."""


def dumbbells(comparison: Comparison, width: int) -> list[Text]:
    """Return a line for each kernel that both networks have, long networks folded; nothing where there is none.

    RMS of the kernel's gradient at the first step, median over seeds, none of it wider than `width`.
    """
    before, after = comparison.before.gradients, comparison.after.gradients
    if before is None or after is None:
        return []
    later = dict(zip(after.layers, after.medians, strict=False))
    pairs = [Pair(name, number, later.get(name)) for name, number in zip(before.layers, before.medians, strict=False)]
    known = [pair for pair in pairs if pair.before is not None and pair.after is not None]
    return dumbbells_of(known, width)


def dumbbells_of(pairs: Sequence[Pair], width: int, heading: str = HEADING, beside: str = "") -> list[Text]:
    """Return a line for each pair, long lists folded, none wider than `width`; nothing where there is no room.

    heading: of the names. beside: of what stands between them and the dots, as wide as that.
    """
    scale = decades(number for pair in pairs for number in (pair.before, pair.after))
    shown = fold(len(pairs))
    names = {i: shorten(pairs[i].name, LONGEST_NAME) for i in shown if i != "..."}
    wide = max([cells(heading), *map(cells, names.values())])
    left = wide + cells(beside) + 2
    room = width - left - 2 * ENDS - 2
    if scale is None or room < NARROWEST:
        return []
    lines = [Text(f"  {_fill(_fill(heading, wide) + beside, left)}{' ' * ENDS}{_ticks(scale, room)}".rstrip(), "dim")]
    for place, i in enumerate(shown):
        if i == "...":
            lines.append(Text(f"  ... {int(shown[place + 1]) - int(shown[place - 1]) - 1} layers", "dim"))
            continue
        dots = _dumbbell(scale, room, pairs[i].before, pairs[i].after)
        lines.append(Text(f"  {_fill(_fill(names[i], wide) + pairs[i].beside, left)}").append_text(dots))
    lines.append(Text(f"  {_fill('', left)}{' ' * ENDS}{LEGEND}", "dim"))
    return lines


def _dumbbell(scale: Scale, width: int, old: float | None, new: float | None) -> Text:
    """Return one line: `B●····○A`, or `A○····●B` where it fell; an exact zero is at the low end."""
    b, a = (None if n is None else round(scale.position(_finite(n)) * (width - 1)) for n in (old, new))
    if a is None or b is None:
        if b is not None:
            return Text(" " * (b + 1)).append("B●", "bold")
        return Text() if a is None else Text(" " * (a + ENDS)).append("○A", "bold")
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
