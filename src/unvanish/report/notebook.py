"""The report in a notebook: a fragment of static markup and PNG pictures, which every viewer shows."""

from __future__ import annotations

from unvanish.core.diagnosis import Diagnosis
from unvanish.report.pictures import as_png
from unvanish.report.template import environment, facts

KEYS = ("depth", "heatmap", "transmission")


def render_fragment(diagnosis: Diagnosis) -> str:
    """Return the fragment: verdict, numbers, findings, remedies, the three main pictures; no script, no style sheet."""
    template = environment().get_template("fragment.html.j2")
    return template.render(**facts(diagnosis), pictures=as_png(diagnosis, KEYS))
