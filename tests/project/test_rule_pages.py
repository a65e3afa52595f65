"""docs/rules says what the rules' docstrings say; every rule's page has its six headings."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from unvanish.rules.page import HEADINGS
from unvanish.rules.rule import Rule
from unvanish.rules.table import RULES

ROOT = Path(__file__).parents[2]


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
def test_page_has_its_six_headings_in_order(rule: Rule) -> None:
    found = [line[3:] for line in (rule.__doc__ or "").splitlines() if line.startswith("## ")]
    assert found == list(HEADINGS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_name_states_the_pattern_in_kebab_case(rule: Rule) -> None:
    assert re.fullmatch(r"GF[1-9]\d\d", rule.CODE)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.NAME)
    assert rule.__name__.endswith(f"{rule.CODE.lower()}_{rule.NAME.replace('-', '_')}")  # type: ignore[attr-defined]
