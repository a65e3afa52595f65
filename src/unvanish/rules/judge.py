"""All rules on one observation: the verdict word by its root cause, the sentence, the order of what is shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from unvanish.core.diagnosis import SEVERITIES, Clear, Cost, Diagnosis, Finding, Site, Undecided, Verdict
from unvanish.core.observation import Observation
from unvanish.rules.page import find
from unvanish.rules.sentence import sentence
from unvanish.rules.smallest_first import smallest_first
from unvanish.rules.table import ROOT_ORDER, RULES

MUST_LOOK = ("GF1", "GF2", "GF4", "GF501", "GF502")
"""Families and rules without which nothing may be called healthy; the others are about the training more than its
gradients, or only ever warn."""


def judge(
    seen: Observation,
    *,
    ignore: Collection[str] = (),
    title: str = "",
    version: str = "",
    sites: Mapping[str, Site] | None = None,
    cost: Cost | None = None,
    created: str = "",
) -> Diagnosis:
    """Let every rule judge what was seen, and return the diagnosis.

    ignore: codes or names of rules to leave out. title, version, sites, cost, created: kept in the diagnosis as given.
    Nothing is changed; an exception of a rule is not caught. Raise UsageError for a rule to ignore that there is not.
    """
    ignored = {find(word).CODE for word in ignore}
    verdicts = [rule.judge(seen) for rule in RULES if rule.CODE not in ignored]
    findings = ordered(
        replace(verdict, cures=smallest_first(verdict.cures)) for verdict in verdicts if isinstance(verdict, Finding)
    )
    undecided = tuple(verdict for verdict in verdicts if isinstance(verdict, Undecided))
    word = verdict_word(findings, undecided)
    return Diagnosis(
        verdict=word,
        sentence=sentence(seen, word, findings, undecided),
        findings=findings,
        clear=tuple(verdict for verdict in verdicts if isinstance(verdict, Clear)),
        undecided=undecided,
        observation=seen,
        title=title,
        version=version,
        sites=dict(sites or {}),
        cost=cost,
        created=created,
    )


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return errors first, then warnings, then notes; within a severity the root cause first.

    Findings that argue for the same word stand together, in the order of their codes: the one that is told first (GF101
    before GF104, GF601) has the picture of the whole depth.
    """
    known = list(findings)

    def place(finding: Finding) -> tuple[int, int, str]:
        family = [f for f in known if f.verdict == finding.verdict and f.severity == finding.severity]
        told = [finding] if finding.verdict is None else family
        return SEVERITIES.index(finding.severity), min(ROOT_ORDER.index(f.code) for f in told), finding.code

    return tuple(sorted(known, key=place))


def verdict_word(findings: Iterable[Finding], undecided: Iterable[Verdict]) -> str:
    """Return the word of the root cause; `undecided` only where no error was found and a rule could not look."""
    words = [finding.verdict for finding in ordered(findings) if finding.severity == "error" and finding.verdict]
    if words:
        return words[0]
    return "undecided" if any(rule.code.startswith(MUST_LOOK) for rule in undecided) else "healthy"
