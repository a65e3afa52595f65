"""Which remedies a report lists, and in what order: the smallest change first."""

from __future__ import annotations

from collections.abc import Sequence

from unvanish.core.diagnosis import Finding, Remedy

SMALLEST_FIRST = ("initialisation only", "one word", "optimizer", "one line", "data", "architecture")


def smallest_first(findings: Sequence[Finding]) -> list[Remedy]:
    """Return the remedies of the errors (without any error, of all findings), each once, the least invasive first.

    What would help against a warning alone is left out where there is an error: it would not be sufficient.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    remedies: dict[tuple[str, str], Remedy] = {}
    for remedy in (remedy for finding in errors or findings for remedy in finding.cures):
        known = remedies.get((remedy.name, remedy.change))
        if known is None or not known.forecast:
            remedies[remedy.name, remedy.change] = remedy
    return sorted(remedies.values(), key=_invasiveness)


def _invasiveness(remedy: Remedy) -> int:
    known = remedy.invasiveness in SMALLEST_FIRST
    return SMALLEST_FIRST.index(remedy.invasiveness) if known else len(SMALLEST_FIRST)
