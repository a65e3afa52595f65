"""`unvanish explain`: every rule by code and by name."""

from __future__ import annotations

import pytest

from unvanish.cli.main import run
from unvanish.rules.table import RULES


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_by_code_and_by_name(rule: object, capsys: pytest.CaptureFixture[str]) -> None:
    code, name = rule.CODE, rule.NAME  # type: ignore[attr-defined]
    pages = []
    for word in (code, code.lower(), name):
        assert run(["explain", word]) == 0
        pages.append(capsys.readouterr().out)
    assert pages[0] == pages[1] == pages[2]
    assert code in pages[0]
    for heading in ("What it measures", "Why it matters", "Evidence", "Remedies", "References"):
        assert heading.lower() in pages[0].lower()
    assert max(map(len, pages[0].splitlines())) <= 80


def test_the_list_of_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == sorted(lines)
    assert [line.split() for line in lines] == [[rule.CODE, rule.NAME] for rule in RULES]


@pytest.mark.parametrize(
    ("word", "close"),
    [("GF1O1", "GF101"), ("vanishes-with-depth", "gradient-vanishes-with-depth"), ("DEAD-UNIT", "dead-units")],
)
def test_close_matches(word: str, close: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", word]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"error: there is no rule {word!r}"
    assert close in lines[1]
    assert lines[2] == f"  rules: {len(RULES)}"
    assert lines[3].startswith("  try:    unvanish explain ")


def test_nothing_close(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "0123456789"]) == 2
    err = capsys.readouterr().err
    assert "  found:  nothing close to it\n" in err
    assert "  try:    unvanish explain (lists all rules)\n" in err


def test_a_verdict_word_lists_its_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "VANISHING"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "vanishing: the gradient, or the signal, dies on its way through the layers"
    assert lines[2] == "GF101  gradient-vanishes-with-depth"
    assert [line.split()[0] for line in lines[2:]] == ["GF101", "GF103", "GF104", "GF601", "GF701"]
    assert run(["explain", "healthy"]) == 0
    assert capsys.readouterr().out == "healthy: every layer receives a gradient that it can learn from\n"
