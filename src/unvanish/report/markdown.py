"""A report to paste into a question or a pull request: its text as it stands in the terminal, and its picture."""

from __future__ import annotations

import re

LEAST = 3
"""Backticks that open a block of code (CommonMark 0.31, section 4.5)."""


def to_markdown(text: str, image: str = "", caption: str = "") -> str:
    """Return Markdown that shows the text letter for letter, below the image and its caption.

    image: its address, relative to where the Markdown will stand; empty for none.
    """
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(LEAST, longest + 1)  # what the text holds does not end the block
    block = f"{fence}text\n{text.rstrip()}\n{fence}\n"
    return f"![{_inline(caption)}](<{image}>)\n\n{_inline(caption)}\n\n{block}" if image else block


def _inline(text: str) -> str:
    """Return the words without what Markdown would take for a sign of its own."""
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", text)
