"""Two recorded trainings in the terminal: what was told of each, the loss at the same steps, every layer's gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from unvanish.core.recording import Recording
from unvanish.core.run_comparison import LayerPair, LossPair, RunComparison
from unvanish.core.told import Told
from unvanish.report.dumbbell import LONGEST_NAME, Pair, dumbbells_of
from unvanish.report.fold import fold
from unvanish.report.inert import cells, inert, sentence, shorten
from unvanish.report.lines import as_text, print_lines, wrap
from unvanish.report.numbers import MISSING, counted, plain, scientific
from unvanish.report.recording_words import named, seen
from unvanish.report.run_comparison_columns import cells_of, columns_of, footnote_of

WIDEST = 110
GLYPHS = "✗·…●○◉→"
EVENTS = 4
"""Events of each that are shown."""

UNKNOWN = "findings: not compared (of one of the two there is no sample)"
FOOTNOTE = "layers: gradient RMS of the kernel, the median over the samples; change in decades: log10(after / before)"


def render_run_comparison(comparison: RunComparison, *, width: int = 80) -> str:
    """Return the report as text of at most `width` columns. Nothing is changed."""
    return as_text(_lines(comparison, width), width)


def print_run_comparison(comparison: RunComparison, console: Console) -> None:
    """Print the report to the console: its width (at most 110), its colours, ASCII where its encoding needs it."""
    print_lines(_lines(comparison, min(console.width, WIDEST)), console, GLYPHS)


def change(pair: LayerPair) -> str:
    """Return by how many decades a layer's gradient differs: `+6.8`."""
    return MISSING if pair.decades is None else f"{round(pair.decades, 1) + 0.0:+.1f}"


def higher(pair: LossPair) -> str:
    """Return by how much the second loss is higher: `-0.147`."""
    return MISSING if pair.difference is None else f"{pair.difference:+.3g}"


def times(factor: float | None) -> str:
    """Return a factor: `x 1.7e+08`."""
    return MISSING if factor is None else f"x {plain(factor, 2)}"


def footnote(comparison: RunComparison) -> str:
    """Say what the numbers of the layers are, and how layers were paired."""
    paired = "their place" if comparison.by_position else "their names: the two have not as many layers"
    return f"{FOOTNOTE}; paired by {paired}"


def loss_label(pair: LossPair) -> str:
    """Return which step the losses are of, and of which samples where these are others."""
    taken = (pair.before_step, pair.after_step)
    others = "" if taken == (pair.step, pair.step) else f" (sampled at {taken[0]} and {taken[1]})"
    return f"loss at step {pair.step}{others}"


def _lines(comparison: RunComparison, width: int) -> list[Text]:
    lines = [*_side("before", comparison.before, width), *_side("after", comparison.after, width)]
    blocks = (
        told_lines(comparison, width),
        _numbers(comparison, width),
        _layers(comparison, width),
        _beside_gradients(comparison, width),
    )
    for block in blocks:
        lines += [Text(), *block] if block else []
    return lines


def _side(place: str, recording: Recording, width: int) -> list[Text]:
    told = inert(" · ".join([*named(recording), seen(recording)]))
    lines = wrap(Text(told), width, f"{place:<8}", " " * 8, style="bold")
    others = [event for event in recording.events if not event.code]
    for event in others[:EVENTS]:
        lines += wrap(Text(inert(event.text), style="dim"), width, "        · ", " " * 10)
    left_out = len(others) - EVENTS
    if left_out > 0:
        lines.append(Text(f"        ... {counted(left_out, 'more event')}", "dim"))
    return lines if recording.events else [*lines, Text("        nothing was told while it ran", "dim")]


def told_lines(comparison: RunComparison, width: int) -> list[Text]:
    """Return the findings that went, came and stayed, each with the step at which it was told."""
    told = comparison.told
    if told is None:
        return wrap(Text(UNKNOWN, style="dim"), width, "", "  ")
    if not any(told.values()):
        return [Text("no findings, before or after", style="dim")]
    lines: list[Text] = []
    for word, findings in told.items():
        lines += [] if findings else [Text(f"{word:<8}nothing", style="dim")]
        for number, one in enumerate(findings):
            head = f"{'' if number else word:<8}{'·' if word == 'went' else '✗'} "
            style = "dim" if word == "went" else "bold red"
            lines += wrap(Text(sentence(told_words(one))), width, head, " " * 10, style=style)
    return lines


