"""Numbers and names as the messages of the rules print them."""

from __future__ import annotations

import math
from collections.abc import Sequence

LONGEST_NAME = 40
"""Characters of a layer's name that a message repeats; the record keeps the whole name."""


def times(factor: float) -> str:
    """Return a factor as `4.2x`, `1.07x`, `1,200x` or `3.1e+12x`."""
    if not math.isfinite(factor) or factor <= 0:
        return f"{factor:g}x"
    if factor >= 1e6 or factor < 1e-3:
        return f"{factor:.1e}x"
    if factor >= 9.95:
        return f"{factor:,.0f}x"
    return f"{factor:.2f}x" if factor < 1.095 else f"{factor:.1f}x"


def power(number: float) -> str:
    """Return a number with one digit and an exponent, as people write it: `1e-7`."""
    digit, _, exponent = f"{number:.0e}".partition("e")
    return f"{digit}e{int(exponent)}" if exponent else digit


def two_digits(number: float) -> str:
    """Return a number with two significant digits, the second one too where it is zero: `1.0`, `0.24`, `14`."""
    return f"{number:#.2g}".rstrip(".")


def count(number: float) -> str:
    """Return a number of steps: `17,448`, or `9e11` where nobody would count."""
    return f"{number:,.0f}" if number < 1e7 else power(number)


def percent(share: float) -> str:
    """Return a share between 0 and 1 as `43 %`; what is neither nothing nor everything never reads as such."""
    if 0 < share < 0.005:
        return "less than 1 %"
    if 0.995 <= share < 1:
        return "more than 99 %"
    return f"{100 * share:.0f} %"


def small_part(ratio: float) -> str:
    """Return a small ratio in words: `0.08 millionths of`, `3 % of`; `none of` for zero."""
    if ratio <= 0:
        return "none of"
    for limit, unit, name in ((1e-2, 1e-2, "%"), (1e-5, 1e-3, "thousandths"), (1e-8, 1e-6, "millionths")):
        if ratio >= limit:
            return f"{ratio / unit:.1g} {name} of"
    return f"{ratio:.0e} of"


def span(names: Sequence[str]) -> str:
    """Return layer names for a sentence: all up to three, else the first, the last and their number."""
    shown = [short(name) for name in names]
    if len(shown) <= 3:
        return ", ".join(shown)
    numbered = all(name.isdecimal() for name in names)
    ends = f"layers {names[0]}..{names[-1]}" if numbered else f"{shown[0]}..{shown[-1]}"
    return f"{ends} ({len(shown)} layers)"


def short(name: str) -> str:
    """Return a name as a sentence can carry it: cut to a length, and `layer 3` where it is no more than a number."""
    if name.isdecimal() and len(name) < LONGEST_NAME // 2:
        return f"layer {name}"
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def article(activation: str) -> str:
    """Return the activation's name with its article: `a sigmoid`, `an elu`."""
    return f"{'an' if activation[:1] in 'aeiou' else 'a'} {activation}"
