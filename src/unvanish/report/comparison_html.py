"""A comparison as HTML: the page with the overlay, and the static fragment for a notebook."""

from __future__ import annotations

from typing import Any

from unvanish.core.comparison import Comparison
from unvanish.report.before_after import depth_rows, footnote, headline_of, lines_of
from unvanish.report.comparison_text import UNKNOWN
from unvanish.report.glossary import GLOSSARY, OF_CURES
from unvanish.report.glyphs import SEVERITIES, verdict_mark
from unvanish.report.pictures import of_comparison
from unvanish.report.raw_data import compact
from unvanish.report.template import environment, page


def render_comparison_html(comparison: Comparison) -> str:
    """Return the whole page: offline, one file, under the same policy as that of a diagnosis."""
    return page(
        "comparison.html.j2",
        ["copy.js"],
        compact(comparison),
        version=comparison.version,
        created="",
        **_facts(comparison),
        overlay=of_comparison(comparison),
        depth_rows=depth_rows(comparison),
        glossary=sorted((*GLOSSARY, *OF_CURES), key=lambda entry: entry[0].lower()),
    )


def render_comparison_fragment(comparison: Comparison) -> str:
    """Return the fragment: both verdicts, the numbers, the overlay; no script, no style sheet."""
    template = environment().get_template("comparison_fragment.html.j2")
    return template.render(**_facts(comparison), overlay=of_comparison(comparison, png=True))


def _facts(comparison: Comparison) -> dict[str, Any]:
    return {
        "comparison": comparison,
        "sides": (("before", comparison.before), ("after", comparison.after)),
        "marks_of": verdict_mark,
        "severities": SEVERITIES,
        "numbers": headline_of(comparison),
        "lines": lines_of(comparison),
        "footnote": footnote(comparison),
        "unknown": UNKNOWN,
        "found": (("went", comparison.went), ("came", comparison.came), ("stayed", comparison.stayed)),
    }
