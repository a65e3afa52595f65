"""A recording in the terminal: what it is of, what it cost, each layer's gradient from the first sample to the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
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


def layer_lines(recording: Recording, width: int, into: Recording | None = None) -> list[Text]:
    """Return the table: RMS of the gradient at the first and the last sample, its course, the step of the weights.

    Beside them, where samples were looked into, what the last of those shows of the activations; the gradient's zeros
    and its first sample give way to that where there is no room. into: where to look for it; the recording itself.
    """
    if not recording.steps:
        return [Text("  no sample yet", style="dim")]
    names = [shorten(inert(name), LONGEST_NAME) for name in recording.layers]
    wide = max([5, *map(cells, names)])
    columns = _columns(recording, recording if into is None else into)
    for title in (ZEROS, FIRST):
        if any(column.title in ACTIVATIONS for column in columns) and _room(columns, width - wide) < SHORTEST:
            columns = [column for column in columns if column.title != title]
    room = min(_room(columns, width - wide), COURSE)
    room = room if room >= len("course") else 0
    head, rms = [_cell(column, column.title) for column in columns], recording.gradient_rms()
    lines = [Text(_line("layer", wide, head, "course", room, columns), style="dim")]
    positions = fold(len(names))
    for place, position in enumerate(positions):
        if isinstance(position, str):
            left_out = int(positions[place + 1]) - int(positions[place - 1]) - 1
            lines.append(Text(f"  ... {counted(left_out, 'layer')}", style="dim"))
            continue
        drawn = sparkline(rms[:, position].tolist(), room) if room else ""
        shown = [_cell(column, column.cells[position]) for column in columns]
        lines.append(Text(_line(names[position], wide, shown, drawn, room, columns).rstrip()))
    return lines


FIRST, NOW, ZEROS = "gradient RMS", "now", "zeros"
ACTIVATIONS = {"passes": "transmission", "dead": "dead_share", "satur.": "saturated_share"}
"""Title of a column -> the statistic of the last sample that was looked into."""
SHORTEST = 16
"""Cells of a course below which columns give way to it."""


class _Column(NamedTuple):
    """Hold one column of numbers."""

    title: str
    width: int
    cells: list[str]
    """One for each layer."""


def _columns(recording: Recording, into: Recording) -> list[_Column]:
    """Return the columns; the first two stand before the course."""
    rms, zeros, steps = recording.gradient_rms(), recording.array("gradient_zeros")[-1], last_update_ratios(recording)
    shares = zeros / np.asarray(recording.sizes, dtype=np.float64)
    return [
        _Column(FIRST, 12, [_number(value) for value in rms[0].tolist()]),
        _Column(NOW, 9, [_number(value) for value in rms[-1].tolist()]),
        *_activations(into),
        _Column("update/W", 8, [_number(steps.get(name, math.nan)) for name in recording.layers]),
        _Column(ZEROS, 6, [percent(share) for share in shares.tolist()]),
    ]


def _activations(into: Recording) -> list[_Column]:
    """Return the columns of the last sample that was looked into; a statistic that no layer has is left out."""
    looked = np.flatnonzero(into.looked_into())
    if not looked.size:
        return []
    found = []
    for title, stat in ACTIVATIONS.items():
        numbers = into.array(stat)[looked[-1]].tolist()
        if not all(math.isnan(number) for number in numbers):
            written = [_factor(n) if stat == "transmission" else percent(n) for n in numbers]
            found.append(_Column(title, 7, written))
    return found


def _room(columns: Sequence[_Column], width: int) -> int:
    """Return how many cells are left for the course."""
    return width - 6 - sum(column.width + 1 for column in columns)


def _cell(column: _Column, text: str) -> str:
    return f"{text:>{column.width}}"


def _line(name: str, wide: int, shown: list[str], drawn: str, room: int, columns: Sequence[_Column]) -> str:
    ends = sum(column.title in (FIRST, NOW) for column in columns)
    padded = name + " " * (wide - cells(name))
    return f"  {padded}  {' '.join(shown[:ends])}  {drawn:<{room}.{room}}  {' '.join(shown[ends:])}"


def _factor(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.2g}x"


def _loss(recording: Recording) -> str:
    losses = recording.losses
    if not losses:
        return ""
    return f"{plain(losses[0])} → {plain(losses[-1])}  {sparkline(losses, COURSE, logarithmic=False)}"


def _events(events: Sequence[Event], width: int) -> list[Text]:
    lines: list[Text] = []
    for event in events[:EVENTS]:
        lines += wrap(Text(inert(event.text)), width, f"  {event.kind:<9} ", " " * 12, style="bold")
    left_out = len(events) - EVENTS
    return [*lines, Text(f"  ... {counted(left_out, 'more event')}", style="dim")] if left_out > 0 else lines


def _number(value: float) -> str:
    return MISSING if math.isnan(value) else scientific(value)
