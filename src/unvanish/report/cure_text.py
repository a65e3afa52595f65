"""The terminal report of a cure: the verdict, the table of all arms, the prescription with its source."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from unvanish.core.cured import Cured
from unvanish.core.evidence import Arm, Evidence
from unvanish.report.glyphs import Mark
from unvanish.report.inert import cells, inert, sentence, shorten
from unvanish.report.lines import can_write, plain_line, wrap
from unvanish.report.numbers import MISSING, counted, plain, seconds

WIDEST = 110
GLYPHS = "✓✗·…→×"
MARKS = {
    "cured": Mark("✓", "bold green"),
    "optional": Mark("✓", "bold green"),
    "not-the-gradients": Mark("?", "bold yellow"),
    "undecided": Mark("?", "bold yellow"),
}
SICK = Mark("✗", "bold red")
"""Every verdict word that is not in MARKS."""
HEADINGS = ("", "stuck", "per layer", "gradients", "score", "change", "step")
FEWEST_NAME = 16
NO_NUMBER = "no number"
"""A score where the loss was none."""


def render_cure(cured: Cured, *, width: int = 80) -> str:
    """Return the report as text of at most `width` columns (source lines are never broken). Nothing is changed."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=False, color_system=None, legacy_windows=False)
    for line in _lines(cured, width):
        console.print(line, soft_wrap=True, highlight=False)
    return out.getvalue()


def print_cure(cured: Cured, console: Console) -> None:
    """Print the report to the console: its width (at most 110), its colours, ASCII where its encoding needs it."""
    ascii_only = not can_write(GLYPHS, console.encoding)
    for line in _lines(cured, min(console.width, WIDEST)):
        line = plain_line(line) if ascii_only or not can_write(line.plain, console.encoding) else line
        console.print(line, soft_wrap=True, highlight=False)


def _lines(cured: Cured, width: int) -> list[Text]:
    blocks = [
        _header(cured, width),
        _verdict(cured, width),
        *([_untreated(cured, width)] if not cured.healthy else []),
        *([] if cured.evidence is None else [_table(cured.evidence, cured, width), _below(cured.evidence, width)]),
        [line for note in cured.notes for line in wrap(Text(sentence(note)), width, "note: ", " " * 6, style="bold")],
        _dropped(cured.evidence, width),
        _prescription(cured, width),
        _source(cured),
    ]
    lines: list[Text] = []
    for block in filter(None, blocks):
        lines += [Text(), *block] if lines else block
    return lines


def _header(cured: Cured, width: int) -> list[Text]:
    parts = [f"unvanish {cured.version}".strip(), cured.diagnosis.network.framework, cured.title]
    parts.append(seconds(cured.seconds))
    return wrap(Text(" · ".join(shorten(part, 40) for part in parts if part), style="dim"), width, "", "")


def _verdict(cured: Cured, width: int) -> list[Text]:
    mark = MARKS.get(cured.verdict, SICK)
    if cured.healthy:
        mark = MARKS["cured"]
    head = f"{mark.glyph} {cured.verdict.upper()}   "
    lines = wrap(Text(sentence(cured.sentence)), width, head, " " * len(head), style=mark.style)
    if cured.cut:
        lines += wrap(Text(f"{cured.cut}: what was measured until then is shown"), width, "  ", "  ", style="yellow")
    return lines


def _untreated(cured: Cured, width: int) -> list[Text]:
    found = cured.diagnosis
    return wrap(Text(sentence(f"{found.verdict}: {found.sentence}")), width, "as it is  ", " " * 10, style="bold")


def _table(evidence: Evidence, cured: Cured, width: int) -> list[Text]:
    """Return one row for each arm, the network as it is first; columns that do not fit are left out, the last first."""
    arms = (evidence.baseline, *evidence.arms)
    rows = [HEADINGS, *(_row(evidence, arm) for arm in arms)]
    widths = [max(cells(row[i]) for row in rows) for i in range(len(HEADINGS))]
    shown = len(HEADINGS)
    while shown > 3 and sum(widths[1:shown]) + 2 * shown + FEWEST_NAME > width:
        shown -= 1
    room = max(width - sum(widths[1:shown]) - 2 * shown, FEWEST_NAME)
    room = min(widths[0], room)
    lines = []
    for row, arm in zip(rows, (None, *arms), strict=True):
        chosen = arm is not None and arm.prescription is not None and arm.prescription == cured.prescription
        style = "bold green" if chosen else "dim" if arm is None else ""
        numbers = "".join("  " + _fill(row[i], widths[i], left=i in (3, 4)) for i in range(1, shown))
        label = wrap(Text(row[0]), room, "", "") or [Text()]
        lines += [
            Text(
                f"{'> ' if chosen and not at else '  '}{_fill(part.plain, room)}{'' if at else numbers}".rstrip(), style
            )
            for at, part in enumerate(label)
        ]
    return lines


