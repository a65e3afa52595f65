"""Glyph, word and colour of verdicts and severities: always together, never colour alone."""

from __future__ import annotations

import unicodedata

import msgspec


class Mark(msgspec.Struct, frozen=True):
    """Hold the glyph and the terminal style of a word."""

    glyph: str
    style: str


VERDICTS = {"healthy": Mark("✓", "bold green"), "undecided": Mark("?", "bold yellow")}
SICK = Mark("✗", "bold red")
"""Every verdict word that is not in VERDICTS."""

SEVERITIES = {"error": Mark("✗", "bold red"), "warning": Mark("!", "bold yellow"), "note": Mark("i", "bold cyan")}

CURES = {
    "cured": VERDICTS["healthy"],
    "optional": VERDICTS["healthy"],
    "not-the-gradients": VERDICTS["undecided"],
    "undecided": VERDICTS["undecided"],
}
"""Verdict words of a cure; every other one is SICK."""

ASCII = str.maketrans("✓✗·…←→×±–²█▏▎▍▌▋▊▉●○◉│┤┴└─┄▁▂▃▄▅▆▇", "+x-~<>x~-2########*o@||++--_..--==")
"""What a terminal without Unicode shows instead, one column for one column."""


def verdict_mark(word: str) -> Mark:
    """Return the mark of a verdict word."""
    return VERDICTS.get(word, SICK)


def cure_mark(word: str, *, healthy: bool) -> Mark:
    """Return the mark of a cure's verdict word; of one on a healthy network that of a healthy one."""
    return VERDICTS["healthy"] if healthy else CURES.get(word, SICK)


def to_ascii(text: str) -> str:
    """Return the text in ASCII: known glyphs by their substitutes, accents left out, anything else as `?`."""
    bare = "".join(c for c in text.translate(ASCII) if not unicodedata.combining(c))
    return bare.encode("ascii", "replace").decode()
