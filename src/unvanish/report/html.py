"""The HTML report: one file, offline, under 1 MB, readable without scripts and without colour."""

from __future__ import annotations

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.glossary import GLOSSARY
from unvanish.report.notebook import render_fragment
from unvanish.report.pictures import as_svg
from unvanish.report.raw_data import raw_data
from unvanish.report.rows import layer_rows
from unvanish.report.template import facts, page

__all__ = ["render_fragment", "render_html"]


def render_html(diagnosis: Diagnosis) -> str:
    """Return the whole page. It makes no request; its security policy allows its own style and script by hash alone."""
    return page(
        "report.html.j2",
        ["sort.js", "moving.js"],
        raw_data(diagnosis),
        version=diagnosis.version,
        created=diagnosis.created,
        **facts(diagnosis),
        pictures=as_svg(diagnosis),
        rows=layer_rows(diagnosis),
        glossary=GLOSSARY,
    )
