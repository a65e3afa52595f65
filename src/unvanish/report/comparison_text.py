"""The terminal report of a comparison: both verdicts, before and after, the findings that came and went."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from unvanish.core.comparison import Comparison, Found, Side
from unvanish.report.before_after_text import before_after_lines
from unvanish.report.glyphs import SEVERITIES, verdict_mark
from unvanish.report.inert import sentence, shorten
from unvanish.report.lines import as_text, print_lines, wrap

WIDEST = 110
GLYPHS = "✓✗·…→×●○◉"
UNKNOWN = "findings: not compared (a cure keeps the verdict of its arms, not their findings)"


def render_comparison(comparison: Comparison, *, width: int = 80) -> str:
    """Return the report as text of at most `width` columns. Nothing is changed."""
    return as_text(_lines(comparison, width), width)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the report to the console: its width (at most 110), its colours, ASCII where its encoding needs it."""
    print_lines(_lines(comparison, min(console.width, WIDEST)), console, GLYPHS)


def _lines(comparison: Comparison, width: int) -> list[Text]:
    blocks = [
        [*_side("before", comparison.before, width), *_side("after", comparison.after, width)],
        before_after_lines(comparison, width),
        _findings(comparison, width),
    ]
    lines: list[Text] = []
    for block in filter(None, blocks):
        lines += [Text(), *block] if lines else block
    return lines


def _side(place: str, side: Side, width: int) -> list[Text]:
    mark = verdict_mark(side.verdict)
    head = f"{place:<8}{mark.glyph} {side.verdict.upper()}   "
    told = f"{shorten(side.name, 60)}: {side.sentence}" if side.sentence else shorten(side.name, 60)
    return wrap(Text(sentence(told)), width, head, " " * len(head), style=mark.style)


def _findings(comparison: Comparison, width: int) -> list[Text]:
    went, came, stayed = comparison.went, comparison.came, comparison.stayed
    if went is None or came is None or stayed is None:
        return wrap(Text(UNKNOWN, style="dim"), width, "", "  ")
    if not (went or came or stayed):
        return [Text("no findings, before or after", style="dim")]
    return [*_listed("went", went, width), *_listed("came", came, width), *_listed("stayed", stayed, width)]


def _listed(word: str, findings: Sequence[Found], width: int) -> list[Text]:
    """Return one line for each finding, the word before the first; with none, the word and `nothing`."""
    if not findings:
        return [Text(f"{word:<8}nothing", style="dim")]
    lines = []
    for number, found in enumerate(findings):
        head = f"{'' if number else word:<8}{found.severity}[{found.code}] "
        style = SEVERITIES[found.severity].style
        lines += wrap(Text(sentence(found.message)), width, head, " " * 10, style=style)
    return lines
