"""Write docs/rules/: one page per rule from its module's docstring, and an index.

    python tools/make_rule_pages.py

The docstring is the page: `unvanish explain CODE` prints the same text. A test compares what lies in docs/rules with
what this writes.
"""

from __future__ import annotations

from pathlib import Path

from unvanish.rules.page import page
from unvanish.rules.rule import Rule
from unvanish.rules.table import RULES

FOLDER = Path(__file__).parents[1] / "docs" / "rules"
MADE_BY = "<!-- Written by tools/make_rule_pages.py from the rule's docstring; do not edit. -->\n"


def title(rule: Rule) -> str:
    """Return the first paragraph of the rule's docstring on one line."""
    return " ".join((rule.__doc__ or "").strip().split("\n\n")[0].split())


def index(rules: tuple[Rule, ...]) -> str:
    """Return the index page: code, name and title of every rule."""
    rows = [f"| [{rule.CODE}]({rule.CODE}.md) | {rule.NAME} | {title(rule)} |" for rule in rules]
    head = ["# Rules", "", "`unvanish explain CODE` prints the same pages.", ""]
    return "\n".join([MADE_BY, *head, "| code | name | in one line |", "| --- | --- | --- |", *rows, ""])


def pages() -> dict[str, str]:
    """Return file name -> text of everything that docs/rules holds."""
    return {"README.md": index(RULES), **{f"{rule.CODE}.md": f"{MADE_BY}\n{page(rule.CODE)}" for rule in RULES}}


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
