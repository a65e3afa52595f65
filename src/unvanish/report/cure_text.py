"""The terminal report of a cure: the verdict, the table of all arms, the prescription with its source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from unvanish.core.comparison import before_and_after
from unvanish.core.cured import Cured
from unvanish.core.evidence import Evidence
from unvanish.report.ablation import ArmRow, arm_rows, conditions, dropped_rows, harm_of, whose
from unvanish.report.before_after_text import before_after_lines
from unvanish.report.glyphs import cure_mark
from unvanish.report.inert import cells, inert, inert_line, sentence, shorten
from unvanish.report.lines import as_text, print_lines, wrap
from unvanish.report.numbers import seconds

WIDEST = 110
GLYPHS = "✓✗·…→×●○◉"
HEADINGS = ("", "stuck", "per layer", "gradients", "score", "change", "step")
FEWEST_NAME = 16


def render_cure(cured: Cured, *, width: int = 80, report: str = "") -> str:
    """Return the report as text of at most `width` columns (source lines are never broken). Nothing is changed.

    report: where the HTML report is, named in the last line.
    """
    return as_text(_lines(cured, width, report), width)


def print_cure(cured: Cured, console: Console, *, report: str = "") -> None:
    """Print the report to the console: its width (at most 110), its colours, ASCII where its encoding needs it."""
    print_lines(_lines(cured, min(console.width, WIDEST), report), console, GLYPHS)


def print_verdict(cured: Cured, console: Console) -> None:
    """Print the verdict alone, as `print_cure` does."""
    print_lines(_verdict(cured, min(console.width, WIDEST)), console, GLYPHS)


def _lines(cured: Cured, width: int, report: str) -> list[Text]:
    blocks = [
        _header(cured, width),
        _verdict(cured, width),
        *([_untreated(cured, width)] if not cured.healthy else []),
        _before_after(cured, width),
        *([] if cured.evidence is None else [_table(cured.evidence, cured, width), _below(cured.evidence, width)]),
        [line for note in cured.notes for line in wrap(Text(sentence(note)), width, "note: ", " " * 6, style="bold")],
        _dropped(cured.evidence, width),
        _prescription(cured, width),
        _patch(cured, width),
        _source(cured),
        wrap(Text(report), width, "report: ", " " * 8, style="dim") if report else [],
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
    mark = cure_mark(cured.verdict, healthy=cured.healthy)
    head = f"{mark.glyph} {cured.verdict.upper()}   "
    lines = wrap(Text(sentence(cured.sentence)), width, head, " " * len(head), style=mark.style)
    if cured.cut:
        lines += wrap(Text(f"{cured.cut}: what was measured until then is shown"), width, "  ", "  ", style="yellow")
    return lines


def _untreated(cured: Cured, width: int) -> list[Text]:
    found = cured.diagnosis
    told = wrap(Text(sentence(f"{found.verdict}: {found.sentence}")), width, "as it is  ", " " * 10, style="bold")
    return [*told, *wrap(Text(whose(cured.evidence), "dim"), width, " " * 10, " " * 10)]


def _before_after(cured: Cured, width: int) -> list[Text]:
    """Return what the prescription changes; nothing without one."""
    comparison = before_and_after(cured)
    return [] if comparison is None or cured.prescription is None else before_after_lines(comparison, width)


def _table(evidence: Evidence, cured: Cured, width: int) -> list[Text]:
    """Return one row for each arm, the network as it is first; columns that do not fit are left out, the last first.

    A name that does not fit beside its numbers goes on below them, from its variant on, over the whole width.
    """
    arms = arm_rows(evidence, cured)
    rows = [HEADINGS, *map(_cells, arms)]
    widths = [max(cells(row[i]) for row in rows) for i in range(len(HEADINGS))]
    shown = len(HEADINGS)
    while shown > 3 and sum(widths[1:shown]) + 2 * shown + FEWEST_NAME > width:
        shown -= 1
    room = max(width - sum(widths[1:shown]) - 2 * shown, FEWEST_NAME)
    names = [_broken(row[0], room) for row in rows]
    room = max(cells(beside) for _, beside, _ in names)
    lines = []
    for row, arm, (above, beside, below) in zip(rows, (None, *arms), names, strict=True):
        chosen = arm is not None and arm.chosen
        style = "bold green" if chosen else "dim" if arm is None else ""
        numbers = "".join("  " + _fill(row[i], widths[i], left=i in (3, 4)) for i in range(1, shown))
        parts = [above] if above else []
        parts += [f"{_fill(beside, room)}{numbers}".rstrip()]
        parts += [part.plain for part in wrap(Text(below), width - 4, "  ", "  ")] if below else []
        lines += [Text(f"{'> ' if chosen and not at else '  '}{part}", style) for at, part in enumerate(parts)]
    return lines


def _broken(name: str, room: int) -> tuple[str, str, str]:
    """Return what of a name stands above its numbers, beside them in so many columns, and below them."""
    if cells(name) <= room:
        return "", name, ""
    head, variant, rest = name.partition(" (")
    if not variant:
        head, variant, rest = name.partition(", ")
    below = f"({rest}" if variant == " (" else rest
    return ("", head, below) if cells(head) <= room else (head, "", below)


def _cells(row: ArmRow) -> tuple[str, ...]:
    return inert(row.name), row.stuck, row.per_layer, row.arm.verdict, row.score, row.change, row.step


def _below(evidence: Evidence, width: int) -> list[Text]:
    return wrap(Text(conditions(evidence), style="dim"), width, "  ", "  ")


def _dropped(evidence: Evidence | None, width: int) -> list[Text]:
    if evidence is None or not evidence.dropped:
        return []
    lines = [Text("not compared:", style="bold")]
    for reason, names in dropped_rows(evidence):
        lines += wrap(Text(sentence(f"{names}: {reason}")), width, "  - ", "    ")
    return lines


def _prescription(cured: Cured, width: int) -> list[Text]:
    chosen = cured.prescription
    if chosen is None:
        return []
    head = "to change: " if cured.fix is None else f"to change, by --fix {cured.fix}: "
    lines = wrap(Text(sentence(chosen.change)), width, head, " " * 11, style="bold green")
    for label, text in _facts(cured):
        lines += wrap(Text(sentence(text)), width, f"  = {label}: ", " " * (len(label) + 6), style="bold blue")
    return lines


def _facts(cured: Cured) -> Iterator[tuple[str, str]]:
    chosen = cured.prescription
    assert chosen is not None
    yield "size", chosen.invasiveness
    names = [name for edit in chosen.edits for name in getattr(edit, "layers", ())]
    if names:
        yield "layers", _layers(names)
    if chosen.harm:
        yield "does harm", harm_of(cured)


def _layers(names: Sequence[str]) -> str:
    once = list(dict.fromkeys(names))
    return (
        ", ".join(once) if len(once) <= 4 else f"{once[0]}, {once[1]} ... {once[-1]} ({len(once)})" if once else "none"
    )


def _patch(cured: Cured, width: int) -> list[Text]:
    """Return why there is no patch, where it would stand."""
    return wrap(Text(sentence(cured.no_patch)), width, "no patch: ", " " * 10, style="bold") if cured.no_patch else []


def _source(cured: Cured) -> list[Text]:
    """Return the patch of the script; where there is none, the source of the cured model."""
    if cured.patch:
        return [
            Text("the patch:", style="bold"),
            *(Text(f"    {inert_line(one)}".rstrip()) for one in cured.patch.split("\n")),
        ]
    if not cured.source:
        return []
    return [
        Text("the cured model:", style="bold"),
        *(Text(f"    {line}".rstrip()) for line in cured.source.splitlines()),
    ]


def _fill(text: str, width: int, *, left: bool = True) -> str:
    gap = " " * max(width - cells(text), 0)
    return text + gap if left else gap + text
