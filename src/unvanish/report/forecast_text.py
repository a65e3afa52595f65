"""The forecast of a described network in the terminal: the verdict, what explains it, the gradient layer by layer."""

from __future__ import annotations

import math

from rich.console import Console
from rich.text import Text

from unvanish.core.network import Layer
from unvanish.core.outlook import Outlook
from unvanish.report.bar import bar, decades
from unvanish.report.depth_text import depth_lines
from unvanish.report.forecast_words import facts, power, sentence, told
from unvanish.report.glyphs import verdict_mark
from unvanish.report.inert import inert
from unvanish.report.lines import print_lines, wrap
from unvanish.report.numbers import MISSING, counted

WIDEST = 100
GLYPHS = "✓✗·█▏←±●◉│┤┴└─┄"
SHOWN = 7
"""Rows at either end of a table that has too many."""
NARROWEST = 12
"""Columns below which no bars are drawn."""


def print_outlook(outlook: Outlook, console: Console) -> None:
    """Print the forecast to the console: its width (at most 100), its colours, ASCII where its encoding needs it."""
    print_lines(outlook_lines(outlook, min(console.width, WIDEST)), console, GLYPHS)


def render_outlook(outlook: Outlook) -> str:
    """Return the report as plain text of 80 columns."""
    return "\n".join(line.plain for line in outlook_lines(outlook, 80))


def outlook_lines(outlook: Outlook, width: int) -> list[Text]:
    """Return the report in lines of at most `width` columns."""
    lines = [*wrap(Text(inert(told(outlook)), style="dim"), width, "", ""), Text(), *_verdict(outlook, width), Text()]
    for name, text in facts(outlook):
        lines += wrap(Text(inert(text)), width, f"  {name:<16}", " " * 18, style="bold")
    curve = [] if outlook.depths is None else depth_lines(outlook.depths, outlook.decades, width)
    for part in (curve, _table(outlook, width)):
        lines += [Text(), *part] if part else []
    return lines


def _verdict(outlook: Outlook, width: int) -> list[Text]:
    mark = verdict_mark("healthy" if outlook.verdict == "fine" else outlook.verdict)
    head = f"{mark.glyph} {outlook.verdict.upper()}   "
    return wrap(Text(inert(sentence(outlook))), width, head, " " * len(head), style=mark.style)


def _table(outlook: Outlook, width: int) -> list[Text]:
    """Return the gradient of each layer with weights, those in the middle left out where there are many."""
    kernels = outlook.network.kernels
    logs = {layer.name: layer.log10_gradient_norm for layer in outlook.forecast.layers}
    scale = decades(10.0**x for x in logs.values() if x is not None and abs(x) < 300)
    if scale is None or len(kernels) < 2:
        return []
    room = width - 42
    drawing = room >= NARROWEST
    ticks = scale.ticks(room).rstrip() if drawing else ""
    lines = [Text(f"  {'layer':<26}{'gradient':>10}  {ticks}".rstrip(), style="dim")]
    left_out = len(kernels) - 2 * SHOWN
    for number, layer in enumerate(kernels):
        if left_out > 1 and SHOWN <= number < len(kernels) - SHOWN:
            if number == SHOWN:
                lines.append(Text(f"  · {counted(left_out, 'more layer')}", style="dim"))
            continue
        log = logs[layer.name]
        drawn = "" if log is None or not drawing else bar(scale.position(_ten_to(log)), room)
        lines.append(Text(f"  {_title(layer):<26}{_gradient(log):>10}  {drawn}".rstrip()))
    return lines


def _title(layer: Layer) -> str:
    activation = "" if layer.activation == "linear" else f" {layer.activation}"
    return f"{layer.name} ({layer.units}{activation})"[:25]


def _gradient(log: float | None) -> str:
    return MISSING if log is None else f"10^{power(log)}"


def _ten_to(log: float) -> float:
    return math.pow(10.0, min(max(log, -300.0), 300.0))
