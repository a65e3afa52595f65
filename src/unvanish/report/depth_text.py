"""One recipe at many depths, in the terminal: the curve with its band, and where it crosses which line."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.text import Text

from unvanish.core.depths import Depth, Depths
from unvanish.report.forecast_words import depth_facts, depth_title
from unvanish.report.inert import inert
from unvanish.report.lines import wrap

ROWS = 11
MARGIN = 10
"""Columns left of the axis."""
NARROWEST = 30
"""Columns below which no curve is drawn."""
ROUND = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Depths that are written at the axis."""
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
"""Decades between two labels."""


def depth_lines(depths: Depths, decades: float, width: int) -> list[Text]:
    """Return the curve and what is read from it. decades: change from which on the gradient is not fine."""
    lines = wrap(Text(inert(depth_title(depths)), style="dim"), width, "  ", "  ")
    known = [point for point in depths.points if math.isfinite(point.log10_first_over_last)]
    if width >= NARROWEST and len(known) > 1:
        lines += _curve(known, depths.here, decades, width - MARGIN - 3)
    for name, text in depth_facts(depths, decades):
        lines += wrap(Text(text), width, f"  {name:<18}", " " * 20, style="bold")
    return lines


def _curve(points: list[Depth], here: int, decades: float, columns: int) -> list[Text]:
    """Return the picture: depth to the right, logarithmic; log10 of first/last upwards; the band of two sd."""
    spans = [(p.log10_first_over_last, 2 * (p.log10_sd or 0.0)) for p in points]
    top = max(decades, *(middle + band for middle, band in spans))
    bottom = min(-decades, *(middle - band for middle, band in spans))

    def row(value: float) -> int:
        return round((top - value) / (top - bottom) * (ROWS - 1))

    first, last = points[0].kernels, points[-1].kernels

    def column(kernels: int) -> int:
        return round(math.log(kernels / first) / math.log(last / first) * (columns - 1))

    cells = [[" "] * columns for _ in range(ROWS)]
    for bound in (decades, -decades):
        cells[row(bound)] = ["┄"] * columns
    for point, (middle, band) in zip(points, spans, strict=True):
        x = column(point.kernels)
        for y in range(row(middle + band), row(middle - band) + 1):
            cells[y][x] = "│"
    for point, (middle, _) in sorted(zip(points, spans, strict=True), key=lambda pair: pair[0].kernels == here):
        cells[row(middle)][column(point.kernels)] = "◉" if point.kernels == here else "●"
    labels = _labels(row, bottom, top)
    drawn = [
        Text(f"{labels.get(y, ''):>{MARGIN - 1}} {'┤' if y in labels else '│'} {''.join(cells[y])}".rstrip())
        for y in range(ROWS)
    ]
    for line in drawn:
        line.highlight_words(["┄"], "green")
        line.highlight_words(["◉"], "bold cyan")
    return [*drawn, *_axis(first, last, here, column, columns)]


def _labels(row: Callable[[float], int], bottom: float, top: float) -> dict[int, str]:
    step = next(s for s in STEPS if (top - bottom) / s <= ROWS / 2 or s == STEPS[-1])
    values = range(math.ceil(bottom / step) * step, math.floor(top) + 1, step)
    return {row(value): f"10^{value}" for value in values}


def _axis(first: int, last: int, here: int, column: Callable[[int], int], columns: int) -> list[Text]:
    """Return the axis, the depths below it, and what the marks mean."""
    ticks = sorted(
        {first, last, *(depth for depth in ROUND if first < depth < last)}, key=lambda d: (d not in (first, last), d)
    )
    axis, written = ["─"] * columns, [" "] * (columns + 4)
    for depth in ticks:
        x, text = column(depth), str(depth)
        start = min(max(0, x - len(text) // 2), columns + 2 - len(text))
        if all(c == " " for c in written[max(0, start - 1) : start + len(text) + 1]):
            written[start : start + len(text)] = text
            axis[x] = "┴"
    indent, legend = " " * (MARGIN + 2), f"◉ here ({here})   ● others   │ two sd   ┄ fine within"
    return [
        Text(f"{'':>{MARGIN}}└─{''.join(axis)}"),
        Text(f"{indent}{''.join(written)}".rstrip()),
        *wrap(Text(legend, style="dim"), columns + MARGIN + 2, indent, indent),
    ]
