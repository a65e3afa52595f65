"""Lines of a terminal report: wrapped under a head, printed, and in ASCII where they have to be."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.text import Span, Text

from unvanish.report.glyphs import to_ascii


def wrap(text: Text, width: int, head: str, hang: str, *, style: str = "") -> list[Text]:
    """Return the text in lines of at most `width` columns: `head` (in `style`) before the first, `hang` the others."""
    room = max(width - max(len(head), len(hang)), 10)
    console = Console(width=width, file=io.StringIO())
    lines = []
    for number, line in enumerate(text.wrap(console, room, overflow="fold")):
        line.rstrip()
        before = Text().append(hang, "dim" if hang.strip() else "") if number else Text().append(head, style)
        lines.append(before.append_text(line))
    return lines


def as_text(lines: Sequence[Text], width: int) -> str:
    """Return the lines as plain text, laid out for a console of that width."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=False, color_system=None, legacy_windows=False)
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    return out.getvalue()


def print_lines(lines: Sequence[Text], console: Console, glyphs: str) -> None:
    """Print the lines with the console's colours; all in ASCII where its encoding lacks one of the glyphs."""
    ascii_only = not can_write(glyphs, console.encoding)
    for line in lines:
        line = plain_line(line) if ascii_only or not can_write(line.plain, console.encoding) else line
        console.print(line, soft_wrap=True, highlight=False)


def plain_line(line: Text) -> Text:
    """Return the line in ASCII; its styles move with the characters where some are left out."""
    place = [len(to_ascii(line.plain[:i])) for i in range(len(line.plain) + 1)]
    spans = [Span(place[span.start], place[min(span.end, len(line.plain))], span.style) for span in line.spans]
    return Text(to_ascii(line.plain), style=line.style, spans=spans)


def can_write(text: str, encoding: str) -> bool:
    """Say whether a terminal of that encoding can show the text."""
    try:
        text.encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True
