"""Write docs/rules/: one page per rule from its module's docstring, and an index.

    python tools/make_rule_pages.py

The docstring is the page: `unvanish explain CODE` prints the same text. A test compares what lies in docs/rules with
what this writes.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType

from unvanish.rules.table import RULES

FOLDER = Path(__file__).parents[1] / "docs" / "rules"
MADE_BY = "<!-- Written by tools/make_rule_pages.py from the rule's docstring; do not edit. -->\n"


def page(rule: ModuleType) -> str:
    """Return the page of one rule as Markdown."""
    return f"{MADE_BY}\n# {rule.CODE} {rule.NAME}\n\n{inspect.cleandoc(rule.__doc__ or '')}\n"


def index(rules: tuple[ModuleType, ...]) -> str:
    """Return the index page: code, name and first sentence of every rule."""
    rows = [
        f"| [{rule.CODE}]({rule.CODE}.md) | {rule.NAME} | {(rule.__doc__ or '').strip().splitlines()[0]} |"
        for rule in rules
    ]
    head = ["# Rules", "", "`unvanish explain CODE` prints the same pages.", ""]
    return "\n".join([MADE_BY, *head, "| code | name | in one line |", "| --- | --- | --- |", *rows, ""])


def pages() -> dict[str, str]:
    """Return file name -> text of everything that docs/rules holds."""
    rules = tuple(RULES)
    return {"README.md": index(rules), **{f"{rule.CODE}.md": page(rule) for rule in rules}}


def main() -> None:
    """Write the pages, and remove those of rules that are gone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = pages()
    for stale in sorted(path for path in FOLDER.glob("*.md") if path.name not in written):
        stale.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text)
    print(f"{len(written)} pages in {FOLDER}")


if __name__ == "__main__":
    main()
