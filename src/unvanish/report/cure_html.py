"""A cure as HTML: the page with its pictures and its ablation, and the static fragment for a notebook."""

from __future__ import annotations

from typing import Any

from unvanish.core.comparison import Comparison, before_and_after
from unvanish.core.cured import Cured
from unvanish.report.ablation import arm_rows, conditions, harm_of, whose
from unvanish.report.before_after import depth_rows, footnote, headline_of, lines_of
from unvanish.report.glossary import GLOSSARY, OF_CURES
from unvanish.report.glyphs import SEVERITIES, cure_mark, verdict_mark
from unvanish.report.headline import headline
from unvanish.report.inert import sentence
from unvanish.report.numbers import counted, seconds
from unvanish.report.pictures import of_cure
from unvanish.report.raw_data import compact
from unvanish.report.template import environment, page, surroundings

KEPT = ("framework", "optimizer", "loss", "data", "probe")
"""What a cure shows of the untreated network's surroundings."""


def render_cure_html(cured: Cured) -> str:
    """Return the whole page: offline, one file, under the same policy as that of a diagnosis."""
    drawn = of_cure(cured)
    return page(
        "cure.html.j2",
        ["copy.js"],
        compact(cured, left_out=("diagnosis",)),
        version=cured.version,
        created=cured.created,
        **_facts(cured),
        overlay=drawn.get("before-after"),
        seeds=drawn.get("seeds"),
    )


def render_cure_fragment(cured: Cured) -> str:
    """Return the fragment: verdict, before and after, the ablation, the pictures; no script, no style sheet."""
    template = environment().get_template("cure_fragment.html.j2")
    return template.render(**_facts(cured), pictures=list(of_cure(cured, png=True).values()))


def _facts(cured: Cured) -> dict[str, Any]:
    comparison, evidence = before_and_after(cured), cured.evidence
    mark = cure_mark(cured.verdict, healthy=cured.healthy)
    edits = cured.prescription.edits if cured.prescription else ()
    return {
        "cured": cured,
        "evidence": evidence,
        "comparison": comparison,
        "mark": mark,
        "tone": {"✓": "ok", "?": "unsure"}.get(mark.glyph, "sick"),
        "numbers": _numbers(cured, comparison),
        "lines": [] if comparison is None else lines_of(comparison),
        "footnote": "" if comparison is None else footnote(comparison),
        "depth_rows": [] if comparison is None else depth_rows(comparison),
        "layers": list(dict.fromkeys(name for edit in edits for name in getattr(edit, "layers", ()))),
        "rows": [] if evidence is None else arm_rows(evidence, cured),
        "whose": whose(evidence),
        "harm": harm_of(cured),
        "conditions": "" if evidence is None else conditions(evidence),
        "marks_of": verdict_mark,
        "severities": SEVERITIES,
        "environment": _surroundings(cured),
        "glossary": sorted((*GLOSSARY, *OF_CURES), key=lambda entry: entry[0].lower()),
    }


def _numbers(cured: Cured, comparison: Comparison | None) -> Any:
    return headline(cured.diagnosis) if comparison is None else headline_of(comparison)


def _surroundings(cured: Cured) -> list[tuple[str, str]]:
    evidence = cured.evidence
    found = [(name, text) for name, text in surroundings(cured.diagnosis) if name in KEPT]
    if evidence is not None:
        planned = f" ({evidence.planned_steps} planned)" if evidence.planned_steps else ""
        found += [
            ("trials", f"{counted(len(evidence.arms) + 1, 'arm')} of {counted(len(evidence.seeds), 'seed')}"),
            ("seeds", ", ".join(map(str, evidence.seeds))),
            ("steps", f"{evidence.steps} of each training{planned}"),
            ("held out", counted(evidence.held_out, "sample") if evidence.held_out else ""),
        ]
    found += [("took", seconds(cured.seconds)), ("unvanish", cured.version), ("when", cured.created)]
    return [(name, sentence(text)) for name, text in found if text]
