"""A step that was run again, in the terminal: what was found when the run was watched, and what is found now."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from unvanish.core.nonfinite import Replayed, same_place
from unvanish.report.inert import inert
from unvanish.report.lines import as_text, print_lines, wrap

WIDEST = 120


def render_replayed(replayed: Replayed, *, width: int = 80) -> str:
    """Return the report as text of at most `width` columns."""
    return as_text(replayed_lines(replayed, width), width)


def print_replayed(replayed: Replayed, console: Console) -> None:
    """Print it to the console: its width (at most 120), ASCII where its encoding needs it."""
    print_lines(replayed_lines(replayed, min(console.width, WIDEST)), console, "")


def replayed_lines(replayed: Replayed, width: int) -> list[Text]:
    """Return the report in lines of at most `width` columns."""
    same = "the same: " if same_place(replayed.again, replayed.then.located) else ""
    facts = ("then", f"{replayed.then}"), ("again", f"{same}{replayed.again}")
    lines: list[Text] = []
    for name, text in facts:
        lines += wrap(Text(inert(text)), width, f"  {name:<6}", " " * 8, style="bold")
    return lines
