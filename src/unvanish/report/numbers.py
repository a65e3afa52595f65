"""Numbers as people read them: one way to write each quantity, everywhere."""

from __future__ import annotations

import math

MISSING = "-"


def scientific(value: float | None, digits: int = 1) -> str:
    """Return `1.8e-09`; an exact zero as `0`, what was not taken as `-`."""
    if value is None:
        return MISSING
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    return f"{value:.{digits}e}"


def percent(share: float | None) -> str:
    """Return a share of 1 as `98 %`; the ends only when they are exact (`<1 %`, `>99 %` beside them)."""
    if share is None or math.isnan(share):
        return MISSING
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 <= share < 1:
        return ">99 %"
    return f"{100 * share:.0f} %"


def plain(value: float | None, digits: int = 3) -> str:
    """Return so many significant digits, without an exponent where that is readable: `0.694`, `-12.1`, `2.3e-07`."""
    if value is None:
        return MISSING
    if value == 0 or not math.isfinite(value) or 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits}g}" if abs(value) < 1e3 or not math.isfinite(value) else f"{value:.0f}"
    return f"{value:.1e}"


def seconds(value: float) -> str:
    """Return `0.35 s`, `4.1 s`, `75 s`."""
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s" if value < 20 else f"{value:.0f} s"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return `1 error`, `2 errors`, `4 batches`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def at_or_after(steps: int) -> str:
    """Return `at step 0`, `after 60 steps`: the moment of a probe by the optimizer steps that were taken before it."""
    return f"after {counted(steps, 'step')}" if steps else "at step 0"
