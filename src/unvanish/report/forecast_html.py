"""A forecast as one HTML page: the recipe over depths, the network layer by layer, what explains and limits it."""

from __future__ import annotations

from unvanish.core.outlook import Outlook
from unvanish.report.forecast_words import depth_facts, depth_title, facts, power, sentence, told
from unvanish.report.glossary import GLOSSARY
from unvanish.report.glyphs import verdict_mark
from unvanish.report.pictures import of_outlook
from unvanish.report.raw_data import compact
from unvanish.report.template import page

WORDS = ("1 - c", "first/last", "forecast", "gain", "gradient RMS")
"""Entries of the glossary that a forecast uses."""


def render_forecast_html(outlook: Outlook) -> str:
    """Return the whole page: offline, one file, under the same policy as that of a diagnosis."""
    fine = outlook.verdict == "fine"
    expected = {layer.name: layer for layer in outlook.forecast.layers}
    return page(
        "forecast.html.j2",
        ["copy.js"],
        compact(outlook),
        version=outlook.version,
        created="",
        outlook=outlook,
        told=told(outlook),
        mark=verdict_mark("healthy" if fine else outlook.verdict),
        tone="ok" if fine else "unsure" if outlook.verdict == "undecided" else "sick",
        sentence=sentence(outlook),
        facts=facts(outlook),
        depths=None if outlook.depths is None else depth_facts(outlook.depths, outlook.decades),
        depth_title="" if outlook.depths is None else depth_title(outlook.depths),
        pictures=of_outlook(outlook),
        rows=[(layer, expected[layer.name]) for layer in outlook.network.layers],
        power=power,
        glossary=[entry for entry in GLOSSARY if entry[0] in WORDS],
    )
