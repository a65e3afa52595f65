"""Bars of text on a logarithmic or a linear scale."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

EIGHTHS = " ▏▎▍▌▋▊▉"
LABEL = 6
"""Columns that a label of the scale needs, its gap included."""


@dataclass(frozen=True)
class Scale:
    """Map numbers to the width of a bar; `low` and `high` are decades where the scale is logarithmic."""

    low: float
    high: float
    logarithmic: bool

    def position(self, value: float) -> float:
        """Return where the value lies between the ends, 0 to 1; a zero at the low end, nan at 0."""
        if math.isnan(value) or (self.logarithmic and value <= 0):
            return 0.0
        if math.isinf(value):
            return 1.0
        place = math.log10(value) if self.logarithmic else value
        return min(max((place - self.low) / (self.high - self.low), 0.0), 1.0)

    def ticks(self, width: int) -> str:
        """Return the labels of the scale in exactly so many columns: its low end, then every so many decades."""
        if not self.logarithmic:
            return f"{'0':<{width - 5}}100 %"
        columns_a_decade = width / (self.high - self.low)
        step = next(s for s in (1, 2, 3, 5, 10, 20, 50, 100, 200, 700) if s * columns_a_decade >= LABEL or s == 700)
        line = ""
        for decade in range(int(self.low), int(self.high) + 1, step):
            line = line.ljust(round((decade - self.low) * columns_a_decade)) + f"1e{decade}"
        return (line if len(line) <= width else line.rsplit("1e", 1)[0]).ljust(width)[:width]


def decades(values: Iterable[float | None]) -> Scale | None:
    """Return the logarithmic scale of whole decades that holds all positive finite values; None without any."""
    logs = [math.log10(v) for v in values if v is not None and v > 0 and math.isfinite(v)]
    if not logs:
        return None
    low = math.floor(min(logs))
    return Scale(low=low, high=max(math.ceil(max(logs)), low + 1), logarithmic=True)


SHARES = Scale(low=0.0, high=1.0, logarithmic=False)
"""The linear scale of shares of 1."""


def bar(position: float, width: int) -> str:
    """Return a bar that fills `position` (0 to 1) of `width` columns; never empty, so that every row has one."""
    full, rest = divmod(max(1, round(position * width * 8)), 8)
    return "█" * full + EIGHTHS[rest].strip()
