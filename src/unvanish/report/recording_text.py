"""A recording in the terminal: what it is of, what it cost, each layer's gradient from the first sample to the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from unvanish.core.recording import Event, Recording
from unvanish.report.fold import fold
from unvanish.report.inert import cells, inert, shorten
from unvanish.report.lines import print_lines, wrap
from unvanish.report.numbers import MISSING, counted, percent, plain, scientific
from unvanish.report.recording_words import cost_words, named, seen
from unvanish.report.rows import last_update_ratios
from unvanish.report.sparkline import STEPS, sparkline

WIDEST = 120
LONGEST_NAME = 20
COURSE = 40
"""Samples of a course at most."""
EVENTS = 12


def render_recording(recording: Recording, *, width: int = 80) -> str:
    """Return the report as text of at most `width` columns. Nothing is changed."""
    return "".join(f"{line.plain}\n" for line in recording_lines(recording, width))


def print_recording(recording: Recording, console: Console) -> None:
    """Print it to the console: its width (at most 120), ASCII where its encoding needs it."""
    print_lines(recording_lines(recording, min(console.width, WIDEST)), console, f"·→{STEPS}")


def recording_lines(recording: Recording, width: int) -> list[Text]:
    """Return the report in lines of at most `width` columns."""
    lines = wrap(Text(inert(" · ".join([*named(recording), seen(recording)])), style="dim"), width, "", "")
    facts = [("cost", cost_words(recording.cost)), ("loss", _loss(recording))]
    for name, text in ((name, text) for name, text in facts if text):
        lines += wrap(Text(inert(text)), width, f"  {name:<6}", " " * 8, style="bold")
    for part in (layer_lines(recording, width), _events(recording.events, width)):
        lines += [Text(), *part] if part else []
    return lines


def layer_lines(recording: Recording, width: int) -> list[Text]:
    """Return the table: RMS of the gradient at the first and the last sample, its course, the step of the weights."""
    if not recording.steps:
        return [Text("  no sample yet", style="dim")]
    names = [shorten(inert(name), LONGEST_NAME) for name in recording.layers]
    rows = _rows(recording)
    wide = max([5, *map(cells, names)])
    room = min(width - wide - 45, COURSE)
    room = room if room >= len("course") else 0
    head = (
        f"  {'layer':<{wide}}  {'gradient RMS':>12} {'now':>9}  {'course':<{room}.{room}}  {'update/W':>8} {'zeros':>6}"
    )
    lines = [Text(head, style="dim")]
    positions = fold(len(names))
    for place, position in enumerate(positions):
        if isinstance(position, str):
            left_out = int(positions[place + 1]) - int(positions[place - 1]) - 1
            lines.append(Text(f"  ... {counted(left_out, 'layer')}", style="dim"))
            continue
        row = rows[position]
        name = names[position] + " " * (wide - cells(names[position]))
        drawn = sparkline(row.course, room) if room else ""
        numbers = f"{_number(row.course[0]):>12} {_number(row.course[-1]):>9}  {drawn:<{room}}  {_number(row.step):>8}"
        lines.append(Text(f"  {name}  {numbers} {percent(row.zeros):>6}".rstrip()))
    return lines


class _Row(NamedTuple):
    """Hold what is shown of one layer."""

    course: list[float]
    """RMS of the gradient at each sample."""
    step: float
    """|update| / |weights| at the last sample."""
    zeros: float
    """Share of the gradient's entries that are exactly zero at the last sample."""


def _rows(recording: Recording) -> list[_Row]:
    rms, zeros = recording.gradient_rms(), recording.array("gradient_zeros")[-1]
    steps = last_update_ratios(recording)
    return [
        _Row(rms[:, i].tolist(), steps.get(name, math.nan), float(zeros[i] / recording.sizes[i]))
        for i, name in enumerate(recording.layers)
    ]


def _loss(recording: Recording) -> str:
    losses = recording.losses
    if not losses:
        return ""
    return f"{plain(losses[0])} → {plain(losses[-1])}  {sparkline(losses, COURSE, logarithmic=False)}"


def _events(events: Sequence[Event], width: int) -> list[Text]:
    lines: list[Text] = []
    for event in events[:EVENTS]:
        lines += wrap(Text(inert(event.text)), width, f"  {event.kind:<10}", " " * 12, style="bold")
    left_out = len(events) - EVENTS
    return [*lines, Text(f"  ... {counted(left_out, 'more event')}", style="dim")] if left_out > 0 else lines


def _number(value: float) -> str:
    return MISSING if math.isnan(value) else scientific(value)
