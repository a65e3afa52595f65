"""The HTML report: one file, offline, under 1 MB, readable without scripts and without colour."""

from __future__ import annotations

import base64
import hashlib

from markupsafe import Markup

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.glossary import GLOSSARY
from unvanish.report.notebook import render_fragment
from unvanish.report.pictures import as_svg
from unvanish.report.raw_data import raw_data
from unvanish.report.rows import layer_rows
from unvanish.report.template import asset, environment, facts

__all__ = ["render_fragment", "render_html"]


def render_html(diagnosis: Diagnosis) -> str:
    """Return the whole page. It makes no request; its security policy allows its own style and script by hash alone."""
    style, script = asset("report.css"), asset("report.js")
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            **facts(diagnosis),
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
            pictures=[(drawn.picture, Markup(drawn.markup)) for drawn in as_svg(diagnosis)],
            rows=layer_rows(diagnosis),
            data=Markup(raw_data(diagnosis)),
            glossary=GLOSSARY,
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
