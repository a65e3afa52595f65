"""The table of rules: sorted, complete, with codes and names that can be told apart."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from unvanish.core.diagnosis import Clear, Diagnosis, Finding, Undecided
from unvanish.rules import table
from unvanish.rules.rule import Rule
from unvanish.rules.table import ROOT_ORDER, RULES
from unvanish.testing.specimens import SPECIMENS

FIXES = re.compile(
    r"^(add|avoid|change|clip|fix|lower|raise|remove|replace|scale|swap|try|use)-|should|must|better|too-bad"
)
FAMILIES = {
    "vanishing": "167",
    "exploding": "167",
    "dead": "2",
    "saturated": "2",
    "untrainable-step": "3",
    "nonfinite": "4",
    "blocked": "569",
}


def test_rules_are_in_the_order_of_their_codes() -> None:
    codes = [rule.CODE for rule in RULES]
    assert codes == sorted(codes)
    assert len(set(codes)) == len(codes)
    assert len({rule.NAME for rule in RULES}) == len(RULES)


def test_every_rule_file_is_in_the_table() -> None:
    files = {path.stem for path in Path(table.__file__).parent.glob("gf*.py")}
    assert files == {str(getattr(rule, "__name__", "")).rpartition(".")[2] for rule in RULES}


def test_the_root_order_names_every_rule_once() -> None:
    assert sorted(ROOT_ORDER) == [rule.CODE for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_file_code_and_name_agree(rule: Rule) -> None:
    file = str(getattr(rule, "__name__", "")).rpartition(".")[2]
    assert file == f"{rule.CODE.lower()}_{rule.NAME.replace('-', '_')}"
    assert re.fullmatch(r"GF[1-9]\d\d", rule.CODE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_a_name_states_the_pattern_never_the_fix(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.NAME)
    assert not FIXES.search(rule.NAME)


def test_a_name_that_states_a_fix_would_be_seen() -> None:
    assert FIXES.search("use-relu")
    assert FIXES.search("clip-gradient")


@pytest.mark.parametrize("name", list(SPECIMENS))
def test_verdicts_carry_their_rule_and_their_words(name: str, judged: Callable[[str], Diagnosis]) -> None:
    names = {rule.CODE: rule.NAME for rule in RULES}
    known = {layer.name for layer in judged(name).network.layers}
    for verdict in (*judged(name).findings, *judged(name).clear, *judged(name).undecided):
        assert verdict.name == names[verdict.code]
        if isinstance(verdict, Undecided):
            assert len(verdict.reason) > 20
        if isinstance(verdict, Finding):
            _check_finding(verdict, known)
        if isinstance(verdict, Finding | Clear):
            assert all(isinstance(number, float) for number in verdict.evidence.values()), verdict.evidence


def _check_finding(finding: Finding, known: set[str]) -> None:
    assert not finding.message[0].isupper() or finding.message.startswith("Adam's")
    assert not finding.message.endswith(".")
    assert finding.healthy
    assert finding.evidence
    assert set(finding.layers) <= known
    assert (finding.severity == "error") == (finding.verdict is not None)
    if finding.verdict is not None:
        assert finding.code[2] in FAMILIES[finding.verdict]
