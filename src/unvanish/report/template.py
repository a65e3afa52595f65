"""What the HTML forms share: the template environment, and the facts that each of them shows."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from unvanish.core.diagnosis import Diagnosis, Finding, Site
from unvanish.report import numbers
from unvanish.report.expectation import expectation
from unvanish.report.glyphs import SEVERITIES, verdict_mark
from unvanish.report.headline import headline
from unvanish.report.inert import crop, place, sentence, shorten
from unvanish.report.remedies import smallest_first, tried_by
from unvanish.rules.evidence import disagreement

LONGEST_NAME = 48


def facts(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return what every HTML form shows besides pictures and tables."""
    return {
        "diagnosis": diagnosis,
        "seen": diagnosis.observation,
        "mark": verdict_mark(diagnosis.verdict),
        "marks": SEVERITIES,
        "headline": headline(diagnosis),
        "environment": surroundings(diagnosis),
        "expected": [text for text in (expectation(diagnosis), disagreement(diagnosis.observation)) if text],
        "remedies": smallest_first(diagnosis.findings),
        "tried_by": tried_by(diagnosis),
        "sites_of": lambda finding: sites_of(diagnosis, finding),
    }


def sites_of(diagnosis: Diagnosis, finding: Finding) -> Sequence[Site]:
    """Return the source lines of the finding's layers, each once, in the layers' order."""
    sites = {(s.file, s.line): s for name in finding.layers if (s := diagnosis.sites.get(name))}
    return list(sites.values())


def surroundings(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Return in what surroundings the numbers were taken, as (name, text)."""
    seen, cost = diagnosis.observation, diagnosis.cost
    optimizer, data, probe = seen.optimizer, seen.data, seen.profiles[0]
    clipping = f", clipping by {optimizer.clipping}" if optimizer.clipping else ""
    samples = "a stream" if data.samples is None else f"{data.samples} samples"
    held_out = f", {data.held_out} held out" if data.held_out else ""
    found = [
        ("framework", seen.network.framework),
        ("optimizer", f"{optimizer.name}, learning rate {numbers.plain(optimizer.learning_rate)}{clipping}"),
        ("loss", seen.loss.kind.replace("_", " ")),
        ("data", f"{samples}{held_out}, batches of {data.batch_size}"),
        ("watched", f"{len(seen.recording.steps)} of {numbers.counted(seen.recording.total_steps, 'step')}"),
        ("probe", f"{numbers.counted(probe.batches, 'batch', 'batches')} of {probe.batch_size}, {probe.dtype}"),
        ("cost", f"{numbers.seconds(cost.added_seconds)} of {numbers.seconds(cost.total_seconds)}" if cost else ""),
        ("unvanish", diagnosis.version),
        ("when", diagnosis.created),
    ]
    return [(name, sentence(text)) for name, text in found if text]


@cache
def environment() -> Environment:
    """Return the template environment: everything is escaped, an unknown name is an error."""
    env = Environment(
        loader=PackageLoader("unvanish.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "name": lambda text: shorten(text, LONGEST_NAME),
        "short": shorten,
        "crop": crop,
        "place": place,
        "prose": sentence,
        "scientific": numbers.scientific,
        "percent": numbers.percent,
        "plain": numbers.plain,
    }
    return env


def asset(name: str) -> str:
    """Return the text of a file beside the templates."""
    return (files("unvanish.report") / "templates" / name).read_text(encoding="utf-8")


def page(template: str, scripts: Sequence[str], data: str, **facts: Any) -> str:
    """Return a whole page that extends `base.html.j2`, under a policy that allows its own style and script by hash.

    scripts: names of files beside the templates. data: JSON that is inert inside a `<script>` element. facts: what
    the template shows; `version` and `created` among them.
    """
    style, code = asset("report.css"), "".join(map(asset, scripts))
    return (
        environment()
        .get_template(template)
        .render(
            **facts,
            style=Markup(style),
            script=Markup(code),
            style_hash=_hash(style),
            script_hash=_hash(code),
            data=Markup(data),
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
