"""The table under a finding about time: one row a recurrent layer, and how much of its sequence it carries."""

from __future__ import annotations

import math

from rich.text import Text

from unvanish.core.diagnosis import Diagnosis, Finding
from unvanish.report.bar import SHARES, bar
from unvanish.report.inert import cells, shorten
from unvanish.report.numbers import MISSING, counted
from unvanish.rules.through_time import Recurrence, latest
from unvanish.rules.words import times

FRAME = "  |  "
HEADINGS = ("cell", "steps", "carries", "per step")
LONGEST_NAME = 16
MOST_ROWS = 12
NARROWEST_BAR = 15
MARK = " ←"


def time_lines(diagnosis: Diagnosis, finding: Finding, width: int) -> list[Text]:
    """Return heading, rows and source, none wider than `width`; nothing where no layer was looked at.

    The bars show the horizon as a share of the sequence; marked are the finding's layers. Of more than twelve layers
    those that carry the least are shown.
    """
    found, _ = latest(diagnosis.observation)
    if not found:
        return []
    worst = sorted(found, key=lambda one: one.horizon / one.steps)[:MOST_ROWS]
    shown = [one for one in found if one in worst]
    fits = width >= cells(FRAME) + LONGEST_NAME + _width(HEADINGS) + len(MARK)
    headings = HEADINGS if fits else HEADINGS[1:]
    longest = min(LONGEST_NAME, width - cells(FRAME) - _width(headings) - len(MARK))
    names = [shorten(one.label, longest) for one in shown]
    room = max([len("layer"), *map(cells, names)])
    free = width - cells(FRAME) - room - _width(headings) - 2 - len(MARK)
    lines = [_line("layer", headings, "of the sequence", room, free)]
    lines[0].stylize("dim")
    for name, one in zip(names, shown, strict=True):
        numbers = _numbers(one)[-len(headings) :]
        line = _line(name, numbers, bar(_share(one), max(free, 1)), room, free)
        if one.layer in finding.layers:
            line.append(MARK)
            line.stylize("red", len(FRAME))
        line.stylize("dim", 0, len(FRAME))
        lines.append(line)
    if len(found) > len(shown):
        lines.append(Text(f"{FRAME}... {counted(len(found) - len(shown), 'layer')} that carry further", style="dim"))
    return lines


def _numbers(one: Recurrence) -> tuple[str, ...]:
    carries = f"{one.horizon:.0f}" if math.isfinite(one.horizon) else "all"
    return one.cell or MISSING, f"{one.steps}", carries, times(one.factor)


def _share(one: Recurrence) -> float:
    return SHARES.position(one.horizon / one.steps)


def _width(headings: tuple[str, ...]) -> int:
    return sum(2 + len(heading) for heading in headings)


def _line(name: str, numbers: tuple[str, ...], drawn: str, room: int, free: int) -> Text:
    text = FRAME + name + " " * (room - cells(name))
    for heading, number in zip(HEADINGS[-len(numbers) :], numbers, strict=True):
        text += "  " + number.rjust(len(heading))
    if free >= NARROWEST_BAR:
        text += "  " + drawn[:free]
    return Text(text.rstrip())
