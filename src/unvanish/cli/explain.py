"""`unvanish explain GF101`: the page of a rule; of a verdict word its rules; without either, the list of them."""

from __future__ import annotations

import click

from unvanish.cli import streams

EPILOG = """\b
Examples:
  unvanish explain GF101
  unvanish explain gradient-vanishes-with-depth
  unvanish explain vanishing                  a verdict and its rules
  unvanish explain                            lists all rules
"""


@click.command(epilog=EPILOG)
@click.argument("rule", metavar="[CODE|NAME|VERDICT]", required=False)
def explain(rule: str | None) -> None:
    """Show the page of a rule: what it measures, why, evidence, remedies."""
    if rule is None:
        from unvanish.rules.table import RULES

        streams.say("\n".join(f"{known.CODE}  {known.NAME}" for known in RULES))
        return
    from unvanish.rules.page import find
    from unvanish.rules.verdicts import VERDICTS, word_of

    word = word_of(rule)
    if word is not None:
        rules = [find(code) for code in VERDICTS[word].codes]
        listed = "".join(f"\n{known.CODE}  {known.NAME}" for known in rules)
        streams.say(f"{word}: {VERDICTS[word].meaning}" + (f"\n{listed}" if listed else ""))
        return
    from unvanish.report.page import render_rule_page

    found = find(rule)

    with streams.console() as console:
        console.print(f"{found.CODE} {found.NAME}\n", style="bold", highlight=False)
        render_rule_page(found.__doc__ or "", console)
