"""Which remedies a report lists, and in what order: the smallest change first."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePath

from unvanish.core.diagnosis import Diagnosis, Finding, Remedy
from unvanish.rules.smallest_first import smallest_first as ordered

NOT_TRIED = frozenset({"lower-learning-rate", "scale-targets", "zero-bias"})
"""Remedies that are no cures: no trial makes them."""


def smallest_first(findings: Sequence[Finding]) -> list[Remedy]:
    """Return the remedies of the errors (without any error, of all findings), each once, in the rules' own order.

    What would help against a warning alone is left out where there is an error: it would not be sufficient.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    remedies: dict[tuple[str, str], Remedy] = {}
    for remedy in (remedy for finding in errors or findings for remedy in finding.cures):
        known = remedies.get((remedy.name, remedy.change))
        if known is None or not known.forecast:
            remedies[remedy.name, remedy.change] = remedy
    return list(ordered(remedies.values()))


def tried_by(diagnosis: Diagnosis) -> str:
    """Return the command or the call that tries remedies on the user's own data; empty where there is none.

    Cures are tried on Keras models: of a script where it trains by `fit`, whose steps are then known beforehand.
    """
    seen = diagnosis.observation
    remedies = smallest_first(diagnosis.findings)
    if seen.network.library != "keras" or all(remedy.name in NOT_TRIED for remedy in remedies):
        return ""
    if not diagnosis.title.endswith(".py"):
        return "unvanish.cure(model, x, y)"
    files = (site.file for site in diagnosis.sites.values())
    path = next((file for file in files if PurePath(file).name == diagnosis.title), diagnosis.title)
    return f"unvanish cure {shlex.quote(path)}" if seen.planned_steps is not None else ""
