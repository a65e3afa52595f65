"""docs/rules says what the rules' docstrings say; every rule's page has its six headings."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from unvanish.rules.table import RULES

ROOT = Path(__file__).parents[2]
HEADINGS = (
    "What it measures",
    "Why it matters",
    "Evidence",
    "Remedies",
    "When it is harmless",
    "References",
)


def made() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("make_rule_pages", ROOT / "tools" / "make_rule_pages.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return dict(tool.pages())


def test_pages_are_fresh() -> None:
    lying = {path.name: path.read_text() for path in (ROOT / "docs" / "rules").glob("*.md")}
    assert lying == made(), "run `make docs`"


def test_codes_are_sorted_and_unique() -> None:
    codes = [rule.CODE for rule in RULES]
    assert codes == sorted(set(codes))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_page_has_its_six_headings_in_order(rule: object) -> None:
    places = [(rule.__doc__ or "").find(heading) for heading in HEADINGS]
    assert -1 not in places
    assert places == sorted(places)
