"""A rule's documentation page: its module's docstring."""

from __future__ import annotations

import difflib
import inspect

from unvanish.errors import UsageError
from unvanish.rules.rule import Rule
from unvanish.rules.table import RULES
from unvanish.rules.verdicts import VERDICTS

HEADINGS = (
    "What it measures",
    "Why it matters",
    "Evidence",
    "Remedies",
    "When it is harmless",
    "References",
)


def page(code_or_name: str) -> str:
    """Return the page of a rule as Markdown, headed by its code and name. Case does not matter.

    Raise UsageError for an unknown rule, naming the nearest ones.
    """
    rule = find(code_or_name)
    return f"# {rule.CODE} {rule.NAME}\n\n{inspect.cleandoc(rule.__doc__ or '')}\n"


def find(code_or_name: str) -> Rule:
    """Return the rule of that code or name, in any case; raise UsageError that names the closest ones."""
    wanted = code_or_name.strip().casefold()
    known = {word.casefold(): rule for rule in RULES for word in (rule.CODE, rule.NAME)}
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, [*VERDICTS, *known], n=3)
    near += [word for word in [*VERDICTS, *known] if len(wanted) > 3 and wanted in word and word not in near][:3]
    words = list(dict.fromkeys(_spelled(word, known.get(word)) for word in near))
    raise UsageError(
        f"there is no rule {code_or_name!r}",
        found=f"close to it: {', '.join(words)}" if words else "nothing close to it",
        numbers={"rules": len(RULES)},
        hint=f"unvanish explain {words[0]}" if words else "unvanish explain (lists all rules)",
    )


def _spelled(word: str, rule: Rule | None) -> str:
    return word if rule is None else rule.CODE if word == rule.CODE.casefold() else rule.NAME
