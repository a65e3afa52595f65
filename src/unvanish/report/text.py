"""The terminal report: the verdict in the first line, evidence before advice, one line when healthy."""

from __future__ import annotations

import io
from collections.abc import Iterable

from msgspec.structs import replace
from rich.console import Console
from rich.text import Text

from unvanish.core.diagnosis import SEVERITIES, Diagnosis, Finding
from unvanish.report.expectation import expectation
from unvanish.report.glyphs import SEVERITIES as MARKS
from unvanish.report.glyphs import verdict_mark
from unvanish.report.inert import cells, crop, inert, inert_line, place, sentence, shorten
from unvanish.report.lines import plain_line, print_lines, wrap
from unvanish.report.numbers import at_or_after, counted, seconds
from unvanish.report.remedies import smallest_first, tried_by
from unvanish.report.rows import layer_rows
from unvanish.report.text_table import family_of, table_lines
from unvanish.report.time_table import time_lines
from unvanish.rules.evidence import disagreement
from unvanish.rules.words import span

WIDEST = 100
GLYPHS = "✓✗·…←█▏"
INDENT = "    "


def render_text(
    diagnosis: Diagnosis, *, width: int = 80, colour: bool = False, ascii_only: bool = False, report: str = ""
) -> str:
    """Return the report as text of at most `width` columns, with ANSI colours if asked for (never under NO_COLOR).

    report: where the HTML report lies, to be named in the last line. Nothing is changed.
    """
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=colour, color_system="standard" if colour else None, legacy_windows=False
    )
    for line in _lines(diagnosis, width, report):
        console.print(plain_line(line) if ascii_only else line, soft_wrap=True, highlight=False)
    return out.getvalue()


def print_diagnosis(diagnosis: Diagnosis, console: Console, *, report: str = "") -> None:
    """Print the report to the console: its width (at most 100), its colours, ASCII where its encoding needs it."""
    print_lines(_lines(diagnosis, min(console.width, WIDEST), report), console, GLYPHS)


def header(diagnosis: Diagnosis) -> str:
    """Return the line that says what was looked at, with what, for how long: `unvanish 0.1.0 · ... · 4.1 s`."""
    seen, cost = diagnosis.observation, diagnosis.cost
    parts = [f"unvanish {diagnosis.version}".strip(), seen.network.framework, diagnosis.title]
    if seen.recording.total_steps:
        parts.append(counted(seen.recording.total_steps, "step"))
    if cost:
        parts += [seconds(cost.total_seconds), f"watching cost {seconds(cost.added_seconds)}"]
    return " · ".join(shorten(part, 40) for part in parts if part)


def _lines(diagnosis: Diagnosis, width: int, report: str) -> list[Text]:
    if diagnosis.verdict == "healthy":
        told = [x for f in diagnosis.findings for x in _message(f, width)]
        named = wrap(Text(f"report: {inert(report)}"), width, "", "") if report else []
        left_out = _listed("not checked", diagnosis.observation.left_out, width)
        return (
            _verdict(diagnosis, width)
            + told
            + left_out
            + _not_modelled(diagnosis, width)
            + _apart(diagnosis, width)
            + named
        )
    blocks = [
        wrap(Text(header(diagnosis), style="dim"), width, "", ""),
        _verdict(diagnosis, width),
        *_findings(diagnosis, width),
        _fixes(diagnosis, width),
        _forecast(diagnosis, width) + _apart(diagnosis, width),
        _listed("undecided", (f"{u.code} {u.name}: {u.reason}" for u in diagnosis.undecided), width),
        _listed("not checked", diagnosis.observation.not_checked, width),
        _counts(diagnosis, report, width),
    ]
    lines: list[Text] = []
    for block in filter(None, blocks):
        lines += [Text(), *block] if lines else block
    return lines


def _verdict(diagnosis: Diagnosis, width: int) -> list[Text]:
    mark = verdict_mark(diagnosis.verdict)
    head = f"{mark.glyph} {diagnosis.verdict.upper()}   "
    return wrap(Text(sentence(diagnosis.sentence)), width, head, " " * len(head), style=mark.style)


def _findings(diagnosis: Diagnosis, width: int) -> list[list[Text]]:
    """Return one block per error, and one for all warnings and notes; each kind of table is shown once."""
    blocks, shown = [], []
    rows = layer_rows(diagnosis)
    errors = [f for f in diagnosis.findings if f.severity == "error"]
    for finding in errors:
        family = family_of(finding.code)
        table = [] if family in shown else table_lines(finding, rows, width)
        shown.append(family)
        if finding.code.startswith("GF7"):
            table = time_lines(diagnosis, finding, width)
        told = {error.effect for error in errors[: errors.index(finding)]}
        finding = replace(finding, effect="") if finding.effect in told else finding
        blocks.append(_error(diagnosis, finding, table, width))
    return [*blocks, [x for f in diagnosis.findings if f.severity != "error" for x in _message(f, width)]]


def _error(diagnosis: Diagnosis, finding: Finding, table: list[Text], width: int) -> list[Text]:
    lines = [*_message(finding, width), *_sites(diagnosis, finding, width)]
    if table:
        frame = Text("  |", style="dim")
        source = [] if finding.code.startswith("GF7") else _source(diagnosis, finding, table[0].plain, width)
        lines += [frame, *table, *source, frame]
    for label, text in (("why", finding.why), ("effect", finding.effect), ("note", finding.note)):
        if text:
            head = f"  = {label}: "
            lines += wrap(Text(sentence(text)), width, head, " " * len(head), style="bold blue")
    return lines


