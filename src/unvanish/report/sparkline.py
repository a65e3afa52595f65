"""A course of numbers in one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

STEPS = "▁▂▃▄▅▆▇█"
NOT_FINITE = "×"


def sparkline(numbers: Sequence[float], width: int, *, logarithmic: bool = True) -> str:
    """Return the numbers in at most `width` characters, the last of each group of neighbours, lowest to highest.

    What is no finite number is a cross; on a logarithmic scale a zero is a space.
    """
    chosen = _thinned(numbers, width)
    places = [_place(x, logarithmic=logarithmic) for x in chosen]
    finite = [p for p in places if math.isfinite(p)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_glyph(x, p, low, high) for x, p in zip(chosen, places, strict=True))


def _thinned(numbers: Sequence[float], width: int) -> list[float]:
    count = len(numbers)
    if count <= width:
        return list(numbers)
    return [numbers[(i + 1) * count // width - 1] for i in range(width)]


def _place(number: float, *, logarithmic: bool) -> float:
    if not logarithmic or not math.isfinite(number):
        return number
    return math.log10(number) if number > 0 else -math.inf


def _glyph(number: float, place: float, low: float, high: float) -> str:
    if not math.isfinite(number):
        return NOT_FINITE
    if not math.isfinite(place):
        return " "
    half = 1.0 if math.isfinite(high - low) else 0.5
    share = (place * half - low * half) / (high * half - low * half) if high > low else 0.5
    return STEPS[min(int(share * len(STEPS)), len(STEPS) - 1)]
