"""The explanations name modules, functions, tests and benches that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from unvanish.theory.cotangent import Cotangent

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "explanation").glob("*.md"))
NAMED = re.compile(r"\b(?:theory|tests|bench)/[\w/]+\.py\b")
DOTTED = re.compile(r"`(\w+)\.(\w+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    missing = [name for name in named if not ((ROOT / name).is_file() or (ROOT / "src/unvanish" / name).is_file())]
    assert not missing
    assert named or page.name == "README.md"


def _is_there(owner: str, name: str) -> bool:
    """Say whether the module of theory/, or the class Cotangent, has that attribute."""
    if owner == "Cotangent":
        return name in Cotangent.__struct_fields__
    return hasattr(importlib.import_module(f"unvanish.theory.{owner}"), name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_function_that_a_page_names_exists(page: Path) -> None:
    named = set(DOTTED.findall(page.read_text(encoding="utf-8")))
    assert not [f"{owner}.{name}" for owner, name in sorted(named) if not _is_there(owner, name)]


def test_the_index_lists_every_page() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (PAGES[0].parent / "README.md").read_text(encoding="utf-8")))
    assert listed == {page.name for page in PAGES} - {"README.md"}
