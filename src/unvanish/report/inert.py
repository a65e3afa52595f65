"""Text of strangers (layer names, source lines, messages that quote them) made safe to print, and shortened."""

from __future__ import annotations

import re
import unicodedata

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that draw nothing, steer a terminal, or change the reading direction."""

_MARKS = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
STACKED = re.compile(f"({_MARKS}{{2}}){_MARKS}+")
"""More than two accents on one character: no language needs them, and a pile of them covers the lines above."""

LONGEST_WORD = 60
LONGEST_SENTENCE = 1200


def inert(text: str) -> str:
    """Return the text on one line: white space as single spaces, every invisible or steering character as `?`."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    text = STACKED.sub(r"\1", re.sub(r"\s+", " ", text))
    return "".join("?" if unicodedata.category(c) in HIDDEN else c for c in text).strip()


def inert_line(line: str) -> str:
    """Return a line of source with its white space, a tab as four blanks; what `inert` replaces is replaced."""
    text = STACKED.sub(r"\1", line.rstrip("\r").expandtabs(4))
    return "".join("?" if unicodedata.category(c) in HIDDEN else c for c in text)


def shorten(text: str, longest: int, mark: str = "…") -> str:
    """Return the inert text in at most `longest` terminal cells; what is cut is cut out of its middle."""
    text = inert(text[: 40 * longest] + text[-40 * longest :] if len(text) > 80 * longest else text)
    if cells(text) <= longest and len(text) <= 4 * longest:
        return text
    room = max(longest - cells(mark), 0)
    tail = _last(text, room // 3)
    return _first(text, room - cells(tail)) + mark + tail


def crop(text: str, longest: int, mark: str = "…") -> str:
    """Return the inert text in at most `longest` terminal cells; what is cut is cut off its end."""
    text = inert(text[: 40 * longest])
    return text if cells(text) <= longest and len(text) <= 4 * longest else _first(text, longest - cells(mark)) + mark


def place(path: str, longest: int, mark: str = "…") -> str:
    """Return the inert path in at most `longest` terminal cells; what is cut is cut off its beginning."""
    path = inert(path[-40 * longest :])
    return path if cells(path) <= longest and len(path) <= 4 * longest else mark + _last(path, longest - cells(mark))


def sentence(text: str) -> str:
    """Return the inert text with its overlong words shortened, for prose that may quote a name of any length."""
    words = inert(text).split(" ")
    short = " ".join(word if len(word) <= LONGEST_WORD else shorten(word, LONGEST_WORD) for word in words)
    return short if len(short) <= LONGEST_SENTENCE else shorten(short, LONGEST_SENTENCE)


def cells(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _first(text: str, room: int) -> str:
    """Return the longest beginning that fits, at most four characters per cell."""
    kept, used = [], 0
    for character in text[: 4 * room]:
        used += cells(character)
        if used > room:
            break
        kept.append(character)
    return "".join(kept)


def _last(text: str, room: int) -> str:
    return _first(text[::-1], room)[::-1]
