"""Replay all rules over the recordings: false alarms, diseases found, right words, beside other detectors."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scipy.stats import beta

from unvanish.core.diagnosis import Diagnosis
from unvanish.diagnosing import diagnose
from zoo.detectors import DETECTORS
from zoo.measure import read
from zoo.record import load, recordings

QUIET = ("healthy", "undecided")


@dataclass(frozen=True)
class Row:
    """Hold one judged recording beside what the zoo knows of its run."""

    name: str
    seed: int
    known: dict[str, Any]
    diagnosis: Diagnosis
    others: dict[str, str]

    @property
    def sick(self) -> bool:
        return bool(self.known["codes"])

    @property
    def warned(self) -> bool:
        """Say whether the disease's rules only warn."""
        return self.sick and self.known["root"] == "healthy"

    @property
    def found(self) -> dict[str, str]:
        """Return the severity of every finding, by its code."""
        return {finding.code: finding.severity for finding in self.diagnosis.findings}

    @property
    def alarm(self) -> bool:
        """Say whether an error was found."""
        return "error" in self.found.values()

    @property
    def flagged(self) -> bool:
        """Say whether the disease was found: an error; where its rules only warn, one of its codes."""
        return any(code in self.found for code in self.known["codes"]) if self.warned else self.alarm

    @property
    def grade(self) -> str:
        """Return `right`, `not wrong` or `wrong`, by the verdict's word; a disease that is not flagged is wrong."""
        verdict = self.diagnosis.verdict
        if verdict == self.known["root"] or (self.warned and verdict == "undecided"):
            return "right" if self.flagged else "wrong"
        return "not wrong" if self.flagged and verdict in self.known["accept"] else "wrong"


def judged(only: str = "", framework: str = "", half: str = "") -> list[Row]:
    """Return every recording of a run that belongs in the zoo, judged by the rules of today."""
    runs, rows = read()["runs"], []
    for name, seed, path in recordings():
        known = runs.get(name)
        if known is None or not known["belongs"] or only not in name or not name.startswith(framework):
            continue
        if half in ("", known["half"]):
            seen = load(path)
            others = {other: detector(seen) for other, detector in DETECTORS.items()}
            rows.append(Row(name, seed, known, diagnose(seen), others))
    return rows


def main(only: str, framework: str, half: str) -> None:
    """Print the counts over one recording a run (seed 1), the misses with their findings, and what more seeds say."""
    started = time.perf_counter()
    rows = judged(only, framework, half)
    seconds = time.perf_counter() - started
    first = [row for row in rows if row.seed == 1]
    healthy, sick = [r for r in first if not r.sick], [r for r in first if r.sick]
    print(f"{len(rows)} recordings judged in {seconds:.1f} s; {_missing(only, framework, half, first)}")
    _healthy(healthy)
    _sick(sick)
    _others(healthy, sick)
    _misses(first)
    _seeds(rows)


def interval(k: int, n: int) -> str:
    """Return the count with its Clopper-Pearson interval of 95 %."""
    low = beta.ppf(0.025, k, n - k + 1) if k else 0.0
    high = beta.ppf(0.975, k + 1, n - k) if k < n else 1.0
    return f"{k} of {n} [{low:.3f}, {high:.3f}]"


def _missing(only: str, framework: str, half: str, first: list[Row]) -> str:
    runs = {
        name
        for name, entry in read()["runs"].items()
        if entry["belongs"] and only in name and name.startswith(framework) and half in ("", entry["half"])
    }
    lacking = sorted(runs - {row.name for row in first})
    return f"{len(lacking)} runs are not recorded" + (f": {', '.join(lacking)}" if lacking else "")


def _healthy(rows: list[Row]) -> None:
    print(f"\nhealthy: false alarms at severity error {interval(sum(r.alarm for r in rows), len(rows))}")
    by_family: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_family[row.known["family"]].append(row)
    for family, members in sorted(by_family.items()):
        print(f"  {family:28s} {sum(r.alarm for r in members)} of {len(members)}")
    warnings = Counter(code for r in rows for code, severity in r.found.items() if severity == "warning")
    print(f"  warnings per healthy run {warnings.total() / max(1, len(rows)):.2f}: {dict(warnings.most_common())}")
    undecided = sum(r.diagnosis.verdict == "undecided" for r in rows)
    print(f"  of them `undecided` {undecided} (no error found, and a rule that must look could not)")


def _sick(rows: list[Row]) -> None:
    grades = Counter(r.grade for r in rows)
    print(f"\nsick: flagged {interval(sum(r.flagged for r in rows), len(rows))}")
    print(f"  right root word {interval(grades['right'], len(rows))}; not wrong {grades['not wrong']} more")


def _others(healthy: list[Row], sick: list[Row]) -> None:
    print("\non the same recordings:           false alarms            flagged                 right word")
    print(_line("unvanish", [r.alarm for r in healthy], [r.flagged for r in sick], [r.grade == "right" for r in sick]))
    for other in DETECTORS:
        right = [r.others[other] == r.known["root"] for r in sick]
        print(_line(other, [r.others[other] for r in healthy], [r.others[other] for r in sick], right))


def _line(name: str, *columns: Iterable[object]) -> str:
    return f"  {name:30s}" + "".join(f"  {interval(sum(map(bool, c)), len(c)):22s}" for c in map(list, columns))


def _misses(rows: list[Row]) -> None:
    for row in rows:
        wrong = row.grade == "wrong" if row.sick else row.alarm
        if wrong:
            print(f"\nMISS {row.name} ({row.known['half']}): {row.known['root']}, judged {row.diagnosis.verdict}")
            print(f"     {row.diagnosis.sentence}")
            print(f"     found {row.found}; planted {row.known['codes']}")
            for verdict in row.diagnosis.undecided:
                print(f"     {verdict.code} undecided: {verdict.reason}")


def _seeds(rows: list[Row]) -> None:
    words: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        words[row.name].append(row.diagnosis.verdict)
    several = {name: found for name, found in words.items() if len(found) > 1}
    differ = {name: found for name, found in several.items() if len(set(found)) > 1}
    print(f"\nof {len(several)} runs recorded with more seeds {len(differ)} change their word: {differ or 'none'}")