def _row(evidence: Evidence, arm: Arm) -> tuple[str, ...]:
    untreated = arm is evidence.baseline
    return (
        inert(arm.label),
        f"{arm.stuck}/{len(arm.runs)}",
        MISSING if arm.transmission is None else f"{arm.transmission:.2f}x",
        arm.verdict,
        _score(evidence, arm),
        "" if untreated else _change(evidence, arm),
        "" if untreated else f"{arm.step_cost:.1f}x",
    )


def _score(evidence: Evidence, arm: Arm) -> str:
    sign = 1 if evidence.metric == "accuracy" else -1
    if not math.isfinite(arm.score):
        return NO_NUMBER
    low, high = sorted(sign * score for score in (min(arm.scores), max(arm.scores)))
    range_ = "" if len(arm.runs) < 2 else f" [{_score_number(low)}-{_score_number(high)}]"
    return f"{_score_number(sign * arm.score)}{range_}"


def _score_number(value: float) -> str:
    """Return three decimals, without the zero in front: columns are narrow."""
    if not math.isfinite(value):
        return NO_NUMBER
    return f"{value:.3f}".removeprefix("0") if abs(value) < 100 else plain(value)


def _change(evidence: Evidence, arm: Arm) -> str:
    sign = 1 if evidence.metric == "accuracy" else -1
    gain = sign * evidence.gain(arm)
    if not math.isfinite(gain):
        return MISSING
    return f"{gain:+.3f}".replace("0.", ".", 1) if abs(gain) < 100 else plain(gain)


def _below(evidence: Evidence, width: int) -> list[Text]:
    planned = f" of {evidence.planned_steps} planned" if evidence.planned_steps else ""
    chance = "" if evidence.chance is None else f"; chance {plain(abs(evidence.chance))}"
    text = (
        f"{counted(len(evidence.seeds), 'seed')}, {counted(evidence.steps, 'step')}{planned} each, the same batches; "
        "stuck: seeds whose loss did not fall; "
        f"score: held-out {evidence.metric}, median [range]{chance}; per layer: the gradient's factor towards the "
        "input at the first step; gradients: before and after; step: its time over that of the untreated network; "
        f"{evidence.test}"
    )
    return wrap(Text(text, style="dim"), width, "  ", "  ")


def _dropped(evidence: Evidence | None, width: int) -> list[Text]:
    if evidence is None or not evidence.dropped:
        return []
    lines = [Text("not compared:", style="bold")]
    for one in evidence.dropped:
        factor = "" if one.transmission is None else f" ({one.transmission:.2f}x per layer)"
        lines += wrap(Text(sentence(f"{one.prescription.label}: {one.reason}{factor}")), width, "  - ", "    ")
    return lines


def _prescription(cured: Cured, width: int) -> list[Text]:
    chosen = cured.prescription
    if chosen is None:
        return []
    lines = wrap(Text(sentence(chosen.change)), width, "to change: ", " " * 11, style="bold green")
    for label, text in _facts(cured):
        lines += wrap(Text(sentence(text)), width, f"  = {label}: ", " " * (len(label) + 6), style="bold blue")
    return lines


def _facts(cured: Cured) -> Iterator[tuple[str, str]]:
    chosen = cured.prescription
    assert chosen is not None
    yield "size", chosen.invasiveness
    yield "layers", _layers([name for edit in chosen.edits for name in getattr(edit, "layers", ())])
    if chosen.harm:
        yield "does harm", chosen.harm


def _layers(names: Sequence[str]) -> str:
    once = list(dict.fromkeys(names))
    return (
        ", ".join(once) if len(once) <= 4 else f"{once[0]}, {once[1]} ... {once[-1]} ({len(once)})" if once else "none"
    )


def _source(cured: Cured) -> list[Text]:
    if not cured.source:
        return []
    return [
        Text("the cured model:", style="bold"),
        *(Text(f"    {line}".rstrip()) for line in cured.source.splitlines()),
    ]


def _fill(text: str, width: int, *, left: bool = True) -> str:
    gap = " " * max(width - cells(text), 0)
    return text + gap if left else gap + text
