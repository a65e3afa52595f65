"""The forecast of a described network in the terminal: the verdict, what explains it, the gradient layer by layer."""

from __future__ import annotations

import math

from rich.console import Console
from rich.text import Text

from unvanish.core.network import Layer
from unvanish.core.outlook import Outlook
from unvanish.report.bar import bar, decades
from unvanish.report.glyphs import verdict_mark
from unvanish.report.inert import inert
from unvanish.report.learning_text import learning_text
from unvanish.report.lines import can_write, plain_line, wrap
from unvanish.report.numbers import MISSING, counted, plain

WIDEST = 100
GLYPHS = "✓✗·█▏←±"
SHOWN = 7
"""Rows at either end of a table that has too many."""
NARROWEST = 12
"""Columns below which no bars are drawn."""


def print_outlook(outlook: Outlook, console: Console) -> None:
    """Print the forecast to the console: its width (at most 100), its colours, ASCII where its encoding needs it."""
    ascii_only = not can_write(GLYPHS, console.encoding)
    for line in outlook_lines(outlook, min(console.width, WIDEST)):
        console.print(plain_line(line) if ascii_only else line, soft_wrap=True, highlight=False)


def outlook_lines(outlook: Outlook, width: int) -> list[Text]:
    """Return the report in lines of at most `width` columns."""
    told = f"unvanish {outlook.version} · forecast, nothing measured · {outlook.initialiser} weights"
    told += f" · {outlook.inputs} inputs, {counted(outlook.features, 'feature')} · batch {outlook.batch_size}"
    lines = [*wrap(Text(told, style="dim"), width, "", ""), Text(), *_verdict(outlook, width), Text()]
    lines += _facts(outlook, width)
    table = _table(outlook, width)
    return [*lines, Text(), *table] if table else lines


def _verdict(outlook: Outlook, width: int) -> list[Text]:
    mark = verdict_mark("healthy" if outlook.verdict == "fine" else outlook.verdict)
    head = f"{mark.glyph} {outlook.verdict.upper()}   "
    return wrap(Text(inert(_sentence(outlook))), width, head, " " * len(head), style=mark.style)


def _sentence(outlook: Outlook) -> str:
    if outlook.verdict == "undecided":
        return outlook.reason
    found = outlook.forecast
    band = "" if found.log10_sd is None else f" ± {found.log10_sd:.1f}"
    text = f"first/last gradient 10^({_power(found.log10_first_over_last)}{band}) over {outlook.kernels} weight layers"
    if found.gradient_factor_per_layer is not None:
        text += f", x {plain(found.gradient_factor_per_layer)} per layer towards the input"
    return f"{text} (fine: within 10^±{outlook.decades:g})"


def _facts(outlook: Outlook, width: int) -> list[Text]:
    found = outlook.forecast
    safe = "any" if found.safe_depth is None else f"{counted(found.safe_depth, 'layer')}"
    rows = [("safe depth", f"{safe}; this network has {outlook.kernels}")] if outlook.verdict != "undecided" else []
    if found.depth_scale is not None:
        scale = "no end" if math.isinf(found.depth_scale) else f"{plain(found.depth_scale)} layers"
        rows.append(("depth scale", f"{scale} for a factor e"))
    if outlook.typical is not None:
        layer = found.layer(outlook.typical)
        critical = "none, a normalisation takes it out" if layer.critical_gain is None else plain(layer.critical_gain)
        rows.append(("gain", f"{plain(layer.gain)}; critical {critical} (at {outlook.typical})"))
    if outlook.kernels > 1:
        ends = [plain(found.layer(outlook.network.kernels[i].name).second_moment, 2) for i in (0, -2)]
        rows.append(("signal", f"mean square {ends[0]} at the first layer, {ends[1]} at the last hidden one"))
    if outlook.apart_first is not None and outlook.apart_last is not None:
        apart = f"1 - correlation {plain(outlook.apart_first, 2)} at the first layer"
        rows.append(("inputs apart", f"{apart}, {plain(outlook.apart_last, 2)} at the last hidden one"))
    if outlook.learning is not None:
        within = f"within {counted(outlook.learning.steps, 'step')} of Adam"
        rows.append(("learns", f"{within}: {learning_text(outlook.learning)}"))
    if found.not_modelled:
        rows.append(("not modelled", ", ".join(found.not_modelled)))
    return [line for name, text in rows for line in wrap(Text(text), width, f"  {name:<14}", " " * 16, style="bold")]


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
    return MISSING if log is None else f"10^{_power(log)}"


def _power(log: float | None) -> str:
    return MISSING if log is None else f"{log:.1f}" if abs(log) >= 0.05 else "0"


def _ten_to(log: float) -> float:
    return math.pow(10.0, min(max(log, -300.0), 300.0))