def told_words(told: Told) -> str:
    """Return what was told, as it was; of a finding that stayed also the step at which it came before."""
    stayed = told.before is not None and told.after is not None
    return f"{told.last.text} (before: at step {told.before.step})" if stayed and told.before else told.last.text


def _numbers(comparison: RunComparison, width: int) -> list[Text]:
    rows = [
        (loss_label(pair), plain(pair.before), plain(pair.after), higher(pair))
        for pair in comparison.losses
        if _seen(pair)
    ]
    before, after = map(scientific, comparison.first_over_last)
    rows.append(("first / last gradient", before, after, times(comparison.first_over_last_change)))
    wide = max(len(label) for label, *_ in rows)
    lines = [Text(f"  {'':<{wide}}  {'before':>9} {'after':>9}  change", "bold")]
    lines += [Text(f"  {label:<{wide}}  {old:>9} {new:>9}  {change}") for label, old, new, change in rows]
    return [part for line in lines for part in ([line] if cells(line.plain) <= width else wrap(line, width, "", ""))]


def _seen(pair: LossPair) -> bool:
    return not (math.isnan(pair.before) and math.isnan(pair.after))


def _layers(comparison: RunComparison, width: int) -> list[Text]:
    pairs = comparison.layers
    if not pairs:
        return []
    shown = [Pair(inert(pair.name), pair.before, pair.after, _beside(pair)) for pair in pairs]
    heading = f"{'before':>10}{'after':>10}{'change':>8}"
    lines = dumbbells_of(shown, width, "layer", heading) or _bare(shown, heading)
    return [*lines, *wrap(Text(footnote(comparison), "dim"), width, "  ", "  ")]


def _bare(pairs: Sequence[Pair], heading: str) -> list[Text]:
    """Return the numbers alone, for a terminal that has no room for the dots."""
    return _listed([pair.name for pair in pairs], heading, [pair.beside for pair in pairs])


def _listed(names: Sequence[str], heading: str, beside: Sequence[str]) -> list[Text]:
    """Return a line for each layer, its name and the text beside it; long lists folded."""
    short = [shorten(name, LONGEST_NAME) for name in names]
    wide = max(len("layer"), *map(cells, short))
    lines, positions = [Text(f"  {'layer':<{wide}}{heading}", "dim")], fold(len(names))
    for place, i in enumerate(positions):
        if i == "...":
            left_out = int(positions[place + 1]) - int(positions[place - 1]) - 1
            lines.append(Text(f"  ... {counted(left_out, 'layer')}", "dim"))
        else:
            lines.append(Text(f"  {short[i]}{' ' * (wide - cells(short[i]))}{beside[i]}".rstrip()))
    return lines


def _beside_gradients(comparison: RunComparison, width: int) -> list[Text]:
    """Return what else both know of every layer, in as many columns as there is room for; the page has all."""
    pairs, columns = comparison.layers, columns_of(comparison)
    names = [inert(pair.name) for pair in pairs]
    room = width - 2 - max([len("layer"), *(cells(shorten(name, LONGEST_NAME)) for name in names)])
    heading, beside, shown = "", [""] * len(pairs), 0
    for column in columns:
        both = [" → ".join(cells_of(column, pair)) for pair in pairs]
        wide = max(map(cells, [column.title, *both]))
        if cells(heading) + wide + 2 > room:
            break
        heading += f"  {column.title:>{wide}}"
        beside = [text + f"  {one:>{wide}}" for text, one in zip(beside, both, strict=True)]
        shown += 1
    if not shown:
        return []
    left_out = ", ".join(column.title for column in columns[shown:])
    note = footnote_of(columns[:shown]) + (f"; no room for {left_out}" if left_out else "")
    return [*_listed(names, heading, beside), *wrap(Text(note, "dim"), width, "  ", "  ")]


def _beside(pair: LayerPair) -> str:
    return f"{scientific(pair.before):>10}{scientific(pair.after):>10}{change(pair):>8}"