def _message(finding: Finding, width: int) -> list[Text]:
    head = f"{finding.severity}[{finding.code}] "
    healthy = f" (healthy: {finding.healthy})" if finding.healthy else ""
    text = Text(sentence(finding.message + healthy))
    return wrap(text, width, head, " " * len(head), style=MARKS[finding.severity].style)


def _sites(diagnosis: Diagnosis, finding: Finding, width: int) -> list[Text]:
    """Return at most three source lines, each once, in the order of the finding's layers."""
    sites = {(s.file, s.line): s for name in finding.layers if (s := diagnosis.sites.get(name))}
    lines = []
    for site in list(sites.values())[:3]:
        where = f"  --> {place(site.file, min(30, width // 3))}:{site.line}   "
        lines.append(Text().append(where, "blue").append(crop(site.text, max(width - cells(where), 10))))
    if len(sites) > 3:
        lines.append(Text(f"      and {counted(len(sites) - 3, 'more line')}", style="dim"))
    return lines


def _source(diagnosis: Diagnosis, finding: Finding, heading: str, width: int) -> list[Text]:
    """Return where the numbers of the table with that heading come from."""
    seen = diagnosis.observation
    family = family_of(finding.code)
    probe = seen.profiles[-1 if family is not None and family.last else 0]
    text = f"measured {at_or_after(probe.step)} on {counted(probe.batches, 'batch', 'batches')}"
    text += f" of {probe.batch_size}"
    if "update/weight" in heading:
        text += f"; update/weight, moved at step {seen.recording.steps[-1]}"
    return wrap(Text(text, style="dim"), width, "  |  ", "  |  ", style="dim")


def _fixes(diagnosis: Diagnosis, width: int) -> list[Text]:
    """Return the remedies, the least invasive first, in one line each where all of them fit, and how they are typed."""
    ordered = smallest_first(diagnosis.findings)
    if not ordered:
        return []
    title = Text("to change, smallest first", style="bold").append(" (forecasts, not measured on your data):", "none")
    lines = wrap(title, width, "", "")
    changes = [sentence(remedy.change) for remedy in ordered]
    forecasts = [sentence(remedy.forecast) for remedy in ordered]
    columns = max(map(cells, changes)), max(len(r.invasiveness) for r in ordered), max(map(cells, forecasts))
    beside = sum(columns) + 11 <= width
    for number, (change, remedy, forecast) in enumerate(zip(changes, ordered, forecasts, strict=True), start=1):
        gap = " " * (columns[0] - cells(change)) if beside else ""
        text = Text(f"{change}{gap}   {remedy.invasiveness:<{columns[1] if beside else 0}}   ")
        text.append(forecast, style="green" if beside else "")
        lines += wrap(text if beside else Text(change), width, f"{number:>3}  ", " " * 7)
        if not beside:
            below = " · ".join(filter(None, (remedy.invasiveness, forecast)))
            lines += wrap(Text(below, style="green"), width, " " * 7, " " * 7)
        typed = [inert_line(line) for line in remedy.typed.splitlines()]
        lines += [Text(f"{' ' * 9}{line if cells(line) <= width - 9 else crop(line, width - 9)}") for line in typed]
    command = tried_by(diagnosis)
    told = Text(inert(command), style="bold").append(" tries these on your data and writes the source", "none")
    return lines + (wrap(told, width, "  " + " " * 3, " " * 7) if command else [])


def _forecast(diagnosis: Diagnosis, width: int) -> list[Text]:
    """Return what theory expected, beside the measured number where a rule gave one."""
    text = expectation(diagnosis)
    return wrap(Text(text), width, "forecast: ", " " * 10, style="bold") if text else []


def _apart(diagnosis: Diagnosis, width: int) -> list[Text]:
    """Return one line where theory and measurement are too far apart."""
    text = disagreement(diagnosis.observation)
    return wrap(Text(sentence(text)), width, "! ", "  ", style="bold yellow") if text else []


def _not_modelled(diagnosis: Diagnosis, width: int) -> list[Text]:
    """Return one line on the layers that theory passes over; nothing without any."""
    skipped = [f"{layer.name} ({layer.type})" for layer in diagnosis.network.layers if not layer.modelled]
    text = f"{sentence(span(skipped))}: measured, without a forecast"
    return wrap(Text(text), width, "not modelled: ", INDENT) if skipped else []


def _listed(label: str, items: Iterable[str], width: int) -> list[Text]:
    lines = [line for item in items for line in wrap(Text(sentence(item)), width, "  - ", INDENT)]
    return [Text(f"{label}:", style="bold"), *lines] if lines else []


def _counts(diagnosis: Diagnosis, report: str, width: int) -> list[Text]:
    """Return the last line; two where the report's name does not fit beside the rest."""
    counts = {s: sum(f.severity == s for f in diagnosis.findings) for s in SEVERITIES}
    line = ", ".join(counted(n, s) for s, n in counts.items() if n) or "no findings"
    if diagnosis.findings:
        line += f" · explain: unvanish explain {diagnosis.findings[0].code}"
    named = f"report: {inert(report)}" if report else ""
    if named and cells(f"{line} · {named}") <= width:
        line, named = f"{line} · {named}", ""
    return [x for text in (line, named) if text for x in wrap(Text(text, style="bold"), width, "", "")]
