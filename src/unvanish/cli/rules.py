"""Find rules by their code or name, as people type them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from unvanish.errors import UsageError

if TYPE_CHECKING:
    from unvanish.rules.rule import Rule


def rule_of(text: str) -> Rule:
    """Return the rule of that code or name, in any case; raise UsageError that names the closest ones."""
    from unvanish.rules.table import RULES

    for rule in RULES:
        if text.strip().lower() in (rule.CODE.lower(), rule.NAME):
            return rule
    known = [word for rule in RULES for word in (rule.CODE, rule.NAME)]
    lowered = {word.lower(): word for word in known}
    close = [lowered[word] for word in difflib.get_close_matches(text.lower(), lowered, n=3)]
    raise UsageError(
        f"there is no rule {text!r}",
        found=f"close to it: {', '.join(close)}" if close else "nothing close to it",
        numbers={"rules": len(RULES)},
        hint=f"unvanish explain {close[0]}" if close else "unvanish explain (lists all rules)",
    )


def codes_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the codes of the rules named one by one, or several with commas between; raise UsageError as above."""
    return tuple(rule_of(word).CODE for text in texts for word in text.split(",") if word.strip())
