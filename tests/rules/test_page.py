"""Every rule's docstring is its page: six headings, numbers with sources, and the beliefs that people bring."""

import re

import pytest

from unvanish.errors import UsageError
from unvanish.rules.page import HEADINGS, find, page
from unvanish.rules.rule import Rule
from unvanish.rules.table import RULES

RULE = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
BELIEFS = {
    "sigmoid vanishes because it saturates": "GF101",
    "the RNN does not vanish": "GF701",
    "a small total norm means vanishing": "GF101",
    "clipping": "GF101",
    "replace it by ReLU": "GF101",
    "batch norm fixes it for good": "GF102",
    "Adam makes": "GF303",
    "a zero gradient is vanishing": "GF502",
    "the logged norm is the raw one": "GF102",
    "a flat float16 run has converged": "GF903",
    "first/last near 1 means healthy": "GF104",
}


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


@RULE
def test_the_page_has_the_six_headings_in_order(rule: Rule) -> None:
    found = sections(page(rule.CODE))
    assert tuple(found) == HEADINGS
    for heading, text in found.items():
        assert len(text) > 30, f"{heading} is empty"


@RULE
def test_code_and_name_give_the_same_page(rule: Rule) -> None:
    assert page(rule.CODE) == page(rule.NAME) == page(rule.CODE.lower())
    assert page(rule.CODE).startswith(f"# {rule.CODE} {rule.NAME}\n\n")
    assert find(rule.CODE) is rule


@RULE
def test_the_page_is_short_and_exact(rule: Rule) -> None:
    text = page(rule.CODE)
    words = len(text.split())
    assert 200 < words < 800
    assert re.search(r"\d", sections(text)["What it measures"] + sections(text)["Why it matters"])
    assert re.search(r"\b(19|20)\d\d\b", sections(text)["References"]), "no year, no source"
    own = text.partition("## References")[0].replace("You, Gitman", "")
    assert not re.search(r"\b(I|we|you|our|your|please)\b", own, flags=re.IGNORECASE)
    assert max(map(len, text.splitlines())) <= 120


@RULE
def test_the_page_names_its_evidence(rule: Rule) -> None:
    assert re.findall(r"`[a-z_]+`", sections(page(rule.CODE))["Evidence"])


@pytest.mark.parametrize(("belief", "code"), BELIEFS.items())
def test_beliefs_are_answered(belief: str, code: str) -> None:
    assert belief in " ".join(page(code).split())


def test_an_unknown_rule_is_a_usage_error_that_helps() -> None:
    with pytest.raises(UsageError) as raised:
        page("gradient-vanish-with-depth")
    text = str(raised.value)
    assert "there is no rule 'gradient-vanish-with-depth'" in text
    assert "found:  close to it: gradient-vanishes-with-depth, " in text
    assert f"rules: {len(RULES)}" in text
    assert "try:    unvanish explain gradient-vanishes-with-depth" in text
    with pytest.raises(UsageError, match="there is no rule"):
        page("")
