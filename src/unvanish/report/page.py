"""A rule's page in the terminal: its docstring, headings in bold, text wrapped to the width."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from unvanish.report.glyphs import to_ascii
from unvanish.rules.page import HEADINGS

WIDEST = 88
ITEM = re.compile(r"\s*(?:[-*]|\d+\.)\s+")


def render_rule_page(text: str, console: Console) -> None:
    """Print the page of a rule.

    text: a docstring: its first line is the title; a heading stands on a line of its own (underlined, with `#`, in
    bold, or one of HEADINGS); paragraphs are separated by empty lines; what is indented by four and more is kept.
    """
    width = min(console.width, WIDEST)
    ascii_only = not console.encoding.lower().startswith("utf")
    for number, block in enumerate(_blocks(inspect.cleandoc(text))):
        if number:
            console.print()
        for line in _lines(block, width, title=number == 0):
            plain = Text(to_ascii(line.plain), style=line.style, spans=line.spans) if ascii_only else line
            console.print(plain, soft_wrap=True, highlight=False)


def _blocks(text: str) -> Iterator[list[str]]:
    """Yield paragraphs as lists of lines; a heading ends the paragraph before it."""
    block: list[str] = []
    for line in text.expandtabs(4).splitlines():
        if set(line.strip()) and set(line.strip()) <= set("=-~") and len(line.strip()) > 2:
            continue  # the underline of a heading
        if not line.strip() or _heading(line):
            if block:
                yield block
            block = []
        if _heading(line):
            yield [line]
        elif line.strip():
            block.append(line)
    if block:
        yield block


def _heading(line: str) -> str:
    """Return the heading that a line is; empty for any other line."""
    bare = line.strip().strip("#*_").strip().rstrip(":")
    return bare if bare.lower() in {heading.lower() for heading in HEADINGS} else ""


def _lines(block: list[str], width: int, *, title: bool) -> Iterator[Text]:
    heading = _heading(block[0])
    if heading:
        yield Text(heading, style="bold cyan")
    elif block[0].startswith("    "):
        yield from (_cut(line, width) for line in block)
    else:
        for hang, item in _items(block):
            for number, line in enumerate(Text(item.lstrip("# ")).wrap(Console(width=width), width - hang)):
                line.rstrip()
                line.stylize("bold" if title else "")
                line.highlight_regex(r"`[^`]+`", "green")
                line.highlight_regex(r"(?<!\S)\*[^*\s][^*]*\*", "italic")
                yield Text(" " * hang if number else "").append_text(line)


def _cut(line: str, width: int) -> Text:
    text = Text(line, style="dim")
    text.truncate(width)
    return text


def _items(block: list[str]) -> Iterator[tuple[int, str]]:
    """Yield (hanging indent, text) of the list items or of the one paragraph in a block."""
    text, hang = "", 0
    for line in block:
        found = ITEM.match(line)
        if found and text:
            yield hang, text
            text = ""
        if found:
            hang = len(found.group().lstrip())
        text = f"{text} {line.strip()}" if text else line.strip()
    yield hang, text
