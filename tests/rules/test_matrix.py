"""Every rule's verdict on every specimen, against the committed table `verdicts.txt`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from unvanish.core.diagnosis import Clear, Diagnosis, Undecided, Verdict
from unvanish.rules.table import RULES
from unvanish.testing.specimens import SPECIMENS

TABLE = [
    line.split()
    for line in Path(__file__).with_name("verdicts.txt").read_text().splitlines()
    if not line.startswith("#")
]
CODES = [f"GF{number}" for number in TABLE[0][1:-1]]
EXPECTED = {row[0]: (dict(zip(CODES, row[1:-1], strict=True)), row[-1]) for row in TABLE[1:]}


def mark(verdict: Verdict) -> str:
    if isinstance(verdict, Undecided):
        return "?"
    return "." if isinstance(verdict, Clear) else verdict.severity[0].upper()


def test_the_table_is_complete() -> None:
    assert list(EXPECTED) == list(SPECIMENS)
    assert [rule.CODE for rule in RULES] == CODES


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_every_rule_says_what_the_table_says(name: str, judged: Callable[[str], Diagnosis]) -> None:
    verdicts = (*judged(name).findings, *judged(name).clear, *judged(name).undecided)
    assert {verdict.code: mark(verdict) for verdict in verdicts} == EXPECTED[name][0]


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_the_diagnosis_has_the_word_of_the_table(name: str, judged: Callable[[str], Diagnosis]) -> None:
    assert judged(name).verdict == EXPECTED[name][1]


@pytest.mark.parametrize("code", CODES)
def test_every_rule_fires_on_some_specimens_and_is_clear_on_others(code: str) -> None:
    marks = [row[code] for row, _ in EXPECTED.values()]
    assert {"E", "W", "N"} & set(marks), "no specimen makes it fire"
    assert marks.count(".") > len(marks) / 2, "it is not silent on most of them"


@pytest.mark.parametrize("name", [name for name in SPECIMENS if name.startswith("healthy")])
def test_healthy_networks_are_silent(name: str) -> None:
    assert set(EXPECTED[name][0].values()) == {"."}
