"""`unvanish explain GF101`: the page of a rule; without a rule, the list of them."""

from __future__ import annotations

import click

from unvanish.cli import streams

EPILOG = """\b
Examples:
  unvanish explain GF101
  unvanish explain gradient-vanishes-with-depth
  unvanish explain                            lists all rules
"""


@click.command(epilog=EPILOG)
@click.argument("rule", metavar="[CODE|NAME]", required=False)
def explain(rule: str | None) -> None:
    """Show the page of a rule: what it measures, why, evidence, remedies."""
    if rule is None:
        from unvanish.rules.table import RULES

        streams.say("\n".join(f"{known.CODE}  {known.NAME}" for known in RULES))
        return
    from unvanish.report.page import render_rule_page
    from unvanish.rules.page import find

    found = find(rule)

    with streams.console() as console:
        console.print(f"{found.CODE} {found.NAME}\n", style="bold", highlight=False)
        render_rule_page(found.__doc__ or "", console)
